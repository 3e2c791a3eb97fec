#include "conversation/membership.h"

#include <optional>

#include "conversation/refusals.h"
#include "model/reason.h"

namespace hongyan::conversation {
namespace {

using base::Code;
using model::Reason;
using model::Refuse;

bool Shows(const model::Group* group) {
  return group != nullptr && group->state == model::GroupState::kActive;
}

template <typename Row>
const Row* IfThere(const std::optional<Row>& row) {
  return row.has_value() ? &*row : nullptr;
}

}  // namespace

base::Result<void> MaySpeak(const model::ConversationId& conversation, model::UserId user,
                            const model::Group* group, const model::Member* member,
                            int64_t now_ms) {
  if (!conversation.is_group()) {
    if (conversation.has(user)) return {};
    return NotAMember(conversation);
  }
  if (!Shows(group) || member == nullptr || !member->present()) {
    return NotAMember(conversation);
  }
  if (member->muted_until_ms > now_ms) {
    return Refuse(Code::kPermissionDenied, Reason::kMuted, "you are muted in this group");
  }
  return {};
}

base::Result<model::Eligible> Membership::MaySend(const model::ConversationId& conversation,
                                                  model::UserId user, model::UserId named,
                                                  storage::Reach reach) const {
  const auto nobody = [] {
    return Refuse(Code::kInvalidArgument, Reason::kNamedPersonInvalid,
                  "the person named is not in this conversation");
  };
  if (!conversation.is_group()) {
    if (auto may = MaySpeak(conversation, user, nullptr, nullptr, 0); !may) return may.error();
    if (named && !conversation.has(named)) return nobody();
    return model::Eligible{true, 0};
  }
  // The version first: a change after it is not seen as older than it was.
  auto group = store_.FindGroup(conversation.group(), reach);
  if (!group) return group.error();
  auto member = store_.FindMember(conversation.group(), user, reach);
  if (!member) return member.error();
  auto may = MaySpeak(conversation, user, IfThere(*group), IfThere(*member), now_ms_());
  if (!may) return may.error();
  if (named) {
    auto other = store_.FindMember(conversation.group(), named, reach);
    if (!other) return other.error();
    if (!other->has_value() || !(*other)->present()) return nobody();
  }
  return model::Eligible{true, (*group)->version};
}

base::Result<model::Eligible> Membership::MayOpen(const model::ConversationId& conversation,
                                                  model::UserId user, storage::Reach reach) const {
  if (!conversation.is_group()) return model::Eligible{conversation.has(user), 0};
  auto group = store_.FindGroup(conversation.group(), reach);
  if (!group) return group.error();
  if (!Shows(IfThere(*group))) return model::Eligible{};
  auto member = store_.FindMember(conversation.group(), user, reach);
  if (!member) return member.error();
  return model::Eligible{member->has_value() && (*member)->present(), (*group)->version};
}

}  // namespace hongyan::conversation
