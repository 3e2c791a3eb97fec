#include "client-sdk/src/puller.h"

#include <algorithm>
#include <utility>

#include "client-sdk/src/codec.h"
#include "client-sdk/src/wire.h"
#include "client-sdk/src/wire_tap.h"
#include "hongyan/v1/command.pb.h"

namespace hongyan::sdk {
namespace {

// The top 24 bits of a seq are the store's generation: only where they change may numbers jump.
constexpr int kGenerationShift = 40;

// Who sends without pause still fetches the own copies this often.
constexpr int64_t kOwnCopyAtMostMs = 10'000;

constexpr size_t kMaxAwaited = 10'000;

// A jump is the server's mistake or damage: repeated, but not in haste.
constexpr int64_t kGapPauseMs = 1'000;

}  // namespace

Puller::Puller(Runtime& runtime, const Options& options, Session& session, Saver& saver,
               int64_t cursor, Events events)
    : runtime_(runtime),
      options_(options),
      session_(session),
      saver_(saver),
      events_(std::move(events)),
      retry_(runtime, [this] { PullIfNeeded(); }),
      backoff_(options.timing.sync_retry_min_ms, options.timing.sync_retry_max_ms),
      own_copy_(runtime,
                [this] {
                  unknown_ = true;
                  PullIfNeeded();
                }),
      cursor_(cursor) {}

void Puller::OnReady(UserId me, int64_t head) {
  me_ = me;
  if (head < 0) {
    unknown_ = true;
  } else {
    head_ = std::max(head_, head);
  }
  // A server that knows less than we have seen was restored: asking makes it say so.
  if (head >= 0 && head < cursor_) unknown_ = true;
  if (!unknown_ && head_ <= cursor_) {
    session_.Proven();
    events_.on_caught_up();
    events_.on_synced();
    return;
  }
  PullIfNeeded();
}

void Puller::OnLost() {
  in_flight_ = false;
  retry_.Disarm();
  own_copy_.Disarm();
  awaited_.clear();  // the next login's head tells
}

void Puller::OnHead(int64_t head) {
  head_ = std::max(head_, head);
  heard_ = std::max(heard_, head);
  PullIfNeeded();
}

void Puller::OnAcknowledged(const std::string& client_msg_id) {
  const int64_t now = runtime_.now_ms();
  if (awaited_.size() >= kMaxAwaited) return;  // a heartbeat finds the rest
  if (awaited_.empty()) awaited_since_ms_ = now;
  awaited_.insert(client_msg_id);
  const int64_t left_ms = awaited_since_ms_ + kOwnCopyAtMostMs - now;
  own_copy_.Arm(std::min<int64_t>(options_.timing.idle_sync_ms, std::max<int64_t>(left_ms, 0)));
}

void Puller::PullIfNeeded() {
  Link* link = session_.link();
  if (link == nullptr || in_flight_ || retry_.armed() || (!unknown_ && head_ <= cursor_)) return;
  unknown_ = false;
  in_flight_ = true;
  heard_ = -1;
  v1::Sync sync;
  sync.set_cursor(cursor_);
  Ask<v1::SyncReply>(
      *link, v1::SYNC, sync.SerializeAsString(), options_.timing.request_timeout_ms, "sync",
      [this, from = cursor_](Result<v1::SyncReply> reply) { OnReply(from, std::move(reply)); });
}

void Puller::OnFailed(const Error& error) {
  unknown_ = true;  // whatever notify does: it is repeated
  retry_.Arm(backoff_.Next(error.retry_after_ms));
}

void Puller::OnReply(int64_t asked_from, Result<v1::SyncReply> reply) {
  in_flight_ = false;
  if (!reply.ok()) {
    const Error& error = reply.error();
    OnFailed(error);
    if (error.reason == Reason::kCursorAhead) {
      events_.on_problem({error.code, error.reason,
                          "the server knows less than this device has seen (" + error.text +
                              "): was it restored without raising its generation?"});
    } else if (error.reason == Reason::kNotLoggedIn) {
      session_.Drop(error);
    } else if (error.code == Code::kDeadlineExceeded) {
      session_.Suspect();
    }
    return;
  }
  if (options_.wire_tap && options_.wire_tap->on_sync_reply) {
    options_.wire_tap->on_sync_reply(asked_from, *reply);
  }
  head_ = std::max(heard_, reply->head());  // what was heard before is answered by this
  const int64_t before = cursor_;
  const Taken taken = TakeEntries(*reply);
  // A generation this user has no entry of yet: nothing lies between, the cursor goes over to it.
  const int64_t head = reply->head();
  const bool begins = (head >> kGenerationShift) << kGenerationShift == head && head > cursor_;
  if (reply->entries().empty() && !reply->more() && begins) cursor_ = head;
  if (cursor_ != before) {
    saver_.store().SetCursor(cursor_);
    saver_.Mark(Store::Durability::kWritten);
  }
  if (session_.link() == nullptr) return;  // ended by what was handed over

  const bool stuck = cursor_ == before && (reply->more() || reply->head() > cursor_);
  if (taken == Taken::kGap || stuck) {
    OnFailed({Code::kDataLoss, Reason::kNone, {}, taken == Taken::kGap ? kGapPauseMs : 0});
    return;
  }
  backoff_.Reset();
  if (reply->more()) unknown_ = true;
  // A copy may still be on its way between the shards: it is asked for again, without haste.
  if (!awaited_.empty() && !own_copy_.armed()) {
    awaited_since_ms_ = runtime_.now_ms();
    own_copy_.Arm(options_.timing.idle_sync_ms);
  }
  if (!reply->more() && cursor_ >= reply->head()) {
    session_.Proven();
    events_.on_caught_up();
    events_.on_synced();
  }
  PullIfNeeded();
}

// Takes the entries above the cursor as far as they follow without a gap.
Puller::Taken Puller::TakeEntries(const v1::SyncReply& reply) {
  bool first = true;
  if (reply.truncated()) {
    // Below what is kept. There is nothing to pull there; what the server still has follows.
    if (reply.entries().empty()) cursor_ = std::max(cursor_, reply.head());
    events_.on_truncated();
  }
  for (const v1::Entry& entry : reply.entries()) {
    if (entry.seq() <= cursor_) continue;  // seen already
    const bool follows = entry.seq() == cursor_ + 1;
    const bool new_generation = entry.seq() >> kGenerationShift != cursor_ >> kGenerationShift;
    const bool after_trimmed = first && reply.truncated();
    if (!follows && !new_generation && !after_trimmed) {
      events_.on_problem({Code::kDataLoss, Reason::kNone,
                          "the server went from " + std::to_string(cursor_) + " to " +
                              std::to_string(entry.seq()) +
                              " without what lies between; asking again"});
      return Taken::kGap;
    }
    first = false;
    HandOver(entry);
    cursor_ = entry.seq();
  }
  return Taken::kAll;
}

void Puller::HandOver(const v1::Entry& entry) {
  const Conversation conversation = FromWire(entry.conversation());
  if (entry.kind() == v1::ENTRY_CHANGED) {
    if (conversation.is_group()) events_.on_group_changed(conversation.group());
    return;
  }
  if (entry.kind() == v1::ENTRY_PACKET_RETURNED) {
    const v1::PacketReturned& returned = entry.packet_returned();
    events_.on_packet_returned({{returned.packet_id()},
                                conversation,
                                returned.amount_fen(),
                                static_cast<ReturnReason>(returned.reason()),
                                entry.time_ms(),
                                entry.seq(),
                                returned.request_id()});
    return;
  }
  // Kinds of a newer server pass by.
  if (entry.kind() != v1::ENTRY_MESSAGE && entry.kind() != v1::ENTRY_RECALL) return;

  Message message = FromWire(conversation, entry.message(), me_);
  message.conv_seq = entry.conv_seq();
  message.seq = entry.seq();
  message.gone = entry.gone();
  message.recalled = message.recalled || entry.kind() == v1::ENTRY_RECALL;
  if (message.time_ms == 0) message.time_ms = entry.time_ms();
  if (!entry.client_msg_id().empty()) {
    message.own = true;
    message.client_msg_id = entry.client_msg_id();
    if (awaited_.erase(entry.client_msg_id()) > 0 && awaited_.empty()) own_copy_.Disarm();
    events_.on_own(conversation, entry.client_msg_id(), {message.conv_seq, message.time_ms});
  }
  events_.on_message(message);
  if (std::holds_alternative<MembersChanged>(message.body) ||
      std::holds_alternative<GroupCreated>(message.body)) {
    events_.on_group_changed(conversation.group());
  }
}

}  // namespace hongyan::sdk
