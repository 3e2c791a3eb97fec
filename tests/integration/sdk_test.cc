#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "hongyan/client.h"
#include "spawned_server.h"

#include "tests/doctest_last.h"

// The SDK and hongyan-chat against the real server.
namespace hongyan::integration {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// A port below those the system gives out by itself: a server that is killed finds it free again.
int FreePort() {
  for (int port = 20'000 + getpid() % 9'000; port < 32'000; ++port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    if (free) return port;
  }
  FAIL("no free port");
  return 0;
}

struct Scene {
  SpawnedServer server{"", FreePort()};
  std::string stores;

  Scene() {
    char name[] = "/tmp/hongyan-sdk-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    stores = name;
    for (const char* user : {"anna", "bert", "carl"}) {
      server.AdminOk({"user", "add", user, "--password-file", "-"}, "secret phrase\n");
    }
  }
  ~Scene() { std::filesystem::remove_all(stores); }

  std::string address() const { return "127.0.0.1:" + std::to_string(server.port()); }
};

// One device; its store outlives its client.
class Device {
 public:
  Device(const Scene& scene, std::string user, std::string name)
      : address_(scene.address()), user_(std::move(user)), directory_(scene.stores + "/" + name) {}
  ~Device() { client.reset(); }

  void Open(const std::string& password = "secret phrase") {
    auto store = OpenFileStore(directory_);
    REQUIRE_MESSAGE(store.ok(), store.error().text);
    Options options;
    options.address = address_;
    options.user_name = user_;
    options.password = password;
    options.store = *store;
    options.timing.idle_sync_ms = 50;
    Events events;
    events.on_connected = [this](const Connected& c) {
      Note([&] {
        me = c.me.id;
        ++connected;
      });
    };
    events.on_message = [this](const Message& message) {
      Note([&] { messages.push_back(message); });
    };
    events.on_packet_returned = [this](const PacketReturned& what) {
      Note([&] { returned.push_back(what); });
    };
    events.on_wallet_changed = [this] { Note([&] { ++wallet_changes; }); };
    events.on_stopped = [this](StopReason reason, const std::string&) {
      Note([&] {
        stopped = true;
        stop_reason = reason;
      });
    };
    events.on_problem = [this](const Error& error) {
      Note([&] { problems.push_back(error.text); });
    };
    auto opened = Client::Open(std::move(options), std::move(events));
    REQUIRE_MESSAGE(opened.ok(), opened.error().text);
    client = *std::move(opened);
  }
  void WaitUntil(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, kPatience, done));
  }
  void WaitConnected(int times = 1) {
    WaitUntil([&] { return connected >= times; });
  }
  std::vector<std::string> Texts(const Conversation& of) {
    std::lock_guard lock(mutex_);
    return TextsLocked(of);
  }
  void WaitTexts(const Conversation& of, const std::vector<std::string>& expected) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kPatience,
                                        [&] { return TextsLocked(of).size() >= expected.size(); });
    CHECK(came);
    CHECK(TextsLocked(of) == expected);
  }

  std::unique_ptr<Client> client;
  std::vector<PacketReturned> returned;
  std::vector<Message> messages;
  std::vector<std::string> problems;
  UserId me;
  int connected = 0;
  int wallet_changes = 0;
  bool stopped = false;
  StopReason stop_reason = StopReason::kLoggedOut;

 private:
  std::vector<std::string> TextsLocked(const Conversation& of) const {
    std::vector<std::string> texts;
    for (const Message& message : messages) {
      const auto* text = std::get_if<Text>(&message.body);
      if (message.conversation == of && text != nullptr) texts.push_back(text->text);
    }
    return texts;
  }
  void Note(const std::function<void()>& change) {
    {
      std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  std::string address_;
  std::string user_;
  std::string directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

template <class T>
Result<T> Wait(std::future<Result<T>> future) {
  REQUIRE(future.wait_for(kPatience) == std::future_status::ready);
  return future.get();
}

template <class T>
T Need(std::future<Result<T>> future) {
  Result<T> result = Wait(std::move(future));
  REQUIRE_MESSAGE(result.ok(), result.error().text);
  return *std::move(result);
}

std::vector<std::string> Lines(int from, int to) {
  std::vector<std::string> lines;
  for (int i = from; i < to; ++i) lines.push_back("line " + std::to_string(i));
  return lines;
}

TEST_CASE_FIXTURE(Scene,
                  "sdk: messages of both sides arrive once and in order while the server is killed "
                  "again and again") {
  Device anna(*this, "anna", "a");
  Device bert(*this, "bert", "b");
  anna.Open();
  bert.Open();
  anna.WaitConnected();
  bert.WaitConnected();
  const Conversation both = Conversation::Between(anna.me, bert.me);
  constexpr int kRounds = 4;
  constexpr int kEach = 50;
  std::vector<std::future<Result<Sent>>> futures;
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& line : Lines(round * kEach, (round + 1) * kEach)) {
      futures.push_back(anna.client->Send(both, Text{"a " + line}));
      futures.push_back(bert.client->Send(both, Text{"b " + line}));
    }
    // Some are acknowledged, some are under way, some have not left.
    (void)Need(std::move(futures[futures.size() - kEach]));
    server.Kill();
    server.Start();
  }
  for (auto& future : futures) {
    if (future.valid()) (void)Need(std::move(future));
  }
  for (Device* device : {&anna, &bert}) {
    device->WaitUntil([&] { return device->messages.size() >= 2 * kRounds * kEach; });
    for (const std::string side : {"a ", "b "}) {
      std::vector<std::string> of_side;
      for (const auto& text : device->Texts(both)) {
        if (text.compare(0, 2, side) == 0) of_side.push_back(text.substr(2));
      }
      CHECK(of_side == Lines(0, kRounds * kEach));
    }
    CHECK(device->problems.empty());
  }
  CHECK(anna.Texts(both) == bert.Texts(both));
}

