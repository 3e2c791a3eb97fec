// What hongyan-chat does about packets, against a server that misbehaves.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "client-sdk/chat/chat.h"
#include "tests/unit/client-sdk/fake_hongyan.h"

namespace hongyan::chat {
namespace {

// Keeps what is said.
struct Said final : View {
  void Connected(const std::string&) override { connected = true; }
  void Disconnected(const std::string&, int64_t) override { connected = false; }
  void Show(const ShownMessage&) override {}
  void Sent(const Label&, int64_t, int64_t) override {}
  void NotSent(const Label&, const std::string&, const std::string&) override {}
  void Chats(const std::vector<ChatLine>&) override {}
  void Groups(const std::vector<Group>&) override {}
  void Members(const Label&, const std::vector<Member>&) override {}
  void Packet(const ShownPacket&) override {}
  void Postings(const std::vector<ShownPosting>&) override {}
  void Got(const std::string& text) override { notes.push_back(text); }
  void Note(const std::string& text) override { notes.push_back(text); }
  void Problem(const std::string& text) override { problems.push_back(text); }
  void Opened(const Label& where, int) override { open = where.title; }

  static bool Has(const std::vector<std::string>& lines, const std::string& text) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

  bool connected = false;
  std::string open;
  std::vector<std::string> notes, problems;
};

struct Talking {
  Talking() {
    server.UserIdOf("bob");
    Options options;
    options.address = server.address();
    options.user_name = "ann";
    options.password = "secret";
    options.store = std::make_shared<MemoryStore>();
    options.timing.request_timeout_ms = 500;
    options.timing.reconnect_min_ms = 5;
    options.timing.reconnect_max_ms = 40;
    auto opened = Client::Open(options, chat.MakeEvents());
    REQUIRE(opened.ok());
    client = *std::move(opened);
    chat.Attach(client.get());
    Until([this] { return said.connected; });
    chat.Input("/to bob");
    Until([this] { return said.open == "bob"; });
  }
  ~Talking() { client.reset(); }

  template <class Done>
  void Until(Done done) {
    for (int i = 0; i < 4000 && !done(); ++i) {
      mailbox.RunAll();
      if (!done()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    REQUIRE(done());
  }
  template <class F>
  auto Server(F look) {
    std::lock_guard lock(server.mutex());
    return look(server);
  }

  FakeHongyan server;
  Mailbox mailbox;
  Said said;
  Chat chat{mailbox, said, Style::kPerson, ""};
  std::unique_ptr<Client> client;
};

}  // namespace

TEST_CASE_FIXTURE(Talking, "a packet whose fate is not known goes on under its own number") {
  Server([](FakeHongyan& fake) { fake.knobs.answer_packets = false; });
  chat.Input("/packet lucky 8.88 1 luck");
  Until([&] {
    return Said::Has(said.problems, "not known yet whether the lucky packet of 8.88 yuan was sent");
  });
  CHECK_FALSE(chat.idle());
  CHECK_FALSE(Said::Has(said.notes, "is on its way"));
  Server([](FakeHongyan& fake) { fake.knobs.answer_packets = true; });
  Until([&] { return Said::Has(said.notes, "the lucky packet of 8.88 yuan is on its way"); });
  Server([](FakeHongyan& fake) {
    REQUIRE(fake.seen.packets.size() >= 2);
    for (const auto& packet : fake.seen.packets) {
      CHECK(packet.request_id().size() == 16);
      CHECK(packet.request_id() == fake.seen.packets.front().request_id());
    }
  });
  CHECK_FALSE(Said::Has(said.problems, "was not sent"));
}

TEST_CASE_FIXTURE(Talking, "who leaves while a packet's fate is not known is told so") {
  Server([](FakeHongyan& fake) { fake.knobs.answer_packets = false; });
  chat.Input("/transfer 5");
  Until(
      [&] { return Said::Has(said.problems, "not known yet whether the transfer of 5.00 yuan"); });
  chat.Finish();
  CHECK(Said::Has(said.problems, "not known whether it was sent: the transfer of 5.00 yuan"));
}

TEST_CASE_FIXTURE(Talking,
                  "without a connection money waits for nothing, and who leaves has left") {
  Until([&] { return chat.idle(); });
  server.GoDown();
  Until([&] { return !said.connected; });
  chat.Input("/packet lucky 8.88 1 luck");
  CHECK(Said::Has(said.problems, "not connected"));
  CHECK(chat.backlog() == 0);
  chat.Input("/wallet");
  chat.Input("/statement");
  CHECK(std::count(said.notes.begin(), said.notes.end(), "waiting for the connection") == 1);
  CHECK_FALSE(chat.over());
  chat.Input("/quit");
  CHECK(chat.over());
  CHECK(Said::Has(said.problems, "not carried out"));
  server.ComeBack();
  CHECK(Server([](FakeHongyan& fake) { return fake.seen.packets.empty(); }));
}

}  // namespace hongyan::chat
