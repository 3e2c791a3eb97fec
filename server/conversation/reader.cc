#include "conversation/reader.h"

#include <algorithm>
#include <cstdint>

#include "conversation/refusals.h"

namespace hongyan::conversation {
namespace {

constexpr size_t kMaxPageBytes = 256 << 10;

// What of [first, last] may be seen, as ascending disjoint ranges.
std::vector<std::pair<model::ConvSeq, model::ConvSeq>> Clip(
    const std::vector<model::VisibleRange>& visible, model::ConvSeq first, model::ConvSeq last) {
  std::vector<std::pair<model::ConvSeq, model::ConvSeq>> ranges;
  for (const auto& range : visible) {
    const model::ConvSeq from = std::max(first, range.from);
    const model::ConvSeq to = range.to ? std::min(last, range.to) : last;
    if (from <= to) ranges.emplace_back(from, to);
  }
  return ranges;
}

}  // namespace

base::Result<std::vector<std::optional<model::Message>>> Reader::Bodies(
    std::span<const storage::ConversationStore::MessageKey> keys, storage::Reach reach) const {
  return store_.ReadMessages(keys, reach);
}

base::Result<Reader::HistoryPage> Reader::History(model::UserId user, const HistoryQuery& query,
                                                  storage::Reach reach) const {
  std::vector<model::VisibleRange> visible;
  if (query.conversation.is_group()) {
    auto member = store_.FindMember(query.conversation.group(), user, reach);
    if (!member) return member.error();
    if (!member->has_value() || !(*member)->present()) {
      return NotAMember(query.conversation);
    }
    visible = (*member)->visible;
  } else if (query.conversation.has(user)) {
    visible.push_back({model::ConvSeq(1), {}});
  } else {
    return NotAMember(query.conversation);
  }
  const model::ConvSeq last(query.before ? query.before.value - 1 : INT64_MAX);
  if (query.after >= last) return HistoryPage{};
  auto ranges = Clip(visible, model::ConvSeq(query.after.value + 1), last);
  if (!query.forward) std::reverse(ranges.begin(), ranges.end());
  const auto order = query.forward ? storage::ConversationStore::Order::kOldestFirst
                                   : storage::ConversationStore::Order::kNewestFirst;
  HistoryPage page;
  size_t bytes = 0;
  for (const auto& [from, to] : ranges) {
    page.more = page.messages.size() >= query.limit || bytes >= kMaxPageBytes;
    if (page.more) break;
    auto part = store_.ReadRange(query.conversation, from, to, order,
                                 query.limit - page.messages.size(), kMaxPageBytes - bytes, reach);
    if (!part) return part.error();
    for (auto& message : part->messages) {
      bytes += message.body.size();
      // A range gives at least one message, however little is left of the page.
      page.more = !page.messages.empty() && bytes > kMaxPageBytes;
      if (page.more) return page;
      page.messages.push_back(std::move(message));
    }
    page.more = part->more;
    if (page.more) break;
  }
  return page;
}

base::Result<model::Group> Reader::FindGroup(model::UserId user, model::GroupId group) const {
  auto member = store_.FindMember(group, user, storage::Reach::kDisk);
  if (!member) return member.error();
  if (!member->has_value() || !(*member)->present()) return NoSuchGroup();
  return FindGroup(group);
}

base::Result<model::Group> Reader::FindGroup(model::GroupId group) const {
  auto found = store_.FindGroup(group, storage::Reach::kDisk);
  if (!found) return found.error();
  if (!found->has_value() || (*found)->state != model::GroupState::kActive) return NoSuchGroup();
  return std::move(**found);
}

base::Result<std::vector<model::Member>> Reader::Members(model::UserId user, model::GroupId group,
                                                         model::UserId after, size_t limit) const {
  if (auto visible = FindGroup(user, group); !visible) return std::move(visible).error();
  return Members(group, after, limit);
}

base::Result<std::vector<model::Member>> Reader::Members(model::GroupId group, model::UserId after,
                                                         size_t limit) const {
  std::vector<model::Member> present;
  while (present.size() < limit) {
    const size_t want = limit - present.size();
    auto rows = store_.ListMembers(group, after, want);
    if (!rows) return rows.error();
    if (rows->empty()) break;
    after = rows->back().user;
    const bool end = rows->size() < want;
    for (auto& member : *rows) {
      if (member.present()) present.push_back(std::move(member));
    }
    if (end) break;
  }
  return present;
}

base::Result<model::ConvSeq> Reader::LastSeq(model::ConversationId conversation) const {
  auto last = store_.LastMessage(conversation);
  if (!last) return last.error();
  return last->has_value() ? (*last)->seq : model::ConvSeq();
}

}  // namespace hongyan::conversation
