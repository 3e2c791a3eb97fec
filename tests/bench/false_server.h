#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "false_bank.h"
#include "hongyan/v1/admin.pb.h"
#include "hongyan/v1/message.pb.h"
#include "proto/frame.h"

namespace hongyan::bench {

// A server without a store that speaks just enough of the protocol for the tool's modes, and lies
// on demand: so that tests see the tool notice each kind of lie. One user is lied to, once. Runs on
// a thread of its own.
class FalseServer {
 public:
  enum class Lie {
    kNone,
    kForgets,         // an acknowledged message never reaches one member
    kTellsTwice,      // one message under two seqs
    kJumps,           // a seq is left out
    kSwaps,           // two messages of a conversation in the wrong order
    kChangesAByte,    // of one body
    kStoresTwice,     // the same send stored twice, under two places
    kRepeats,         // a sync reply begins with what the cursor had confirmed
    kNeverDelivers,   // nothing reaches one member after some messages
    kGivesPlaceTwice  // two acks with the same place
  };

  // `folder` must exist; the admin socket is made in it.
  FalseServer(const std::string& folder, Lie lie, FalseBank::Lie money = FalseBank::Lie::kNone);
  ~FalseServer();
  FalseServer(const FalseServer&) = delete;
  FalseServer& operator=(const FalseServer&) = delete;

  const std::string& address() const { return address_; }
  const std::string& admin_path() const { return admin_path_; }
  // The lie was told.
  bool lied() const { return lied_ || bank_.lied(); }

 private:
  struct Connection {
    int fd = -1;
    proto::FrameSplitter frames{64 << 20};
    int64_t user = 0;
    bool notified = false;
  };
  struct Talk {
    std::vector<int64_t> members;
    int64_t last = 0;
    int64_t given = 0;  // messages of users
    std::map<std::string, int64_t> ids;
  };
  using TalkId = std::pair<int64_t, int64_t>;
  struct Delayed {
    int64_t due_ms;
    int fd;
    std::string bytes;
  };

  void Serve();
  bool Read(Connection& connection);
  void Handle(Connection& connection, const proto::Frame& frame);
  void Answer(Connection& connection, const proto::FrameHeader& header, const std::string& payload);
  void OnSend(Connection& connection, const proto::Frame& frame);
  void OnSync(Connection& connection, const proto::Frame& frame);
  void OnAdmin(Connection& connection, const proto::Frame& frame);
  void OnMoney(Connection& connection, const proto::Frame& frame);
  void OnLeave(Connection& connection, const proto::Frame& frame);
  v1::Reason AdminMoney(const v1::AdminRequest& request, v1::AdminReply* reply);
  FalseBank::House House();
  void AnswerDelayed();
  void MakeGroup(const v1::AdminCreateGroup& wanted, v1::AdminReply* reply);
  void Store(const TalkId& id, Talk& talk, int64_t sender, const v1::SendMessage& send,
             v1::BodyKind kind, const std::string& sender_id = {});
  void Deliver(int64_t member, v1::Entry entry);
  void Notify();
  bool LieNow(Lie lie, int64_t member);

  const Lie lie_;
  std::atomic<bool> lied_{false};
  std::string address_;
  std::string admin_path_;
  int tcp_fd_ = -1;
  int admin_fd_ = -1;
  int stop_fd_[2] = {-1, -1};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<std::string, int64_t> users_;
  std::map<int64_t, std::vector<v1::Entry>> inboxes_;
  std::map<int64_t, int64_t> heads_;
  std::map<TalkId, Talk> talks_;
  v1::Entry held_;  // kSwaps: comes after the next
  int64_t held_for_ = 0;
  int64_t victim_ = 0;
  FalseBank bank_;
  int64_t money_answers_ = 0;
  std::vector<Delayed> delayed_;
  std::thread thread_;
};

}  // namespace hongyan::bench
