#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "hongyan/v1/group.pb.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/money.pb.h"
#include "hongyan/v1/session.pb.h"
#include "tests/unit/client-sdk/fake_server.h"

// A small model of Hongyan's wire behaviour for tests of the SDK: users with inboxes, 1:1 messages
// with dedup, sync by cursor, notifies. And it misbehaves as told. Users exist by their first
// mention, everyone's password is "secret". All state under mutex(); `knobs` may be changed while
// holding it.
class FakeHongyan {
 public:
  struct Knobs {
    // Refuse a send, a login, a sync: asked each time; none = go on.
    std::function<std::optional<hongyan::v1::Error>(const hongyan::v1::SendMessage&)> refuse_send =
        {};
    std::function<std::optional<hongyan::v1::Error>()> refuse_login = {};
    std::function<std::optional<hongyan::v1::Error>(int64_t cursor)> refuse_sync = {};
    std::function<void(hongyan::v1::SyncReply&)> change_sync_reply = {};
    int lose_acks = 0;  // so many sends are stored, then the connection closes without an answer
    bool answer_sends = true;    // false: stored, and nothing is said
    bool answer_packets = true;  // false: taken, and nothing is said
    bool answer_heartbeats = true;
    bool notify = true;
    bool tell_head = true;  // in login and heartbeat replies; else -1
    uint32_t heartbeat_ms = 0;
    uint32_t sync_limit = 100;
    uint32_t max_frame_bytes = 1 << 20;
    int64_t clock_ahead_ms = 0;
  };
  // What was seen, for checking.
  struct Seen {
    std::vector<hongyan::v1::SendMessage> sends = {};  // every one that came, refused ones too
    std::vector<hongyan::v1::SendPacket> packets = {};
    std::vector<int64_t> sync_cursors = {};
    int password_logins = 0;
    int token_logins = 0;
    int accepted = 0;
    int heartbeats = 0;
    std::vector<std::string> order = {};  // names of the commands, as they came
  };

  explicit FakeHongyan(int port = 0);
  ~FakeHongyan();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // As killing the process and starting it again on its data: connections break, the state stays.
  void GoDown();
  void ComeBack();

  std::recursive_mutex& mutex() { return mutex_; }
  Knobs knobs;
  Seen seen;

  // ---- deeds of the test; they take the lock ----
  int64_t UserIdOf(const std::string& name);
  // A text from one user to another, as if a client of `from` had sent it. Answers its conv_seq.
  int64_t Say(const std::string& from, const std::string& to, const std::string& text);
  void RevokeTokens(const std::string& name);
  void End(const std::string& name, hongyan::v1::EndReason reason, int64_t retry_after_ms = 0);
  void RaiseGeneration();
  // The same, and this user's head is in it already, without an entry.
  void RaiseGenerationOf(const std::string& name);
  void LoseInbox(const std::string& name);  // as a restore from an old copy
  // The texts of a 1:1 conversation, in order.
  std::vector<std::string> Texts(const std::string& one, const std::string& other);
  int64_t HeadOf(const std::string& name);

 private:
  struct Inbox {
    std::vector<hongyan::v1::Entry> entries;
    int64_t head = 0;
  };
  struct Conversation {
    std::vector<hongyan::v1::Message> messages;
    std::map<std::string, std::pair<std::string, int64_t>>
        by_id;  // client_msg_id -> body, conv_seq
  };

  void OnFrame(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnLogin(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnSend(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnSendPacket(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnSync(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnHistory(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void OnFindUser(int from, const hongyan::proto::FrameHeader& header, std::string_view payload);
  void Refuse(int to, const hongyan::proto::FrameHeader& header, const hongyan::v1::Error& error);
  int64_t Store(int64_t sender, const hongyan::v1::ConversationId& to,
                const std::string& client_msg_id, const std::string& body, int except);
  void Put(int64_t user, const hongyan::v1::Entry& entry, int except);
  int64_t NowMs() const;

  std::recursive_mutex mutex_;
  int port_ = 0;
  std::map<std::string, int64_t> users_;
  std::map<std::string, int64_t> tokens_;  // -> user
  std::map<int64_t, Inbox> inboxes_;
  std::map<std::pair<int64_t, int64_t>, Conversation> conversations_;
  std::map<int, int64_t> sessions_;         // connection -> user
  std::map<std::string, int64_t> packets_;  // request id -> packet
  int64_t generation_ = 0;
  int64_t last_session_ = 0;
  std::unique_ptr<FakeServer> server_;
};

hongyan::v1::Error MakeError(hongyan::v1::Code code, hongyan::v1::Reason reason,
                             int64_t retry_after_ms = 0);
