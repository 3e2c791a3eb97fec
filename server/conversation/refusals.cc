#include "conversation/refusals.h"

#include "model/reason.h"

namespace hongyan::conversation {

using base::Code;
using model::Reason;

base::Error NoSuchGroup() {
  return model::Refuse(Code::kNotFound, Reason::kNoSuchGroup,
                       "there is no such group, or you are not a member");
}

base::Error NotAMember(const model::ConversationId& conversation) {
  return model::Refuse(Code::kPermissionDenied, Reason::kNotAMember,
                       conversation.is_group() ? "you are not a member of this group"
                                               : "this is not your conversation");
}

}  // namespace hongyan::conversation