TEST_CASE_FIXTURE(
    Scene, "sdk: a second device and one that was away get everything, own copies included") {
  Device phone(*this, "anna", "phone");
  Device desktop(*this, "anna", "desktop");
  Device bert(*this, "bert", "b");
  phone.Open();
  bert.Open();
  phone.WaitConnected();
  bert.WaitConnected();
  const Conversation both = Conversation::Between(phone.me, bert.me);
  bert.client.reset();
  for (const auto& line : Lines(0, 300)) phone.client->Send(both, Text{line}, nullptr);
  phone.WaitTexts(both, Lines(0, 300));
  desktop.Open();
  desktop.WaitTexts(both, Lines(0, 300));
  desktop.WaitUntil([&] { return desktop.messages[0].own; });
  bert.Open();
  bert.WaitTexts(both, Lines(0, 300));
}

TEST_CASE_FIXTURE(Scene, "sdk: groups are made, changed, read and left") {
  Device anna(*this, "anna", "a");
  Device bert(*this, "bert", "b");
  anna.Open();
  bert.Open();
  const UserId bert_id = Need(anna.client->FindUser("bert")).id;
  const UserId carl_id = Need(anna.client->FindUser("carl")).id;
  const GroupChange made = Need(anna.client->CreateGroup("Book club", {bert_id}));
  CHECK(made.conv_seq == 1);
  const Conversation group = Conversation::Of(made.group);
  (void)Need(anna.client->Send(group, Text{"one"}));
  bert.WaitTexts(group, {"one"});

  CHECK(Need(anna.client->ChangeMembers(made.group, {carl_id}, {})).conv_seq == 3);
  CHECK(Need(anna.client->ChangeMembers(made.group, {carl_id}, {})).conv_seq == 0);
  const auto members = Need(bert.client->ListMembers(made.group)).items;
  REQUIRE(members.size() == 3);
  const auto groups = Need(bert.client->ListGroups()).items;
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].name == "Book club");
  CHECK(groups[0].members == 3);

  HistoryQuery query;
  query.conversation = group;
  query.limit = 2;
  const auto page = Need(bert.client->History(query));
  REQUIRE(page.items.size() == 2);
  CHECK(page.more);
  CHECK(page.items[0].conv_seq == 3);
  CHECK(std::holds_alternative<MembersChanged>(page.items[0].body));

  (void)Need(bert.client->LeaveGroup(made.group));
  const auto refused = Wait(bert.client->Send(group, Text{"too late"}));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().reason == Reason::kNotAMember);
  (void)Need(anna.client->Send(group, Text{"two"}));
  anna.WaitTexts(group, {"one", "two"});
  CHECK(bert.Texts(group) == std::vector<std::string>{"one"});
  const auto nobody = Wait(anna.client->FindUser("nobody"));
  REQUIRE_FALSE(nobody.ok());
  CHECK(nobody.error().reason == Reason::kNoSuchUser);
}

