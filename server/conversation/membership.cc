#include "conversation/membership.h"

#include <optional>

#include "model/reason.h"

namespace hongyan::conversation {
namespace {

using base::Code;
using model::Reason;
using model::Refuse;

// The group's version where it shows; none: there is no such group.
base::Result<std::optional<int64_t>> VersionOf(const storage::ConversationStore& store,
                                               model::GroupId id, storage::Reach reach) {
  auto group = store.FindGroup(id, reach);
  if (!group) return group.error();
  if (!group->has_value() || (*group)->state != model::GroupState::kActive) {
    return std::optional<int64_t>();
  }
  return std::optional((*group)->version);
}

struct Standing {
  bool present = false;
  int64_t muted_until_ms = 0;
};
base::Result<Standing> FindStanding(const storage::ConversationStore& store, model::GroupId group,
                                    model::UserId user, storage::Reach reach) {
  auto member = store.FindMember(group, user, reach);
  if (!member) return member.error();
  if (!member->has_value()) return Standing{};
  return Standing{(*member)->present(), (*member)->muted_until_ms};
}

}  // namespace

base::Result<model::Eligible> Membership::MaySend(const model::ConversationId& conversation,
                                                  model::UserId user, model::UserId named,
                                                  storage::Reach reach) const {
  const auto nobody = [] {
    return Refuse(Code::kInvalidArgument, Reason::kNamedPersonInvalid,
                  "the person named is not in this conversation");
  };
  if (!conversation.is_group()) {
    if (!conversation.has(user)) {
      return Refuse(Code::kPermissionDenied, Reason::kNotAMember, "this is not your conversation");
    }
    if (named && !conversation.has(named)) return nobody();
    return model::Eligible{true, 0};
  }
  // The version first: a change after it is not seen as older than it was.
  auto version = VersionOf(store_, conversation.group(), reach);
  if (!version) return version.error();
  auto member = FindStanding(store_, conversation.group(), user, reach);
  if (!member) return member.error();
  if (!version->has_value() || !member->present) {
    return Refuse(Code::kPermissionDenied, Reason::kNotAMember,
                  "you are not a member of this group");
  }
  if (member->muted_until_ms > now_ms_()) {
    return Refuse(Code::kPermissionDenied, Reason::kMuted, "you are muted in this group");
  }
  if (named) {
    auto other = FindStanding(store_, conversation.group(), named, reach);
    if (!other) return other.error();
    if (!other->present) return nobody();
  }
  return model::Eligible{true, **version};
}

base::Result<model::Eligible> Membership::MayOpen(const model::ConversationId& conversation,
                                                  model::UserId user, storage::Reach reach) const {
  if (!conversation.is_group()) return model::Eligible{conversation.has(user), 0};
  auto version = VersionOf(store_, conversation.group(), reach);
  if (!version) return version.error();
  if (!version->has_value()) return model::Eligible{};
  auto member = FindStanding(store_, conversation.group(), user, reach);
  if (!member) return member.error();
  return model::Eligible{member->present, **version};
}

}  // namespace hongyan::conversation
