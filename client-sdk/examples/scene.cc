// The scene `scripts/quickstart` plays: real clients on real connections, shown on screen. It is
// also a longer example of the SDK than hello.cc.
//
//   scene HOST:PORT STORES PASSWORD talk      two people, a device that goes and comes back, a
//   group scene HOST:PORT STORES PASSWORD after     after the server was killed: was anything lost?
//
// STORES is a directory for the clients' stores. The accounts anna, bert and carl exist with
// PASSWORD.

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hongyan/client.h"

namespace {

using hongyan::Client;
using hongyan::Conversation;

constexpr auto kPatience = std::chrono::seconds(20);

bool OnTerminal() { return isatty(STDOUT_FILENO) == 1; }

// A person's colour, so that the eye can follow.
std::string Coloured(const std::string& name, const std::string& text) {
  if (!OnTerminal()) return text;
  const std::map<std::string, int> colours{{"anna", 35}, {"bert", 36}, {"carl", 33}};
  const auto found = colours.find(name);
  return "\033[" + std::to_string(found == colours.end() ? 37 : found->second) + "m" + text +
         "\033[0m";
}

void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

// Reading takes a person a moment; a pipe needs none.
void Breathe(int ms) {
  if (OnTerminal()) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "scene: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T Need(const std::string& what, hongyan::Result<T> result) {
  if (!result.ok()) Fail(what + ": " + result.error().text);
  return std::move(result).value();
}

std::string TextOf(const hongyan::Message& message) {
  if (const auto* text = std::get_if<hongyan::Text>(&message.body)) return text->text;
  if (const auto* made = std::get_if<hongyan::GroupCreated>(&message.body)) {
    return "(group \"" + made->name + "\", " + std::to_string(made->members) + " members)";
  }
  return "(something happened)";
}

// One device of one person. What it receives is printed as it comes and kept for the checks.
class Device {
 public:
  Device(std::string person, std::string label, std::string address, std::string password,
         std::string stores)
      : person_(std::move(person)),
        label_(std::move(label)),
        address_(std::move(address)),
        password_(std::move(password)),
        stores_(std::move(stores)) {}

  void GoOnline() {
    hongyan::Options options;
    options.address = address_;
    options.user_name = person_;
    options.password = password_;
    options.device_class = label_;
    options.store =
        Need("store of " + Name(), hongyan::OpenFileStore(stores_ + "/" + person_ + "-" + label_));
    hongyan::Events events;
    events.on_connected = [this](const hongyan::Connected& connected) {
      Update([&] {
        if (!me_.id) Say("  · " + Coloured(person_, Name()) + " is online");
        me_ = connected.me;
      });
    };
    events.on_synced = [this] { Update([&] { synced_ = true; }); };
    events.on_message = [this](const hongyan::Message& message) { Receive(message); };
    events.on_stopped = [](hongyan::StopReason, const std::string& text) { Fail(text); };
    client_ = Need(Name() + " cannot start", Client::Open(std::move(options), std::move(events)));
    Wait("log in", [this] { return me_.id && synced_; });
  }

  void GoOffline() {
    client_.reset();
    std::lock_guard lock(mutex_);
    me_ = {};
    synced_ = false;
    Say("  · " + Coloured(person_, Name()) + " is offline");
  }

  // Own messages are shown, too: for a device that has sent nothing itself.
  void ShowOwn() { show_own_ = true; }

  hongyan::UserId Find(const std::string& name) {
    return Need("find " + name, client_->FindUser(name).get()).id;
  }

  void Send(const Conversation& to, const std::string& text) {
    const auto start = std::chrono::steady_clock::now();
    const auto sent = Need(Name() + " sends", client_->Send(to, hongyan::Text{.text = text}).get());
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::steady_clock::now() - start)
                        .count();
    char tail[64];
    std::snprintf(tail, sizeof tail, "   ✓ on disk, no. %ld, %.1f ms",
                  static_cast<long>(sent.conv_seq), static_cast<double>(us) / 1000);
    Say("  " + Coloured(person_, Name() + " ▸ " + text) + tail);
    Breathe(700);
  }

  hongyan::GroupId CreateGroup(const std::string& name,
                               const std::vector<hongyan::UserId>& members) {
    return Need("create a group", client_->CreateGroup(name, members).get()).group;
  }

  std::vector<std::string> History(const Conversation& conversation) {
    std::vector<std::string> texts;
    hongyan::HistoryQuery query{.conversation = conversation, .forward = true};
    for (const auto& message : Need("history", client_->History(query).get()).items) {
      texts.push_back(TextOf(message));
    }
    return texts;
  }

  // Waits until this device has received `count` messages of the conversation, then checks the last
  // texts.
  void Expect(const Conversation& from, const std::vector<std::string>& last) {
    Wait("receive \"" + last.back() + "\"", [&] {
      const auto& texts = received_[from];
      return texts.size() >= last.size() &&
             std::equal(last.begin(), last.end(), texts.end() - static_cast<long>(last.size()));
    });
  }

