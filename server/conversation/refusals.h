#pragma once

#include "base/result.h"
#include "model/ids.h"

namespace hongyan::conversation {

// What is said of conversations, whichever room meets it. Any thread.

// To who is not a member too: not even whether there is one.
base::Error NoSuchGroup();
base::Error NotAMember(const model::ConversationId& conversation);

}  // namespace hongyan::conversation
