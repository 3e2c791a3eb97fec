#include <iterator>

#include "storage/memory/memory_message_batch.h"
#include "storage/memory/memory_ports.h"

namespace hongyan::storage {

namespace {

using MaybeMessages = std::vector<std::optional<model::Message>>;

}  // namespace

base::Result<std::optional<model::Message>> MemoryConversationStore::LastMessage(
    model::ConversationId conversation) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<model::Message>> {
    auto row = state.messages.upper_bound({conversation, model::ConvSeq(INT64_MAX)});
    if (row == state.messages.begin()) return std::optional<model::Message>();
    --row;
    if (row->first.first != conversation) return std::optional<model::Message>();
    model::Message last = row->second;
    last.body.clear();
    return std::optional(std::move(last));
  });
}

base::Result<MaybeMessages> MemoryConversationStore::ReadMessages(std::span<const MessageKey> keys,
                                                                  Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<MaybeMessages> {
    if (auto error = door_.Reaches(reach)) return *error;
    MaybeMessages answers;
    for (const MessageKey& key : keys) {
      const auto found = state.messages.find({key.conversation, key.seq});
      if (found == state.messages.end()) {
        answers.emplace_back();
      } else {
        answers.emplace_back(found->second);
      }
    }
    return answers;
  });
}

base::Result<ConversationStore::Stretch> MemoryConversationStore::ReadRange(
    model::ConversationId conversation, model::ConvSeq first, model::ConvSeq last, Order order,
    size_t limit, size_t max_bytes, Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<Stretch> {
    if (auto error = door_.Reaches(reach)) return *error;
    Stretch stretch;
    if (first > last) return stretch;
    size_t bytes = 0;
    // Takes one message; false = it no longer fits.
    const auto take = [&](const model::Message& message) {
      bytes += message.body.size();
      stretch.more =
          stretch.messages.size() >= limit || (!stretch.messages.empty() && bytes > max_bytes);
      if (!stretch.more) stretch.messages.push_back(message);
      return !stretch.more;
    };
    auto row = state.messages.lower_bound({conversation, first});
    auto end = state.messages.upper_bound({conversation, last});
    if (order == Order::kOldestFirst) {
      while (row != end && take(row->second)) ++row;
    } else {
      while (row != end && take(std::prev(end)->second)) --end;
    }
    return stretch;
  });
}

void MemoryConversationStore::AppendMessage(Batch& batch, model::ConversationId conversation,
                                            const model::Message& message, uint64_t body_hash) {
  auto& staged = static_cast<MemoryMessageBatch&>(batch);
  staged.AddMessage({conversation, message.seq}, message);
  if (message.client_msg_id.is_zero()) return;
  staged.AddReceipt({conversation, message.sender, message.client_msg_id},
                    {message.seq, message.time_ms, body_hash});
}

base::Result<std::optional<model::SendReceipt>> MemoryConversationStore::FindReceipt(
    model::ConversationId conversation, model::UserId sender,
    const model::RequestId& client_msg_id) const {
  return door_.Look(
      [&](const MemoryState& state) -> base::Result<std::optional<model::SendReceipt>> {
        const auto found = state.receipts.find({conversation, sender, client_msg_id});
        if (found == state.receipts.end()) return std::optional<model::SendReceipt>();
        return std::optional(found->second);
      });
}

base::Result<std::optional<model::Group>> MemoryConversationStore::FindGroup(model::GroupId group,
                                                                             Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<model::Group>> {
    if (auto error = door_.Reaches(reach)) return *error;
    const auto found = state.groups.find(group);
    if (found == state.groups.end()) return std::optional<model::Group>();
    return std::optional(found->second);
  });
}

void MemoryConversationStore::PutGroup(Batch& batch, const model::Group& group) {
  static_cast<MemoryMessageBatch&>(batch).Write(
      1, 64 + group.name.size() + 4 * group.member_count.size(),
      [group](MemoryState& state) { state.groups[group.id] = group; });
}

base::Result<std::optional<model::Member>> MemoryConversationStore::FindMember(model::GroupId group,
                                                                               model::UserId user,
                                                                               Reach reach) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<model::Member>> {
    if (auto error = door_.Reaches(reach)) return *error;
    const auto found = state.members.find({group, user});
    if (found == state.members.end()) return std::optional<model::Member>();
    return std::optional(found->second);
  });
}

base::Result<std::vector<model::Member>> MemoryConversationStore::ListMembers(model::GroupId group,
                                                                              model::UserId after,
                                                                              size_t limit) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<model::Member>> {
    std::vector<model::Member> members;
    for (auto row = state.members.upper_bound({group, after});
         row != state.members.end() && row->first.first == group && members.size() < limit; ++row) {
      members.push_back(row->second);
    }
    return members;
  });
}

void MemoryConversationStore::PutMember(Batch& batch, model::GroupId group,
                                        const model::Member& member) {
  static_cast<MemoryMessageBatch&>(batch).Write(1, 48 + 16 * member.visible.size(),
                                                [group, member](MemoryState& state) {
                                                  state.members[{group, member.user}] = member;
                                                });
}

}  // namespace hongyan::storage
