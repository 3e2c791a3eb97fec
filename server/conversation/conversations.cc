#include "conversation/conversations.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/hash.h"
#include "conversation/membership.h"
#include "model/reason.h"

namespace hongyan::conversation {
namespace {

using base::Code;
using model::Reason;
using model::Refuse;

constexpr size_t kTails = 500'000;
constexpr size_t kGroups = 50'000;
constexpr size_t kMembers = 500'000;
constexpr int64_t kBusyRetryMs = 200;

}  // namespace

base::Result<void> CheckRequestId(const model::RequestId& id, int64_t now_ms) {
  if (id.bytes[6] >> 4 != 7) {
    return Refuse(Code::kInvalidArgument, Reason::kStaleId,
                  "the request id is not a UUIDv7: its first six bytes are the time it was made");
  }
  const int64_t age_ms = now_ms - id.created_ms();
  if (age_ms > model::kMaxRequestAgeMs || age_ms < -model::kMaxRequestAheadMs) {
    return Refuse(
        Code::kInvalidArgument, Reason::kStaleId,
        "the request id was made more than 7 days ago or more than 5 minutes ahead, by the "
        "server's clock: make a new one with the time learnt at login");
  }
  return {};
}

uint64_t BodyHash(std::string_view body) { return base::SipHash(body, base::SipKey{}); }

Conversations::Conversations(storage::ConversationStore& store, const shard::Router& router,
                             int64_t generation)
    : store_(store),
      router_(router),
      generation_(generation),
      tails_(kTails),
      groups_(kGroups),
      members_(kMembers) {}

void Conversations::Send(shard::UnitOfWork& work, const model::ReplyTo& to,
                         const model::SendMessage& send) {
  work.Reply(to, Accept(work, send));
}

// What was accepted once is answered with the same numbers, whatever has become of the sender or of
// the id's age since; so a repeat is looked for first.
model::Reply Conversations::Accept(shard::UnitOfWork& work, const model::SendMessage& send) {
  const uint64_t hash = BodyHash(send.body);
  auto accepted = FindAccepted(send.conversation, send.sender, send.client_msg_id, hash);
  if (!accepted) return accepted.error();
  if (accepted->has_value()) {
    return model::ReplyBody(model::Sent{(*accepted)->seq, (*accepted)->time_ms});
  }
  if (auto fresh = CheckRequestId(send.client_msg_id, work.time_ms()); !fresh) return fresh.error();
  if (auto may = MaySpeak(work, send.conversation, send.sender); !may) {
    return std::move(may).error();
  }
  if (send.after.has_value()) {
    auto previous = FindReceipt({send.conversation, send.sender, *send.after});
    if (!previous) return previous.error();
    if (!previous->has_value()) {
      return Refuse(Code::kFailedPrecondition, Reason::kAfterNotAccepted,
                    "the send named in `after` is not accepted: send that one first");
    }
  }
  const model::Group* group = nullptr;
  if (send.conversation.is_group()) {
    auto found = FindGroup(send.conversation.group());
    if (!found) return found.error();
    group = *found;
    if (auto may = MayAppend(work, *group); !may) return may.error();
  } else {
    if (work.BelowDiskReserve()) return DiskReserve();
    for (const int64_t user : {send.conversation.a, send.conversation.b}) {
      if (auto may = MayEmit(work, router_.ShardOf(model::UserId(user))); !may) return may.error();
    }
  }
  auto message = Append(work, send.conversation,
                        {send.sender, send.client_msg_id, send.kind, send.body, hash});
  if (!message) return message.error();
  FanOut(work, send.conversation, *message, send.sender_device, group);
  return model::ReplyBody(model::Sent{message->seq, message->time_ms});
}

base::Error Conversations::DiskReserve() {
  return Refuse(Code::kResourceExhausted, Reason::kDiskReserve,
                "the server's disk is nearly full; nothing was stored", 10'000);
}

base::Result<void> Conversations::MaySpeak(shard::UnitOfWork& work,
                                           model::ConversationId conversation, model::UserId user) {
  if (!conversation.is_group()) {
    return conversation::MaySpeak(conversation, user, nullptr, nullptr, work.time_ms());
  }
  auto group = FindGroup(conversation.group());
  if (!group) return group.error();
  auto member = FindMember(conversation.group(), user);
  if (!member) return member.error();
  return conversation::MaySpeak(conversation, user, *group, *member, work.time_ms());
}

base::Result<void> Conversations::MayEmit(shard::UnitOfWork& work, model::ShardId target) const {
  std::string why;
  if (work.MayEmit(target, &why)) return {};
  if (why.starts_with("stopped")) {
    return Refuse(Code::kUnavailable, Reason::kChannelStopped,
                  "delivery is stopped on the server; nothing was stored", 5000);
  }
  return Refuse(Code::kResourceExhausted, Reason::kBusy,
                "delivery is behind; send the same message again after a moment", kBusyRetryMs);
}

base::Result<void> Conversations::MayAppend(shard::UnitOfWork& work,
                                            const model::Group& group) const {
  if (work.BelowDiskReserve()) return DiskReserve();
  for (size_t shard = 0; shard < group.member_count.size(); ++shard) {
    if (group.member_count[shard] == 0) continue;
    if (auto may = MayEmit(work, static_cast<model::ShardId>(shard)); !may) return may;
  }
  return {};
}

base::Result<std::optional<model::SendReceipt>> Conversations::FindReceipt(
    const ReceiptKey& key) const {
  if (const auto found = accepted_.find(key); found != accepted_.end())
    return std::optional(found->second);
  return store_.FindReceipt(key.conversation, key.sender, key.id);
}

base::Result<std::optional<model::SendReceipt>> Conversations::FindAccepted(
    model::ConversationId conversation, model::UserId sender, const model::RequestId& id,
    uint64_t hash) {
  auto receipt = FindReceipt({conversation, sender, id});
  if (!receipt || !receipt->has_value()) return receipt;
  if ((*receipt)->body_hash != hash) {
    return Refuse(Code::kAlreadyExists, Reason::kConflict,
                  "this request id was accepted with other content: use a new id");
  }
  return receipt;
}

base::Result<const Conversations::Tail*> Conversations::FindTail(
    model::ConversationId conversation) {
  return tails_.Find(
      conversation, [this](model::ConversationId id) -> base::Result<std::optional<Tail>> {
        auto last = store_.LastMessage(id);
        if (!last) return last.error();
        if (!last->has_value()) return std::optional<Tail>(Tail{});
        return std::optional<Tail>(Tail{(*last)->seq, (*last)->time_ms, (*last)->ordinal});
      });
}

// The one place where a conv_seq is given: next = max(last, generation << 40) + 1. The last message
// of an accepted store need not be the last that was ever acknowledged.
base::Result<model::Message> Conversations::Append(shard::UnitOfWork& work,
                                                   model::ConversationId conversation,
                                                   Draft draft) {
  auto found = FindTail(conversation);
  if (!found) return found.error();
  const Tail& tail = **found;
  model::Message message;
  const model::ConvSeq before(generation_ << model::kGenerationShift);
  message.seq = model::ConvSeq(std::max(tail.seq, before).value + 1);
  message.sender = draft.sender;
  message.kind = draft.kind;
  message.time_ms = std::max(work.time_ms(), tail.time_ms);
  message.ordinal = tail.ordinal + (model::Countable(draft.kind) ? 1 : 0);
  message.client_msg_id = draft.client_msg_id;
  message.body = std::move(draft.body);
  tails_.Put(conversation, {message.seq, message.time_ms, message.ordinal});
  if (!draft.client_msg_id.is_zero()) {
    accepted_[{conversation, draft.sender, draft.client_msg_id}] = {message.seq, message.time_ms,
                                                                    draft.hash};
  }
  ++messages_pending_;
  store_.AppendMessage(work.batch(), conversation, message, draft.hash);
  return message;
}

model::Entry Conversations::EntryFor(model::ConversationId conversation,
                                     const model::Message& message) {
  model::Entry entry;
  entry.kind = model::EntryKind::kMessage;
  entry.time_ms = message.time_ms;
  entry.conversation = conversation;
  entry.conv_seq = message.seq;
  entry.client_msg_id = message.client_msg_id;
  return entry;
}

void Conversations::FanOut(shard::UnitOfWork& work, model::ConversationId conversation,
                           const model::Message& message, const model::DeviceId& device,
                           const model::Group* group) {
  const model::Entry entry = EntryFor(conversation, message);
  if (group != nullptr) {
    for (size_t shard = 0; shard < group->member_count.size(); ++shard) {
      const int32_t count = group->member_count[shard];
      if (count == 0) continue;
      work.Emit(static_cast<model::ShardId>(shard),
                model::GroupItem{entry, message.sender, device, group->version, count}, count);
    }
    return;
  }
  // Nobody's message (the server's own) goes to both as well.
  const model::UserId first = message.sender ? message.sender : model::UserId(conversation.a);
  const model::UserId second = conversation.peer_of(first);
  const model::ShardId here = router_.ShardOf(first);
  const model::ShardId there = router_.ShardOf(second);
  model::DirectItem item{entry, message.sender, device, {first}};
  if (second != first && here == there) item.users.push_back(second);
  const auto entries = static_cast<int32_t>(item.users.size());
  work.Emit(here, std::move(item), entries);
  if (second != first && here != there) {
    work.Emit(there, model::DirectItem{entry, message.sender, device, {second}}, 1);
  }
}

base::Result<const model::Group*> Conversations::FindGroup(model::GroupId group) {
  return groups_.Find(group,
                      [this](model::GroupId id) -> base::Result<std::optional<model::Group>> {
                        auto row = store_.FindGroup(id, storage::Reach::kDisk);
                        if (!row || !row->has_value()) return row;
                        if (auto fits = CheckCounts(**row); !fits) return fits.error();
                        return row;
                      });
}

base::Result<void> Conversations::CheckCounts(const model::Group& group) const {
  const bool fits = group.member_count.size() == static_cast<size_t>(router_.shards()) &&
                    std::all_of(group.member_count.begin(), group.member_count.end(),
                                [](int32_t count) { return count >= 0; });
  if (fits) return {};
  return Refuse(Code::kDataLoss, Reason::kBroken,
                "the row of group " + std::to_string(group.id.value) + " counts members of " +
                    std::to_string(group.member_count.size()) + " shards, the store has " +
                    std::to_string(router_.shards()) + ": restore it from a backup");
}

base::Result<const model::Member*> Conversations::FindMember(model::GroupId group,
                                                             model::UserId user) {
  return members_.Find(MemberKey{group, user}, [this](const MemberKey& key) {
    return store_.FindMember(key.first, key.second, storage::Reach::kDisk);
  });
}

void Conversations::PutGroup(shard::UnitOfWork& work, model::Group group) {
  store_.PutGroup(work.batch(), group);
  const model::GroupId id = group.id;
  groups_.Put(id, std::move(group));
}

void Conversations::PutMember(shard::UnitOfWork& work, model::GroupId group, model::Member member) {
  store_.PutMember(work.batch(), group, member);
  const MemberKey key{group, member.user};
  members_.Put(key, std::move(member));
}

base::Result<std::vector<model::Member>> Conversations::AllMembers(model::GroupId group) {
  auto stored = store_.ListMembers(group, model::UserId(), std::numeric_limits<size_t>::max());
  if (!stored) return stored.error();
  std::map<model::UserId, model::Member> merged;
  for (auto& member : *stored) merged[member.user] = std::move(member);
  members_.ForEachChanged([&](const MemberKey& key, const model::Member* member) {
    if (key.first == group && member != nullptr) merged[key.second] = *member;
  });
  std::vector<model::Member> members;
  for (auto& [user, member] : merged) members.push_back(std::move(member));
  return members;
}

base::Result<shard::ItemOutcome> Conversations::Apply(shard::UnitOfWork& work,
                                                      const shard::ItemPlace& place,
                                                      const model::SliceRequestItem& item) {
  auto group = FindGroup(item.group);
  if (!group) return group.error();
  // Gone here, so nobody follows it there.
  model::SliceSnapshotItem snapshot{item.group, 0, {}, {}};
  if (*group != nullptr) {
    snapshot.version = (*group)->version;
    auto tail = FindTail(model::ConversationId::Group(item.group));
    if (!tail) return tail.error();
    snapshot.conv_seq = (*tail)->seq;
    auto members = AllMembers(item.group);
    if (!members) return members.error();
    for (const auto& member : *members) {
      if (router_.ShardOf(member.user) != place.source) continue;
      for (const auto& range : member.visible) {
        if (range.to && range.to < item.from) continue;
        snapshot.members.push_back({member.user, range.from, range.to});
      }
    }
  }
  const auto entries = static_cast<int32_t>(snapshot.members.size() * 2 + 1);
  work.Emit(place.source, std::move(snapshot), entries);
  return shard::ItemOutcome::Applied();
}

void Conversations::Publish() {
  messages_ += std::exchange(messages_pending_, 0);
  tails_.Publish();
  groups_.Publish();
  members_.Publish();
  accepted_.clear();
}

void Conversations::Drop() {
  messages_pending_ = 0;
  tails_.Drop();
  groups_.Drop();
  members_.Drop();
  accepted_.clear();
}

void Conversations::Forget() {
  messages_pending_ = 0;
  tails_.Forget();
  groups_.Forget();
  members_.Forget();
  accepted_.clear();
}

}  // namespace hongyan::conversation