TEST_CASE_FIXTURE(Scene,
                  "sdk: a revoked token leads to a password login, a disabled account to the end, "
                  "a wrong password too") {
  Device anna(*this, "anna", "a");
  anna.Open();
  anna.WaitConnected();
  server.AdminOk({"token", "revoke", "anna"});
  anna.WaitConnected(2);
  server.AdminOk({"user", "disable", "anna"});
  anna.WaitUntil([&] { return anna.stopped; });
  CHECK(anna.stop_reason == StopReason::kDisabled);
  anna.client.reset();
  server.AdminOk({"user", "enable", "anna"});

  Device bert(*this, "bert", "b");
  bert.Open("not the phrase");
  bert.WaitUntil([&] { return bert.stopped; });
  CHECK(bert.stop_reason == StopReason::kBadCredentials);
}

TEST_CASE_FIXTURE(Scene, "sdk: the same installation twice: the first is replaced and stays away") {
  Device first(*this, "anna", "first");
  first.Open();
  first.WaitConnected();
  std::filesystem::create_directory(stores + "/second");
  std::filesystem::copy_file(stores + "/first/log", stores + "/second/log");
  Device second(*this, "anna", "second");
  second.Open();
  second.WaitConnected();
  first.WaitUntil([&] { return first.stopped; });
  CHECK(first.stop_reason == StopReason::kReplaced);
  CHECK(second.client->GetStatus().connected);
}

TEST_CASE_FIXTURE(Scene,
                  "sdk: after logout the token is worth nothing and the password is needed") {
  Device anna(*this, "anna", "a");
  anna.Open();
  anna.WaitConnected();
  (void)Need(anna.client->Logout());
  anna.WaitUntil([&] { return anna.stopped; });
  CHECK(anna.stop_reason == StopReason::kLoggedOut);
  anna.client.reset();
  anna.Open();
  anna.WaitConnected(2);
}

// ---- hongyan-chat ----

