#pragma once

#include "base/result.h"
#include "model/command.h"
#include "model/ids.h"
#include "storage/batch.h"

namespace hongyan::money {

// What money asks of messaging: who belongs to a conversation. Implemented above
// it, from committed membership, read beside the writer and never through its queue; in a cluster
// an answer may be 2 s old. An Error means that it could not be read: with `reach` kMemory an Error
// kUnavailable without a reason asks for the same call with kDisk on the reader pool. Any thread.
class Eligibility {
 public:
  virtual ~Eligibility() = default;

  // May `user` speak in the conversation now: a member, not muted. `named` 0, or
  // somebody who must be there too (NAMED_PERSON_INVALID where not). The Error is the refusal for
  // the client.
  virtual base::Result<model::Eligible> MaySend(const model::ConversationId& conversation,
                                                model::UserId user, model::UserId named,
                                                storage::Reach reach) const = 0;

  // Is `user` in the conversation: `yes` false where not, and that is no Error, because an own
  // claim is answered whatever the membership.
  virtual base::Result<model::Eligible> MayOpen(const model::ConversationId& conversation,
                                                model::UserId user, storage::Reach reach) const = 0;
};

}  // namespace hongyan::money
