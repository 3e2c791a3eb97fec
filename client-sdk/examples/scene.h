#pragma once

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

// The people of the scene: devices with real connections, which print what they send and receive.

namespace scene {

using hongyan::Client;
using hongyan::Conversation;

constexpr auto kPatience = std::chrono::seconds(20);

inline bool OnTerminal() { return isatty(STDOUT_FILENO) == 1; }

// A person's colour, so that the eye can follow.
inline std::string Coloured(const std::string& name, const std::string& text) {
  if (!OnTerminal()) return text;
  const std::map<std::string, int> colours{{"anna", 35}, {"bert", 36}, {"carl", 33}};
  const auto found = colours.find(name);
  return "\033[" + std::to_string(found == colours.end() ? 37 : found->second) + "m" + text +
         "\033[0m";
}

inline void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

// Reading takes a person a moment; a pipe needs none.
inline void Breathe(int ms) {
  if (OnTerminal()) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

[[noreturn]] inline void Fail(const std::string& why) {
  std::fprintf(stderr, "scene: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T Need(const std::string& what, hongyan::Result<T> result) {
  if (!result.ok()) Fail(what + ": " + result.error().text);
  return std::move(result).value();
}

// Amounts in yuan.
inline std::string Yuan(int64_t fen) {
  char text[32];
  std::snprintf(text, sizeof text, "%ld.%02ld", static_cast<long>(fen / 100),
                static_cast<long>(fen % 100));
  return text;
}

inline std::string TextOf(const hongyan::Message& message) {
  if (const auto* text = std::get_if<hongyan::Text>(&message.body)) return text->text;
  if (const auto* made = std::get_if<hongyan::GroupCreated>(&message.body)) {
    return "(group \"" + made->name + "\", " + std::to_string(made->members) + " members)";
  }
  if (const auto* packet = std::get_if<hongyan::RedPacket>(&message.body)) {
    return "🧧 " + packet->greeting;
  }
  if (const auto* transfer = std::get_if<hongyan::Transfer>(&message.body)) {
    return "💴 " + Yuan(transfer->amount_fen) + " yuan: " + transfer->note;
  }
  if (const auto* notice = std::get_if<hongyan::PacketNotice>(&message.body)) {
    switch (notice->what) {
      case hongyan::PacketNotice::What::kFinished:
        return "(the packet is empty)";
      case hongyan::PacketNotice::What::kRefunded:
        return "(the packet is over, " + Yuan(notice->amount_fen) + " yuan went back)";
      case hongyan::PacketNotice::What::kAccepted:
        return "(the transfer is accepted)";
      default:
        return "(the transfer is returned)";
    }
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
    events.on_packet_returned = [this](const hongyan::PacketReturned& returned) {
      Update([&] { returned_fen_[returned.packet] += returned.amount_fen; });
    };
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

  hongyan::PacketId SendPacket(const hongyan::PacketOrder& order, const std::string& shown) {
    const auto sent = Need(Name() + " sends a packet", client_->SendPacket(order).get());
    Say("  " + Coloured(person_, Name() + " ▸ " + shown));
    Breathe(700);
    return sent.packet;
  }

  // What this person got.
  int64_t Open(hongyan::PacketId packet) {
    const auto opened = Need(Name() + " opens a packet", client_->OpenPacket(packet).get());
    Say("  " + Coloured(person_, Name() + " opens it: " + Yuan(opened.amount_fen) + " yuan"));
    Breathe(400);
    return opened.amount_fen;
  }

  // Nobody gets twice from one packet: the first amount comes back.
  void OpenAgain(hongyan::PacketId packet, int64_t first) {
    const auto opened = Need(Name() + " opens a packet", client_->OpenPacket(packet).get());
    if (opened.amount_fen != first || !opened.already) Fail(Name() + " got a second share");
    Say("  " + Coloured(person_, Name() + " opens it again: still the same " + Yuan(first)));
    Breathe(400);
  }

  hongyan::Packet Detail(hongyan::PacketId packet) {
    return Need("look at a packet", client_->GetPacket(packet).get());
  }

  int64_t Balance() { return Need("look at the wallet", client_->GetWallet().get()).balance_fen; }

  // Credits reach a wallet a moment after the open is answered.
  void ExpectBalance(int64_t fen) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (Balance() != fen) {
      if (std::chrono::steady_clock::now() > end) {
        Fail(Name() + " has " + Yuan(Balance()) + " yuan and should have " + Yuan(fen));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  int64_t AwaitReturned(hongyan::PacketId packet) {
    Wait("get money back", [&] { return returned_fen_.count(packet) > 0; });
    std::lock_guard lock(mutex_);
    return returned_fen_[packet];
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
  std::map<hongyan::PacketId, int64_t> returned_fen_;
  std::map<Conversation, std::vector<std::string>> received_;
  std::unique_ptr<Client> client_;  // last: gone before what its callbacks use
};

struct Stage {
  std::string address, stores, password;
  std::unique_ptr<Device> Make(const std::string& person, const std::string& label) const {
    return std::make_unique<Device>(person, label, address, password, stores);
  }
};

// The second part: red packets and a transfer, with wallets that are not empty.
void Packets(const Stage& stage);

}  // namespace scene