std::vector<std::string> ChatCommand(const Scene& scene, const std::string& user,
                                     std::vector<std::string> more = {}) {
  const std::string password = scene.stores + "/password";
  std::ofstream(password) << "secret phrase\n";
  std::vector<std::string> command{HONGYAN_CHAT, "--server", scene.address(),
                                   "--user",     user,       "--password-file",
                                   password,     "--store",  scene.stores + "/chat-" + user};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

std::string WithoutTimes(const std::string& text) {
  return std::regex_replace(text, std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z"),
                            "TIME");
}

TEST_CASE_FIXTURE(Scene, "chat: lines of a pipe are messages, what comes is one line each") {
  const Outcome said = Run(ChatCommand(*this, "anna"), "/to bert\nhello\ntab\there\n//slash\n");
  INFO(said.err);
  CHECK(said.exit_code == 0);
  CHECK(WithoutTimes(said.out) ==
        "connected\tanna\nsent\t@bert\t1\tTIME\nsent\t@bert\t2\tTIME\nsent\t@bert\t3\tTIME\n");
  const Outcome heard = Run(ChatCommand(*this, "bert"));
  CHECK(heard.exit_code == 0);
  CHECK(WithoutTimes(heard.out) ==
        "connected\tbert\nmessage\t@anna\t1\tanna\tTIME\thello\n"
        "message\t@anna\t2\tanna\tTIME\ttab\\there\nmessage\t@anna\t3\tanna\tTIME\t/slash\n");
  const Outcome again = Run(ChatCommand(*this, "bert"), "/list\n/history 1\n");
  CHECK(WithoutTimes(again.out).find("message") == std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: packets and transfers by lines, from the wallet to the year") {
  server.AdminOk({"wallet", "deposit", "anna", "10", "--id", "1", "--reason", "start"});
  const Outcome sent =
      Run(ChatCommand(*this, "anna"), "/to bert\n/packet lucky 8.88 1 good luck\n/wallet\n");
  INFO(sent.err);
  CHECK(sent.exit_code == 0);
  CHECK(sent.out.find("note\tthe lucky packet of 8.88 yuan is on its way\n") != std::string::npos);
  CHECK(sent.out.find("note\tyou have 1.12 yuan\n") != std::string::npos);

  const Outcome opened =
      Run(ChatCommand(*this, "bert"), "/to anna\n/history\n/open\n/open 1\n/detail\n");
  INFO(opened.err);
  CHECK(opened.exit_code == 0);
  CHECK(opened.out.find("\t[lucky packet, 1 share] good luck  (/open 1)\n") != std::string::npos);
  CHECK(opened.out.find("note\tyou got 8.88 yuan from anna!\n") != std::string::npos);
  CHECK(opened.out.find("note\tyou have taken 8.88 yuan from it\n") != std::string::npos);
  CHECK(opened.out.find("packet\tlucky packet 1 from anna\tgood luck\t1 of 1 share taken, 8.88 of "
                        "8.88 yuan, empty after ") != std::string::npos);
  CHECK(WithoutTimes(opened.out).find("share\tbert\t8.88\tTIME\tbest\n") != std::string::npos);

  const Outcome transfer =
      Run(ChatCommand(*this, "anna"), "/to bert\n/transfer 1 lunch\n/year sent\n");
  CHECK(transfer.exit_code == 0);
  CHECK(transfer.out.find(" you sent 2, 9.88 yuan, of which 0.00 came back\n") !=
        std::string::npos);
  const Outcome accepted =
      Run(ChatCommand(*this, "bert"), "/to anna\n/history\n/accept\n/statement\n");
  INFO(accepted.err);
  CHECK(accepted.exit_code == 0);
  CHECK(accepted.out.find("note\tyou got 1.00 yuan from anna!\n") != std::string::npos);
  CHECK(WithoutTimes(accepted.out)
            .find("posting\tTIME\t8.88\t8.88\tlucky packet opened, from "
                  "anna\n") != std::string::npos);

  const Outcome poor = Run(ChatCommand(*this, "anna"), "/to bert\n/packet lucky 8.88 1\n");
  CHECK(poor.exit_code == 1);
  const Outcome wrong = Run(ChatCommand(*this, "anna"), "/to bert\n/packet lucky 8,88 1\n");
  CHECK(wrong.err.find("is no amount") != std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: without a number a command takes the newest that it is about") {
  server.AdminOk({"wallet", "deposit", "anna", "20", "--id", "1", "--reason", "start"});
  const Outcome sent = Run(ChatCommand(*this, "anna"),
                           "/to bert\n/transfer 2 lunch\n/packet lucky 1 1\n/new Team bert carl\n"
                           "/packet lucky 0.03 3 all\n/packet equal 0.01 4\n/packet for carl 5\n");
  INFO(sent.err);
  CHECK(sent.exit_code == 0);
  CHECK(sent.out.find("the packet of 4 shares of 0.01 yuan, 0.04 yuan in all, is on its way\n") !=
        std::string::npos);
  // At once: what came meanwhile is learned first.
  const Outcome taken = Run(ChatCommand(*this, "bert"),
                            "/to anna\n/accept\n/open\n/open\n/accept\n/open 1\n/accept 2\n");
  INFO(taken.out);
  INFO(taken.err);
  CHECK(taken.exit_code == 1);
  const size_t transfer = taken.out.find("note\tyou got 2.00 yuan from anna!\n");
  const size_t packet = taken.out.find("note\tyou got 1.00 yuan from anna!\n");
  CHECK(transfer < packet);
  CHECK(packet != std::string::npos);
  CHECK(taken.err.find("no packet that you may open was seen here") != std::string::npos);
  CHECK(taken.err.find("no transfer to you waits here") != std::string::npos);
  CHECK(taken.err.find("message 1 is a transfer: /accept 1 takes it") != std::string::npos);
  CHECK(taken.err.find("message 2 is no transfer: /open 2 opens it") != std::string::npos);
  const Outcome history = Run(ChatCommand(*this, "bert"), "/to anna\n/history\n");
  CHECK(history.out.find("[lucky packet, 1 share]") != std::string::npos);
  CHECK(history.out.find("(/open") == std::string::npos);
  CHECK(history.out.find("(/accept") == std::string::npos);
  CHECK(history.out.find("\tyou opened anna's lucky packet 2 after ") != std::string::npos);
  // What is for carl alone is not what bert means, and what he has is not either.
  const Outcome group =
      Run(ChatCommand(*this, "bert"), "/group Team\n/history\n/open\n/open\n/open\n");
  INFO(group.out);
  INFO(group.err);
  CHECK(group.exit_code == 1);
  CHECK(group.out.find("note\tyou got 0.01 yuan from anna! 3 of 4 shares left\n") <
        group.out.find("note\tyou got 0.01 yuan from anna! 2 of 3 shares left\n"));
  CHECK(group.out.find(" 2 of 3 shares left\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: the packets of a year are all to be had, in this year and later") {
  server.AdminOk({"wallet", "deposit", "anna", "20", "--id", "1", "--reason", "start"});
  constexpr int kSent = 53;
  const auto yuan = [](int fen) { return (fen < 10 ? "0.0" : "0.") + std::to_string(fen); };
  std::string lines = "/to bert\n";
  for (int i = 1; i <= kSent; ++i) lines += "/transfer " + yuan(i) + "\n";
  const Outcome sent =
      Run(ChatCommand(*this, "anna"), lines + "/year more\n/year sent\n/year more\n");
  INFO(sent.err);
  CHECK(sent.exit_code == 1);  // there is nothing yet to go on with
  CHECK(sent.err.find("there are no earlier ones") != std::string::npos);
  // The year, as they are shown: the newest page, the oldest first.
  std::smatch total;
  REQUIRE(std::regex_search(sent.out, total, std::regex("in (\\d+) you sent 53, 14.31 yuan")));
  const std::string year = total[1];
  const auto postings = [](const std::string& out) {
    std::vector<std::string> amounts;
    const std::regex line("posting\t[^\t]*\t(-[0-9.]+)\t");
    for (std::sregex_iterator at(out.begin(), out.end(), line), end; at != end; ++at) {
      amounts.push_back((*at)[1]);
    }
    return amounts;
  };
  std::vector<std::string> expected;
  for (int i = 4; i <= kSent; ++i) expected.push_back("-" + yuan(i));
  for (int i = 1; i < 4; ++i) expected.push_back("-" + yuan(i));
  CHECK(postings(sent.out) == expected);
  CHECK(sent.out.find(" came back; /year more shows earlier ones\n") != std::string::npos);
  CHECK(sent.out.ends_with(" came back\n"));

  // All of them come back, in a later year: that is shown with that one.
  server.Terminate();
  CHECK(server.Wait() == 0);
  server.MoveClock(int64_t{400} * 24 * 3600);
  server.Start();
  server.AdminOk({"money", "audit", "--wait-drained"});
  const Outcome later = Run(ChatCommand(*this, "anna"), "/year sent " + year + "\n/year more\n");
  INFO(later.err);
  CHECK(later.exit_code == 0);
  CHECK(postings(later.out) == expected);
}

TEST_CASE_FIXTURE(Scene, "a client sends, opens and is told, and money that came back comes once") {
  server.AdminOk({"wallet", "deposit", "anna", "10", "--id", "1", "--reason", "start"});
  Device anna(*this, "anna", "anna");
  Device bert(*this, "bert", "bert");
  anna.Open();
  bert.Open();
  anna.WaitConnected();
  bert.WaitConnected();
  PacketOrder order;
  order.kind = PacketKind::kTransfer;
  order.conversation = Conversation::Between(anna.me, bert.me);
  order.amount_fen = 300;
  order.request_id = anna.client->NewRequestId();
  const auto sent = anna.client->SendPacket(order).get();
  REQUIRE_MESSAGE(sent.ok(), sent.error().text);
  CHECK(sent->request_id == order.request_id);
  CHECK(anna.client->SendPacket(order).get()->packet == sent->packet);
  bert.WaitUntil([&] { return !bert.messages.empty(); });
  const auto returned = bert.client->ReturnTransfer(sent->packet).get();
  CHECK_MESSAGE(returned.ok(), returned.error().text);
  anna.WaitUntil([&] { return !anna.returned.empty(); });
  CHECK(anna.returned[0].packet == sent->packet);
  CHECK(anna.returned[0].amount_fen == 300);
  CHECK(anna.returned[0].reason == ReturnReason::kReturned);
  CHECK(anna.returned[0].request_id == order.request_id);
  bert.WaitUntil([&] {
    for (const Message& message : bert.messages) {
      const auto* notice = std::get_if<PacketNotice>(&message.body);
      if (notice != nullptr && notice->what == PacketNotice::What::kReturned) return true;
    }
    return false;
  });
  const auto state = anna.client->GetSend(order.request_id).get();
  REQUIRE_MESSAGE(state.ok(), state.error().text);
  CHECK(state->packet == sent->packet);
  CHECK(anna.client->GetWallet().get()->balance_fen == 1000);
  CHECK(anna.returned.size() == 1);
}

TEST_CASE_FIXTURE(Scene,
                  "sdk: a packet is grabbed, then opened, and whose wallet changes is told") {
  Device anna(*this, "anna", "anna");
  Device bert(*this, "bert", "bert");
  anna.Open();
  bert.Open();
  anna.WaitConnected();
  bert.WaitConnected();
  server.AdminOk({"wallet", "deposit", "anna", "10", "--id", "1", "--reason", "start"});
  anna.WaitUntil([&] { return anna.wallet_changes >= 1; });
  PacketOrder order;
  order.conversation = Conversation::Between(anna.me, bert.me);
  order.amount_fen = 300;
  const auto sent = anna.client->SendPacket(order).get();
  REQUIRE_MESSAGE(sent.ok(), sent.error().text);
  anna.WaitUntil([&] { return anna.wallet_changes >= 2; });
  // Until its message is stored there is nothing to grab.
  auto grabbed = bert.client->GrabPacket(sent->packet).get();
  while (!grabbed.ok() && grabbed.error().reason == Reason::kBusy) {
    grabbed = bert.client->GrabPacket(sent->packet).get();
  }
  REQUIRE_MESSAGE(grabbed.ok(), grabbed.error().text);
  CHECK(grabbed->amount_fen == 0);  // open it
  const auto opened = bert.client->OpenPacket(sent->packet).get();
  REQUIRE_MESSAGE(opened.ok(), opened.error().text);
  CHECK(opened->amount_fen == 300);
  grabbed = bert.client->GrabPacket(sent->packet).get();
  REQUIRE_MESSAGE(grabbed.ok(), grabbed.error().text);
  CHECK(grabbed->amount_fen == 300);
  bert.WaitUntil([&] { return bert.wallet_changes >= 1; });
  CHECK(bert.client->GetWallet().get()->balance_fen == 300);
}

TEST_CASE_FIXTURE(Scene, "chat: failures have an exit code and a sentence that says what to do") {
  const Outcome nowhere = Run(ChatCommand(*this, "anna"), "hello\n");
  CHECK(nowhere.exit_code == 1);
  CHECK(nowhere.err.find("/to NAME") != std::string::npos);
  CHECK(Run(ChatCommand(*this, "anna", {"--to", "nobody"})).exit_code == 1);
  CHECK(Run({HONGYAN_CHAT, "--no-such-option"}).exit_code == 2);
  const Outcome unnamed = Run({HONGYAN_CHAT, "--server", address(), "--store", stores + "/new",
                               "--user", "carl", "--to", "anna", "--once", "hi"});
  CHECK(unnamed.exit_code == 2);
  CHECK(unnamed.err.find("--password-file FILE or HONGYAN_PASSWORD") != std::string::npos);
  CHECK(Run({HONGYAN_CHAT, "--server", address(), "--store", stores + "/x"}).exit_code == 2);
  const std::string wrong = stores + "/wrong";
  std::ofstream(wrong) << "not the phrase\n";
  CHECK(Run({HONGYAN_CHAT, "--server", address(), "--user", "carl", "--password-file", wrong,
             "--store", stores + "/carl"})
            .exit_code == 4);
  (void)Run(ChatCommand(*this, "anna"), "/to bert\n");
  server.Kill();
  const Outcome away =
      Run(ChatCommand(*this, "anna", {"--to", "bert", "--timeout", "0.3"}), "kept\n");
  CHECK(away.exit_code == 3);
  server.Start();
  CHECK(Run(ChatCommand(*this, "anna")).exit_code == 0);
  const Outcome heard = Run(ChatCommand(*this, "bert"));
  CHECK(heard.out.find("\tkept\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: a line of megabytes is refused with the limit, not echoed whole") {
  const std::string huge(3 << 20, 'x');
  const Outcome said =
      Run(ChatCommand(*this, "anna", {"--to", "bert"}), "one\n" + huge + "\ntwo\n");
  CHECK(said.exit_code == 1);
  CHECK(said.err.find("not sent to @bert: a message has at most 1 MiB") != std::string::npos);
  CHECK(said.err.size() < 500);
  CHECK(said.out.find("\nfailed\t@bert\txxx") != std::string::npos);
  CHECK(said.out.size() < 100'000);
  const Outcome heard = Run(ChatCommand(*this, "bert"));
  CHECK(heard.out.find("\tone\n") != std::string::npos);
  CHECK(heard.out.find("\ttwo\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: what was written for one who is not found goes to nobody else") {
  const Outcome said = Run(ChatCommand(*this, "anna", {"--to", "bert"}),
                           "for bert\n/to nobdy\na secret\n/new team nobdy\nanother\n/to " +
                               std::string(2 << 20, 'x') + "\na third\n/to bert\nfor bert again\n");
  CHECK(said.exit_code == 1);
  CHECK(said.err.find("\"a secret\"") != std::string::npos);
  CHECK(said.err.find("\"another\"") != std::string::npos);
  CHECK(said.err.find("\"a third\"") != std::string::npos);
  const Outcome heard = Run(ChatCommand(*this, "bert"));
  CHECK(WithoutTimes(heard.out) ==
        "connected\tbert\nmessage\t@anna\t1\tanna\tTIME\tfor bert\n"
        "message\t@anna\t2\tanna\tTIME\tfor bert again\n");
}

TEST_CASE_FIXTURE(Scene,
                  "chat: lines that wait for a name when patience ends are not called kept") {
  server.Kill();
  const Outcome away =
      Run(ChatCommand(*this, "anna", {"--to", "bert", "--timeout", "0.3"}), "hi\n");
  CHECK(away.exit_code == 3);
  CHECK(away.err.find("not carried out, and not kept: your input from \"hi\" on") !=
        std::string::npos);
  server.Start();
  (void)Run(ChatCommand(*this, "anna"));
  CHECK(Run(ChatCommand(*this, "bert")).out.find("hi") == std::string::npos);
}

TEST_CASE_FIXTURE(Scene, "chat: words of the command line that make no sense are refused") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--wait", "nan"},
                                                {"--wait", "-1"},
                                                {"--timeout", "inf"},
                                                {"--timeout", "3x"},
                                                {"--to", "bert", "--once", ""},
                                                {"--to", ""},
                                                {"--user", std::string(65, 'a')}}) {
    const Outcome outcome = Run(ChatCommand(*this, "anna", words));
    INFO(words[0] << " " << words[1] << ": " << outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.size() > 10);
    CHECK(outcome.err.size() < 200);
  }
}

TEST_CASE_FIXTURE(Scene, "chat: output that nobody can take ends the program") {
  (void)Run(ChatCommand(*this, "bert"), "/to anna\nhello\n");
  std::string command;
  for (const std::string& word : ChatCommand(*this, "anna", {"--follow"})) {
    command += "'" + word + "' ";
  }
  const Outcome full = Run({"/bin/sh", "-c", command + "> /dev/full"});
  CHECK(full.exit_code == 1);
  CHECK(full.err.find("standard output cannot be written") != std::string::npos);
}

TEST_CASE_FIXTURE(
    Scene, "chat: killed in the middle of sending, what it had taken arrives once and in order") {
  (void)Run(ChatCommand(*this, "anna"), "/to bert\n");
  std::string input;
  for (const auto& line : Lines(0, 2000)) input += line + "\n";
  std::ofstream(stores + "/input") << input;
  for (int kill_after_ms : {60, 90, 130}) {
    const auto command = ChatCommand(*this, "anna", {"--to", "bert"});
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const std::string input_path = stores + "/input";
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const int in = ::open(input_path.c_str(), O_RDONLY);
      const int out = ::open("/dev/null", O_WRONLY);
      ::dup2(in, 0);
      ::dup2(out, 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kill_after_ms));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(Run(ChatCommand(*this, "anna")).exit_code == 0);  // what was left in the store leaves

    const Outcome heard = Run(ChatCommand(*this, "bert"));
    CHECK(heard.exit_code == 0);
    std::vector<std::string> texts;
    std::istringstream lines(heard.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.compare(0, 8, "message\t") == 0) texts.push_back(line.substr(line.rfind('\t') + 1));
    }
    CHECK(texts == Lines(0, static_cast<int>(texts.size())));
  }
}

}  // namespace
}  // namespace hongyan::integration