  // Messages of others received so far. (A copy of the last own one may come late: its
  // acknowledgement told.)
  size_t received_of_others() {
    std::lock_guard lock(mutex_);
    return of_others_;
  }

  std::string Name() const { return person_ + "'s " + label_; }

 private:
  template <class Change>
  void Update(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  void Receive(const hongyan::Message& message) {
    Update([&] {
      received_[message.conversation].push_back(TextOf(message));
      if (!message.own) ++of_others_;
      if (!message.own || show_own_) {
        Say("      " + Coloured(person_, Name() + " ◂ " + TextOf(message)) +
            (message.own ? "   (" + person_ + "'s own)" : ""));
      }
    });
  }

  template <class Condition>
  void Wait(const std::string& what, Condition condition) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, condition)) {
      Fail(Name() + " waited 20 s in vain to " + what);
    }
  }

  const std::string person_, label_, address_, password_, stores_;
  std::mutex mutex_;
  std::condition_variable changed_;
  hongyan::User me_;
  bool synced_ = false;
  bool show_own_ = false;
  size_t of_others_ = 0;
  std::map<Conversation, std::vector<std::string>> received_;
  std::unique_ptr<Client> client_;  // last: gone before what its callbacks use
};

struct Stage {
  std::string address, stores, password;
  std::unique_ptr<Device> Make(const std::string& person, const std::string& label) const {
    return std::make_unique<Device>(person, label, address, password, stores);
  }
};

void Talk(const Stage& stage) {
  Say("\n1. Two people talk. ✓ comes after fsync, not before.");
  auto anna = stage.Make("anna", "phone");
  auto bert = stage.Make("bert", "phone");
  anna->GoOnline();
  bert->GoOnline();
  const auto anna_id = bert->Find("anna");
  const auto bert_id = anna->Find("bert");
  const auto carl_id = anna->Find("carl");
  const auto talk = Conversation::Between(anna_id, bert_id);
  anna->Send(talk, "鸿雁 - did the letter arrive?");
  bert->Expect(talk, {"鸿雁 - did the letter arrive?"});
  bert->Send(talk, "It did. The goose is resting.");
  anna->Expect(talk, {"It did. The goose is resting."});

  Say("\n2. Bert's phone goes offline; Anna goes on writing. Nothing is pushed into the void: it "
      "is stored.");
  bert->GoOffline();
  const std::vector<std::string> letters{"First thing while you are away.", "Second.",
                                         "Third and last."};
  for (const auto& letter : letters) anna->Send(talk, letter);
  Breathe(600);
  Say("   Back again: the phone pulls from its cursor - these three, in this order, each once.");
  bert->GoOnline();
  bert->Expect(talk, letters);
  Breathe(800);

  Say("\n3. A group, and a second device that knows nothing yet.");
  auto carl = stage.Make("carl", "tablet");
  carl->GoOnline();
  const auto group = Conversation::Of(anna->CreateGroup("wild geese", {bert_id, carl_id}));
  anna->Send(group, "Who flies south this week?");
  carl->Expect(group, {"Who flies south this week?"});
  bert->Expect(group, {"Who flies south this week?"});
  carl->Send(group, "Me!");
  bert->Send(group, "After the goose has rested.");
  anna->Expect(group, {"After the goose has rested."});
  Say("   Bert opens his desktop for the first time: it syncs everything from the start.");
  auto desktop = stage.Make("bert", "desktop");
  desktop->ShowOwn();
  desktop->GoOnline();
  desktop->Expect(group, {"Who flies south this week?", "Me!", "After the goose has rested."});
  desktop->Expect(talk, letters);

  std::ofstream ids(stage.stores + "/scene");
  ids << talk.a << ' ' << talk.b << ' ' << group.b << '\n';
  if (!ids.flush()) Fail("cannot write to " + stage.stores);
}

void After(const Stage& stage) {
  Conversation talk, group;
  std::ifstream ids(stage.stores + "/scene");
  if (!(ids >> talk.a >> talk.b >> group.b)) Fail("play `talk` first");
  auto bert = stage.Make("bert", "phone");
  bert->GoOnline();
  const auto letters = bert->History(talk);
  const auto flight = bert->History(group);
  if (letters.size() != 5 || flight.size() != 4) {
    Fail("history has " + std::to_string(letters.size()) + " and " + std::to_string(flight.size()) +
         " messages, 5 and 4 were acknowledged");
  }
  if (bert->received_of_others() > 0) Fail("something came twice");
  Say("   5 letters and 4 group messages were acknowledged: 5 and 4 are there, none came twice.");
  bert->Send(talk, "Still here.");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: scene HOST:PORT STORES PASSWORD talk|after\n");
    return 2;
  }
  const Stage stage{argv[1], argv[2], argv[3]};
  if (std::string(argv[4]) == "talk") {
    Talk(stage);
  } else {
    After(stage);
  }
  return 0;
}
