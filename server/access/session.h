#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "access/desk.h"
#include "access/told.h"
#include "hongyan/v1/command.pb.h"
#include "net/connection.h"
#include "net/timer_wheel.h"

namespace hongyan::access {

struct Joining;  // what only a login under way needs

// One client connection, from its first frame to its end. Kept small: most sessions of a server are
// idle.
//
// A request that needs more than memory (a reader, a password's hash) holds the connection: frames
// after it wait until it is answered. So requests of one connection keep their order, and one Sync
// is in flight per device, without a queue of our own. Loop thread.
class Session final : public net::ConnectionHandler {
 public:
  Session(Desk& desk, net::Connection& connection);
  ~Session() override;

  void OnFrame(net::Connection& connection, const proto::Frame& frame) override;
  void OnFrameTooLarge(net::Connection& connection, const proto::FrameHeader& header) override;
  void OnClosed(net::Connection& connection, net::CloseReason reason) override;

  Desk& desk() { return desk_; }
  net::Connection& connection() { return connection_; }
  uint64_t name() const { return name_; }
  model::UserId user() const { return user_; }
  model::DeviceId device() const { return device_; }
  bool online() const { return state_ == State::kOnline; }

  // -- answers

  void Answer(uint16_t command, uint32_t request_id, const google::protobuf::MessageLite& reply);
  void Answer(uint16_t command, uint32_t request_id, std::string_view encoded);
  // Of stored data that is broken the log hears what and where, the client only that it is.
  void Refuse(uint16_t command, uint32_t request_id, const base::Error& error);

  // False: not a message of this type; the request is answered with an error.
  bool Parse(const proto::Frame& frame, google::protobuf::MessageLite& message);

  // -- what takes longer

  // Queues a command for the request's shard; counts it as in flight until request.replied has run.
  void Submit(const proto::Frame& frame, model::ShardId shard, model::CommandBody body) {
    Submit(frame.header.command, frame.header.request_id, shard, std::move(body));
  }
  void Submit(uint16_t command, uint32_t request_id, model::ShardId shard, model::CommandBody body);

  // Runs work() on `pool` while the connection is held, then finish(session, result) here if the
  // session still lives; if it ends while the work is queued, that is dropped. work must not touch
  // the session. False: the pool is full, and the request was refused as BUSY.
  template <class Work, class Finish>
  bool OnPool(base::WorkerPool& pool, uint16_t command, uint32_t request_id, Work work,
              Finish finish);

  // Desk only: a reply to what was submitted has been handled.
  void Replied(const Request& request);

  // -- life

  // Desk and joining.cc: see the states below.
  void Greet();
  // A login is under way, until it has failed or made the session online; the login timeout and the
  // peer's going end it.
  void BeginLogin(std::unique_ptr<Joining> joining);
  void BeginJoining();
  Joining* joining() { return joining_.get(); }  // null: no login is under way
  void FailJoining(const base::Error& error);
  void BecomeOnline();
  // A mistake before login; after a few of them the connection is closed.
  void Misused();

  // Effects of the user.
  void Heard(const model::HeadMoved& moved);
  void Heard(const model::SessionsEnded& ended);
  void Heard(const model::WalletChanged& changed);

  // Says why (END_*), then closes after what is queued.
  void End(v1::EndReason reason, int64_t retry_after_ms);

  // Takes no more requests, answers what is in flight, then End(END_DRAINING).
  void Drain();

  // The last answer is on its way: logging out. Effects no longer concern it.
  void CloseAfterAnswer();

  // -- its inbox

  Told& told() { return told_; }
  // Sends the notify that is due, if any.
  void Tell();
  // The device confirmed this cursor: passed on to its shard at most once a minute.
  void Confirm(model::Seq cursor);

  Session* next_of_user = nullptr;  // Desk's list

 private:
  enum class State : uint8_t {
    kNew,      // waits for Hello
    kGreeted,  // waits for a login, or for the password's hash
    kJoining,  // credentials are good; effects are heard already
    kOnline,
    kEnding,  // told to go; only waits for the connection to close
  };

  bool MayAsk(const Request& request, const proto::Frame& frame);
  void Hold();
  void SendError(uint16_t command, uint32_t request_id, const base::Error& error);
  void Release();
  void FinishDraining();
  void StopHearing();
  void DropJob();
  void OnLoginTimer();
  void ArmAt(int64_t due_ms);
  void OnTimer();
  void ConfirmNow();

  Desk& desk_;
  net::Connection& connection_;
  const uint64_t name_;
  model::UserId user_;
  model::DeviceId device_;
  int64_t number_ = 0;  // of the session, by the user's shard
  Told told_;
  model::Seq cursor_;     // confirmed by the device
  model::Seq confirmed_;  // and passed on
  int64_t confirmed_at_ms_ = 0;
  int64_t heard_ms_;  // last sign of life
  int64_t timer_ms_ = 0;
  int64_t login_by_ms_;
  base::WorkerPool* pool_ = nullptr;  // that of the job
  uint64_t job_ = 0;                  // queued or under way there; 0 = none
  std::unique_ptr<Joining> joining_;
  net::TimerNode timer_;
  uint8_t in_flight_ = 0;
  uint8_t held_ = 0;
  uint8_t mistakes_ = 0;
  bool draining_ = false;
  bool registered_ = false;
  State state_ = State::kNew;
};

template <class Work, class Finish>
bool Session::OnPool(base::WorkerPool& pool, uint16_t command, uint32_t request_id, Work work,
                     Finish finish) {
  Hold();
  Desk* const desk = &desk_;
  const uint64_t name = name_;
  const uint64_t job =
      pool.Submit([desk, name, work = std::move(work), finish = std::move(finish)]() mutable {
        desk->loop().Post([desk, name, finish = std::move(finish), result = work()]() mutable {
          Session* session = desk->FindSession(name);
          if (session == nullptr) return;
          session->job_ = 0;
          finish(*session, std::move(result));
          session = desk->FindSession(name);
          if (session != nullptr) session->Release();
        });
      });
  if (job == 0) {
    Refuse(command, request_id, desk_.services().admission.Busy());
    Release();
    return false;
  }
  pool_ = &pool;
  job_ = job;
  return true;
}

}  // namespace hongyan::access
