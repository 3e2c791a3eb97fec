#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hongyan/v1/error.pb.h"
#include "load_client.h"

namespace hongyan::bench {

// Requests of one client, each repeated with the same bytes until the server has answered it for
// good: after a lost connection, after a refusal that may pass, and, where the client is an
// impatient one, after the time it cares to wait. Load thread.
class Asker {
 public:
  struct Reply {
    std::string_view payload;  // of the answer; valid during the callback
    const v1::Error* refused;  // null = answered
    int64_t asked_ns;          // when it was asked first, or planned
    int64_t now_ns;

    template <class Message>
    bool Read(Message& into) const {
      return into.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
    }
  };
  using OnReply = std::function<void(const Reply&)>;

  // `client` outlives it, or goes offline before; its owner passes on OnOnline.
  Asker(LoadThread& thread, LoadClient& client) : thread_(thread), client_(client) {}
  ~Asker();
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  // Leaves now, or as soon as the client is online. on_reply is never called from inside; it may
  // ask again. A callback that captures at most two pointers costs no allocation.
  void Ask(uint16_t command, std::string_view payload, int64_t asked_ns, OnReply on_reply);

  // The client is logged in (again): what it asked goes out once more.
  void OnOnline();

  // Repeats what has no answer after so long, then after twice that, and so on. 0 = waits as long
  // as a connection may take.
  void SetPatience(int ms) { patience_ms_ = ms; }

  size_t waiting() const { return waiting_; }

 private:
  struct Call {
    Call(Asker& a, LoadThread& thread) : asker(a), timer(thread.runtime, [this] { Transmit(); }) {}
    void Transmit() { asker.Transmit(*this); }

    Asker& asker;
    uint16_t command = 0;
    bool busy = false;  // asked, not answered for good
    bool left = false;  // at least once
    uint8_t tries = 0;
    int64_t asked_ns = 0;
    std::string payload;
    OnReply on_reply;
    sdk::Timer timer;  // a pause that the server asked for
  };

  void Transmit(Call& call);
  void OnAnswer(Call& call, const sdk::Answer& answer);
  void OnTimedOut(Call& call);
  void Finish(Call& call, const sdk::Answer& answer, const v1::Error* refused);
  int TimeoutOf(const Call& call) const;

  LoadThread& thread_;
  LoadClient& client_;
  int patience_ms_ = 0;
  size_t waiting_ = 0;
  std::vector<std::unique_ptr<Call>> calls_;  // used again
  std::vector<Call*> free_;
};

}  // namespace hongyan::bench
