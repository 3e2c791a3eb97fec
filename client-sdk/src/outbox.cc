#include "client-sdk/src/outbox.h"

#include <algorithm>
#include <utility>

#include "client-sdk/src/codec.h"
#include "client-sdk/src/wire.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/message.pb.h"

namespace hongyan::sdk {
namespace {

// The server reads 64 requests ahead per connection; heartbeats and calls need room among them.
constexpr size_t kMaxInFlight = 32;

// What SendMessage needs around its body, generously.
constexpr size_t kEnvelopeBytes = 256;

// After a store that did not take an id.
constexpr int64_t kStorePauseMs = 1000;

constexpr int64_t kBusyMinMs = 50;
constexpr int64_t kBusyMaxMs = 10'000;

// Refused for now, or not known to be refused: the same bytes again. Everything else is the
// message's end.
bool IsForNow(const Error& error) {
  switch (error.reason) {
    case Reason::kBusy:
    case Reason::kDraining:
    case Reason::kStoreStopped:
    case Reason::kDiskReserve:
    case Reason::kNotLoggedIn:
      return true;
    default:
      break;
  }
  return error.retry_after_ms > 0 || error.code == Code::kUnavailable ||
         error.code == Code::kDeadlineExceeded;
}

}  // namespace

Outbox::Outbox(Runtime& runtime, const Options& options, Session& session, Saver& saver,
               std::vector<UnsentMessage> unsent, Events events)
    : runtime_(runtime),
      options_(options),
      session_(session),
      saver_(saver),
      events_(std::move(events)),
      wait_(runtime, [this] { Pump(); }),
      deadline_(runtime, [this] { OnDeadlines(); }) {
  for (UnsentMessage& message : unsent) {
    Item item;
    item.may_have_left = !message.client_msg_id.empty();
    item.state = State::kWaiting;
    item.message = std::move(message);
    QueueOf(item.message.conversation).items.push_back(std::move(item));
    ++size_;
  }
}

Outbox::Queue& Outbox::QueueOf(const Conversation& conversation) {
  const auto at = queues_.find(conversation);
  if (at != queues_.end()) return at->second;
  return queues_.emplace(conversation, Queue{{}, false, 0, Backoff(kBusyMinMs, kBusyMaxMs)})
      .first->second;
}

Outbox::Item* Outbox::Find(const Conversation& conversation, int64_t number) {
  const auto at = queues_.find(conversation);
  if (at == queues_.end()) return nullptr;
  auto& items = at->second.items;
  const auto item = std::lower_bound(items.begin(), items.end(), number,
                                     [](const Item& i, int64_t n) { return i.message.number < n; });
  return item == items.end() || item->message.number != number ? nullptr : &*item;
}

void Outbox::Add(int64_t number, const Conversation& to, std::string body, int timeout_ms,
                 Callback<Sent> done) {
  if (size_ >= options_.max_unsent) {
    const Error full{
        Code::kResourceExhausted, Reason::kLimitReached,
        std::to_string(size_) + " messages wait for the server already: try again later"};
    if (done) done(full);
    events_.on_sent(number, to, full);
    return;
  }
  Item item;
  item.message = {
      .number = number, .conversation = to, .client_msg_id = {}, .body = std::move(body)};
  // Without the server's clock the id waits for it: one that is 5 minutes ahead or 7 days old is
  // refused.
  if (session_.clock_known()) item.message.client_msg_id = UuidV7(session_.server_now_ms());
  item.done = std::move(done);
  if (item.done && timeout_ms > 0) {
    item.due_ms = runtime_.now_ms() + timeout_ms;
    deadlines_.emplace(std::pair{item.due_ms, number}, to);
    ArmDeadlines();
  }
  saver_.store().PutUnsent(item.message);
  saver_.Mark(Store::Durability::kDurable);
  saving_.emplace_back(to, number);
  QueueOf(to).items.push_back(std::move(item));
  ++size_;
}

void Outbox::OnCommitted(const Result<Done>& result) {
  const auto saved = std::exchange(saving_, {});
  for (const auto& [conversation, number] : saved) {
    Item* item = Find(conversation, number);
    if (item == nullptr) continue;
    if (result.ok()) {
      item->state = State::kWaiting;
    } else if (item->state == State::kAssigning) {
      item->state = State::kWaiting;  // it has not left, so it may get another id later
      item->message.client_msg_id.clear();
      Queue& queue = QueueOf(conversation);
      queue.not_before_ms = runtime_.now_ms() + kStorePauseMs;
    } else {
      // It is not in the store, so it does not leave: the caller is told and nothing else happened.
      Queue& queue = QueueOf(conversation);
      Item failed = std::move(*item);
      queue.items.erase(
          std::find_if(queue.items.begin(), queue.items.end(),
                       [n = number](const Item& i) { return i.message.number == n; }));
      if (queue.items.empty()) queues_.erase(conversation);
      --size_;
      deadlines_.erase({failed.due_ms, number});
      if (failed.done) failed.done(result.error());
      events_.on_sent(number, conversation, result.error());
    }
  }
  Pump();
}

void Outbox::OnReady(size_t max_frame_bytes) {
  max_frame_bytes_ = max_frame_bytes;
  Pump();
}

void Outbox::OnLost() {
  caught_up_ = false;
  in_flight_ = 0;
  for (auto& [conversation, queue] : queues_) {
    queue.in_flight = false;
    queue.not_before_ms = 0;
  }
}

void Outbox::OnCaughtUp() {
  caught_up_ = true;
  Pump();
}

void Outbox::OnOwn(const Conversation& conversation, const std::string& client_msg_id,
                   const Sent& sent) {
  const auto at = queues_.find(conversation);
  if (at == queues_.end()) return;
  const Item& front = at->second.items.front();
  if (front.message.client_msg_id != client_msg_id) return;  // only the first can have left
  Finish(conversation, sent);
  Pump();
}

// ---- leaving ----

void Outbox::Pump() {
  if (session_.link() == nullptr) return;
  const int64_t now = runtime_.now_ms();
  int64_t next_ms = INT64_MAX;
  // Finishing one (too large) may call back, never changes the map from inside; erasing is safe
  // here.
  for (auto at = queues_.begin(); at != queues_.end() && in_flight_ < kMaxInFlight;) {
    const Conversation conversation = at->first;
    Queue& queue = (at++)->second;
    if (queue.in_flight) continue;
    if (queue.not_before_ms > now) {
      next_ms = std::min(next_ms, queue.not_before_ms);
      continue;
    }
    while (PumpOne(conversation, queue)) {
    }
  }
  if (next_ms != INT64_MAX && (!wait_.armed() || next_ms < wait_.due_ms()))
    wait_.Arm(next_ms - now);
}

// True: the first one was settled without leaving and there is another.
bool Outbox::PumpOne(const Conversation& conversation, Queue& queue) {
  Item& front = queue.items.front();
  if (front.state != State::kWaiting) return false;
  if (front.may_have_left && !caught_up_) return false;
  if (front.message.body.size() + kEnvelopeBytes > max_frame_bytes_) {
    const bool last = queue.items.size() == 1;
    Finish(conversation,
           Error{Code::kInvalidArgument, Reason::kTooLarge,
                 "the message has " + std::to_string(front.message.body.size()) +
                     " bytes, the server takes frames of " + std::to_string(max_frame_bytes_)});
    return !last;
  }
  if (front.message.client_msg_id.empty()) {
    front.message.client_msg_id = UuidV7(session_.server_now_ms());
    front.state = State::kAssigning;
    saver_.store().PutUnsent(front.message);
    saver_.Mark(Store::Durability::kDurable);
    saving_.emplace_back(conversation, front.message.number);
    return false;
  }
  Transmit(conversation, queue);
  return false;
}

void Outbox::Transmit(const Conversation& conversation, Queue& queue) {
  Item& front = queue.items.front();
  front.may_have_left = true;
  queue.in_flight = true;
  ++in_flight_;
  v1::SendMessage send;
  *send.mutable_conversation() = ToWire(conversation);
  send.set_client_msg_id(front.message.client_msg_id);
  send.set_body(front.message.body);
  Ask<v1::SendMessageReply>(
      *session_.link(), v1::SEND_MESSAGE, send.SerializeAsString(),
      options_.timing.request_timeout_ms, "send",
      [this, conversation, number = front.message.number](Result<v1::SendMessageReply> reply) {
        if (reply.ok()) {
          OnAnswer(conversation, number, Sent{reply->conv_seq(), reply->time_ms()});
        } else {
          OnAnswer(conversation, number, reply.error());
        }
      });
}

void Outbox::OnAnswer(const Conversation& conversation, int64_t number,
                      const Result<Sent>& result) {
  const auto at = queues_.find(conversation);
  // It may have come back in the inbox before its answer: then it is settled, and another may be
  // under way.
  const bool current = at != queues_.end() && at->second.in_flight &&
                       at->second.items.front().message.number == number;
  if (current) {
    Queue& queue = at->second;
    if (result.ok() || !IsForNow(result.error())) {
      if (result.ok()) events_.on_acknowledged(queue.items.front().message.client_msg_id);
      Finish(conversation, result);
    } else {
      queue.in_flight = false;
      --in_flight_;
      queue.not_before_ms = runtime_.now_ms() + queue.backoff.Next(result.error().retry_after_ms);
    }
  }
  if (!result.ok()) {
    if (result.error().reason == Reason::kNotLoggedIn) session_.Drop(result.error());
    if (result.error().code == Code::kDeadlineExceeded) session_.Suspect();
  }
  Pump();
}

// The first one of the conversation is settled.
void Outbox::Finish(const Conversation& conversation, const Result<Sent>& result) {
  const auto at = queues_.find(conversation);
  Queue& queue = at->second;
  const Item item = std::move(queue.items.front());
  queue.items.pop_front();
  if (std::exchange(queue.in_flight, false)) --in_flight_;
  queue.backoff.Reset();
  queue.not_before_ms = 0;
  if (queue.items.empty()) queues_.erase(at);
  --size_;
  deadlines_.erase({item.due_ms, item.message.number});
  saver_.store().RemoveUnsent(item.message.number);
  // Should this be lost, the message is sent again and the server knows it.
  saver_.Mark(Store::Durability::kWritten);
  if (item.done) item.done(result);
  events_.on_sent(item.message.number, conversation, result);
}

// ---- callbacks that wait ----

void Outbox::ArmDeadlines() {
  if (deadlines_.empty()) return;
  const int64_t due_ms = deadlines_.begin()->first.first;
  if (!deadline_.armed() || due_ms < deadline_.due_ms()) deadline_.Arm(due_ms - runtime_.now_ms());
}

void Outbox::OnDeadlines() {
  const int64_t now = runtime_.now_ms();
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    const auto [key, conversation] = *deadlines_.begin();
    deadlines_.erase(deadlines_.begin());
    if (Item* item = Find(conversation, key.second)) {
      const Callback<Sent> done = std::exchange(item->done, {});
      done(Error{Code::kDeadlineExceeded, Reason::kNone,
                 "the message is still on its way: on_sent tells what comes of it"});
    }
  }
  ArmDeadlines();
}

void Outbox::CancelWaiting(const Error& why) {
  deadlines_.clear();
  deadline_.Disarm();
  std::vector<Callback<Sent>> waiting;
  for (auto& [conversation, queue] : queues_) {
    for (Item& item : queue.items) {
      if (item.done) waiting.push_back(std::exchange(item.done, {}));
    }
  }
  for (const Callback<Sent>& done : waiting) done(why);
}

}  // namespace hongyan::sdk
