#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hongyan/result.h"
#include "hongyan/runtime.h"
#include "hongyan/store.h"
#include "hongyan/types.h"

namespace hongyan {

namespace sdk {
struct WireTap;
}

// How patient a client is. The defaults suit phones and desktops.
struct Timing {
  int connect_timeout_ms = 10'000;  // for the connection, and again for the login
  int request_timeout_ms = 10'000;  // for one answer of the server
  int reconnect_min_ms = 250;       // waits are drawn between 0 and min * 2^failures, up to max
  int reconnect_max_ms = 30'000;
  int background_reconnect_max_ms = 600'000;
  int sync_retry_min_ms = 250;  // after a failed sync, likewise
  int sync_retry_max_ms = 30'000;
  int idle_sync_ms = 1'000;  // from the last acknowledged send to the sync that fetches its copy
  int heartbeat_ms = 0;      // 0 = as the server advises
  int heartbeat_timeout_ms = 10'000;  // unanswered for so long = the connection is dead
};

struct Options {
  std::string address = {};  // "host:port", "[v6]:port" or "unix:/path"

  // Who: a name and password, or a token the app has got elsewhere. After the first login the store
  // has a token of its own, which is tried first; the password is used again only when no token is
  // accepted.
  std::string user_name = {};
  std::string password = {};
  std::string token = {};

  // 16 bytes naming the installation. Empty (usual): drawn at the first start and kept in the
  // store. A token issued for a device needs that device's.
  std::string device_id = {};
  std::string device_class = "desktop";  // a label: phone, tablet, desktop, ...; at most 32 bytes
  std::string program = {};              // name and version, for the server's log

  std::shared_ptr<Store> store = {};      // required; OpenFileStore, or a MemoryStore for tests
  std::shared_ptr<Runtime> runtime = {};  // empty = a private one
  bool background = false;                // see SetBackground
  size_t max_unsent = 10'000;             // messages on their way; beyond it Send refuses
  Timing timing = {};

  std::string source_address = {};              // for load tools: bind to this local address
  std::shared_ptr<sdk::WireTap> wire_tap = {};  // for tools of this project
};

struct Connected {
  User me = {};
  int64_t session_number = 0;
};

enum class StopReason {
  kLoggedOut,       // Logout was called
  kReplaced,        // the same device logged in elsewhere
  kRevoked,         // the token is not accepted (any more) and there is no password: log in anew
  kDisabled,        // the account is disabled
  kBadCredentials,  // name or password are wrong
  kRefused,         // the server will not talk to this client: see the text
  kWrongStore,      // the store belongs to another user
};

// All optional. They run on the runtime's thread, one after another, in the order things happened;
// they may call the client's methods but not wait for their futures, and not destroy the client.
struct Events {
  std::function<void(const Connected&)> on_connected = {};

  // The connection is lost or could not be made; the next try comes after retry_in_ms.
  std::function<void(const Error& why, int64_t retry_in_ms)> on_disconnected = {};

  // The client has given up for good; make a new one to go on.
  std::function<void(StopReason, const std::string& text)> on_stopped = {};

  // A message, own ones included, in the order of the inbox; each once in the life of a process.
  // The cursor moves only after this has returned. When it comes to disk lags a little behind:
  // after a crash the last ones come again, so an app that keeps messages keeps them by
  // (conversation, conv_seq).
  std::function<void(const Message&)> on_message = {};

  // Members or facts of the group are other than before, or one has become a member or ceased to be
  // one.
  std::function<void(GroupId)> on_group_changed = {};

  // Everything the server had was handed over. After each connect, and after each later pull.
  std::function<void()> on_synced = {};

  // The server has trimmed what lay between the last message seen and the next: read it with
  // History.
  std::function<void()> on_truncated = {};

  // Money of a packet of mine came back, in the order of the inbox and as surely as a message.
  std::function<void(const PacketReturned&)> on_packet_returned = {};

  // The balance is not what it was; a hint that may be lost.
  std::function<void()> on_wallet_changed = {};

  // The fate of every message given to Send, those of earlier processes included.
  std::function<void(int64_t number, const Conversation&, const Result<Sent>&)> on_sent = {};

