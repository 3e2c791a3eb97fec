#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client-sdk/src/link.h"
#include "client-sdk/src/runtime.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/session.pb.h"
#include "order_check.h"
#include "tally.h"

namespace hongyan::bench {

// A user of the load with one device.
struct Account {
  int64_t user_id = 0;
  std::string name;
  std::string device_id;
  std::string token;
};

// What all clients on one load thread share: where the server is, and messages that are used again
// and again so that the hot path does not allocate. Load thread.
struct LoadThread {
  LoadThread(Runtime& on, Tally& to, uint64_t seed) : runtime(on), tally(to), random(seed) {}

  Runtime& runtime;
  Tally& tally;
  std::mt19937_64 random;
  std::string address;
  int64_t server_ahead_ms = 0;  // server's clock minus ours, learnt at login

  // A request id, 16 bytes: a UUIDv7 by the server's clock.
  void DrawId(char* id);

  v1::SendMessage send;
  v1::SendMessageReply sent;
  v1::Sync sync;
  v1::SyncReply synced;
  v1::Notify notify;
  std::string payload;
};

// Monotonic; what latencies are measured with.
int64_t NowNs();

// One device on the bare wire, below the SDK's own filter: connects, logs in by token, sends one
// message at a time, pulls after each notify, and counts what the protocol forbids. A lost
// connection is made again after a short back-off; an unacknowledged send is repeated with the same
// id and the same bytes, and syncing goes on from the cursor. Load thread.
class LoadClient {
 public:
  struct Conversation {
    int64_t a = 0;
    int64_t b = 0;
  };

  // Whoever runs the load. Calls come on the load thread; a client may not be destroyed inside
  // them.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnOnline(LoadClient&) {}
    virtual void OnAcked(LoadClient&, int64_t conv_seq, int64_t now_ns) = 0;
    // An entry that passed the checks of the wire, in the order of arrival.
    virtual void OnEntry(LoadClient&, const v1::Entry& entry, int64_t now_ns) = 0;
    virtual void OnHead(LoadClient&, int64_t head) { (void)head; }
    // Money came back: an entry without a message.
    virtual void OnReturned(LoadClient&, const v1::Entry& entry) { (void)entry; }
  };

  enum class Pulls : bool { kNo, kYes };

  // `thread`, `owner` and `account` outlive the client. `source` is an address of ours or empty.
  LoadClient(LoadThread& thread, Owner& owner, const Account& account, std::string source,
             Pulls pulls, uint32_t index);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Connects and stays connected until GoOffline.
  void GoOnline();
  void GoOffline();

  // REQUIRES !sending(). Leaves now, or as soon as the client is online.
  void Send(const Conversation& to, std::string_view body);

  // Asks for what is above the cursor, notified or not.
  void Pull();
  // From now on it pulls (or does not) when notified and at login.
  void SetPulls(Pulls pulls) { pulls_ = pulls == Pulls::kYes; }

  // How long it waits after a notify before it pulls; 0 (at first) = not at all.
  void SetPullPause(int pause_ms) { pull_pause_ms_ = pause_ms; }

  // Answered by Owner::OnHead.
  void Heartbeat();

  bool online() const { return state_ == State::kOnline; }
  bool wanted_online() const { return state_ != State::kOffline; }
  bool sending() const { return !body_.empty(); }
  bool syncing() const { return syncing_; }
  int64_t cursor() const { return cursor_; }
  uint32_t index() const { return index_; }
  const Account& account() const { return account_; }
  // REQUIRES online(). For load of another shape on the same connection.
  sdk::Link* link() { return link_.get(); }

 private:
  enum class State : uint8_t { kOffline, kWaiting, kConnecting, kOnline };

  void Connect();
  void SayHello();
  void OnHello(const sdk::Answer& answer);
  void OnLogin(const sdk::Answer& answer);
  void OnLoginRefused(const sdk::Answer& answer);
  void OnDown();
  void ReconnectAfter(int64_t delay_ms);
  void OnTimer();
  void OnPush(uint16_t command, std::string_view payload);

  void Transmit();
  void Finished();
  void OnSent(const sdk::Answer& answer);
  void OnSendRefused(const sdk::Answer& answer);
  void StartSync();
  void OnSynced(const sdk::Answer& answer);
  void TakeEntry(const v1::Entry& entry, int64_t now_ns);
  bool NewInConversation(const v1::Entry& entry);
  void BreakLink();
  void Fail(const std::string& what);

  LoadThread& thread_;
  Owner& owner_;
  const Account& account_;
  const std::string source_;
  const uint32_t index_;
  State state_ = State::kOffline;
  bool pulls_;
  bool syncing_ = false;
  bool sync_again_ = false;
  bool transmitted_ = false;  // the send is on the wire of the present connection
  bool in_flight_ = false;    // the send has left at least once and has no answer
  bool was_online_ = false;
  uint8_t tries_ = 0;
  int pull_pause_ms_ = 0;
  std::unique_ptr<sdk::Link> link_;
  sdk::Timer timer_;  // back-off, a send that was refused for the moment, a pause before a pull

  int64_t cursor_ = 0;
  int64_t asked_ = 0;  // cursor of the sync in flight
  std::string body_;   // of the unacknowledged send
  Conversation to_;
  char message_id_[16] = {};
  struct Followed {
    int64_t a, b;
    OrderCheck places;
    int64_t first;
  };
  std::vector<Followed> followed_;
};

}  // namespace hongyan::bench