  // Something a person should know and the client goes on in spite of: the store cannot be written,
  // the server skips numbers.
  std::function<void(const Error&)> on_problem = {};
};

template <class T>
using Callback = std::function<void(Result<T>)>;

// What a client is doing.
struct Status {
  bool connected = false;
  bool stopped = false;
  User me = {};  // as of the last login, from the store before that
  int64_t cursor = 0;
  int64_t head = -1;  // newest seq the server has named; -1 = not heard yet
  size_t unsent = 0;
  int64_t clock_offset_ms = 0;  // server's clock minus ours
};

struct HistoryQuery {
  Conversation conversation = {};
  int64_t before = 0;    // conv_seq, exclusive; 0 = from the newest
  int64_t after = 0;     // exclusive
  uint32_t limit = 0;    // 0 = the server's choice
  bool forward = false;  // oldest first
};

constexpr int kDefaultTimeout = -1;  // timing.request_timeout_ms, twice
constexpr int kNoTimeout = 0;

// A user's device: keeps itself connected, hands over every message once and in order, brings every
// message on its way to the server exactly once, across lost connections, restarts of either side
// and crashes.
//
// Calls: each with a callback, or without one, answering a future. The callback is called exactly
// once, on the runtime's thread, never from inside the call. Without a connection a call waits for
// one until its timeout, and survives a lost one; a timeout (DEADLINE_EXCEEDED) leaves the outcome
// unknown. Any thread.
class Client {
 public:
  // Checks the options, loads the store and starts connecting. A bad option or an unusable store is
  // an error.
  static Result<std::unique_ptr<Client>> Open(Options options, Events events);

  // Disconnects. Calls that wait end with CANCELLED; unsent messages stay in the store and leave
  // when it is opened again. Any thread, but not from a callback.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Hands a message over for sending, durably: it leaves in the order of its conversation, now or
  // when there is a connection. Done when the server has it on disk, or has refused it. BUSY is
  // retried inside. After a timeout the message is still on its way: only Events::on_sent tells its
  // fate. Answers a number that names it in on_sent.
  int64_t Send(const Conversation& to, const Body& body, Callback<Sent> done,
               int timeout_ms = kNoTimeout);
  std::future<Result<Sent>> Send(const Conversation& to, const Body& body,
                                 int timeout_ms = kNoTimeout);

  void FindUser(const std::string& name, Callback<User> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<User>> FindUser(const std::string& name, int timeout_ms = kDefaultTimeout);
  void FindUser(UserId id, Callback<User> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<User>> FindUser(UserId id, int timeout_ms = kDefaultTimeout);

  void History(const HistoryQuery& query, Callback<Page<Message>> done,
               int timeout_ms = kDefaultTimeout);
  std::future<Result<Page<Message>>> History(const HistoryQuery& query,
                                             int timeout_ms = kDefaultTimeout);

  // `members` besides oneself. One command: all of them or an error.
  void CreateGroup(const std::string& name, const std::vector<UserId>& members,
                   Callback<GroupChange> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<GroupChange>> CreateGroup(const std::string& name,
                                               const std::vector<UserId>& members,
                                               int timeout_ms = kDefaultTimeout);

  void ChangeMembers(GroupId group, const std::vector<UserId>& add,
                     const std::vector<UserId>& remove, Callback<GroupChange> done,
                     int timeout_ms = kDefaultTimeout);
  std::future<Result<GroupChange>> ChangeMembers(GroupId group, const std::vector<UserId>& add,
                                                 const std::vector<UserId>& remove,
                                                 int timeout_ms = kDefaultTimeout);

  void LeaveGroup(GroupId group, Callback<GroupChange> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<GroupChange>> LeaveGroup(GroupId group, int timeout_ms = kDefaultTimeout);

  // By id, above `after`. Limit 0 = the server's choice.
  void ListGroups(GroupId after, uint32_t limit, Callback<Page<Group>> done,
                  int timeout_ms = kDefaultTimeout);
  std::future<Result<Page<Group>>> ListGroups(GroupId after = {}, uint32_t limit = 0,
                                              int timeout_ms = kDefaultTimeout);
  void GetGroup(GroupId group, Callback<Group> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Group>> GetGroup(GroupId group, int timeout_ms = kDefaultTimeout);
  void ListMembers(GroupId group, UserId after, uint32_t limit, Callback<Page<Member>> done,
                   int timeout_ms = kDefaultTimeout);
  std::future<Result<Page<Member>>> ListMembers(GroupId group, UserId after = {},
                                                uint32_t limit = 0,
                                                int timeout_ms = kDefaultTimeout);

  // -- money. BUSY and "funds are on their way" are waited out inside, until the timeout. After a
  // timeout the outcome of a send is unknown: GetSend, or the same order with its request id
  // (Error::request_id, where the order named none) again. Never the same order without it.

  // A UUIDv7 for PacketOrder::request_id. Its time is the device's until the first login.
  std::string NewRequestId();
  void SendPacket(const PacketOrder& order, Callback<PacketSent> done,
                  int timeout_ms = kDefaultTimeout);
  std::future<Result<PacketSent>> SendPacket(const PacketOrder& order,
                                             int timeout_ms = kDefaultTimeout);
  // NOT_FOUND: no such send is stored, or it was more than 8 days ago. It may still be on its way:
  // only the same order under the same request id may be sent again. A refused one is that error.
  void GetSend(const std::string& request_id, Callback<SendState> done,
               int timeout_ms = kDefaultTimeout);
  std::future<Result<SendState>> GetSend(const std::string& request_id,
                                         int timeout_ms = kDefaultTimeout);

  // Is there something for me? Cheap, reserves nothing.
  void GrabPacket(PacketId packet, Callback<Grabbed> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Grabbed>> GrabPacket(PacketId packet, int timeout_ms = kDefaultTimeout);
  // Takes my share, or accepts the transfer. Again: the same amount, `already`.
  void OpenPacket(PacketId packet, Callback<Opened> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Opened>> OpenPacket(PacketId packet, int timeout_ms = kDefaultTimeout);
  // As the one a transfer is for.
  void ReturnTransfer(PacketId packet, Callback<Done> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Done>> ReturnTransfer(PacketId packet, int timeout_ms = kDefaultTimeout);
  // Claims by ordinal, above `after`. Limit 0 = the server's choice.
  void GetPacket(PacketId packet, int32_t after, uint32_t limit, Callback<Packet> done,
                 int timeout_ms = kDefaultTimeout);
  std::future<Result<Packet>> GetPacket(PacketId packet, int32_t after = 0, uint32_t limit = 0,
                                        int timeout_ms = kDefaultTimeout);

  void GetWallet(Callback<Wallet> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Wallet>> GetWallet(int timeout_ms = kDefaultTimeout);
  // Postings with account_seq below `before` (0 = from the newest), newest first.
  void ListStatement(int64_t before, uint32_t limit, Callback<Page<StatementRow>> done,
                     int timeout_ms = kDefaultTimeout);
  std::future<Result<Page<StatementRow>>> ListStatement(int64_t before = 0, uint32_t limit = 0,
                                                        int timeout_ms = kDefaultTimeout);
  // What I sent or received in a year (0 = this one, as UTC+8 counts), newest first, with its
  // totals. `before` 0 = from the year's newest on; a page may be short and yet not the last.
  void GetPacketHistory(Which which, int32_t year, int64_t before, Callback<PacketHistory> done,
                        int timeout_ms = kDefaultTimeout);
  std::future<Result<PacketHistory>> GetPacketHistory(Which which, int32_t year = 0,
                                                      int64_t before = 0,
                                                      int timeout_ms = kDefaultTimeout);

  // Revokes this device's token, forgets it, and stops.
  void Logout(Callback<Done> done, int timeout_ms = kDefaultTimeout);
  std::future<Result<Done>> Logout(int timeout_ms = kDefaultTimeout);

  void GetStatus(Callback<Status> done);
  Status GetStatus();  // waits for the runtime's thread; not from a callback

  // In the background reconnects are slower. Coming back to the foreground connects or checks the
  // connection at once; so does a new network: call it again with false.
  void SetBackground(bool background);

 private:
  class Core;
  Client(std::shared_ptr<Runtime> runtime, std::unique_ptr<Core> core, int64_t last_number);
  std::shared_ptr<Runtime> runtime_;
  std::unique_ptr<Core> core_;  // runtime's thread
  std::mutex send_mutex_;       // guards last_number_ and the order of sends
  int64_t last_number_;
};

}  // namespace hongyan
