#include "shard/unit_of_work.h"

namespace hongyan::shard {

// A shard without money, and without anything that time asks for.
base::Result<void> Logic::Suspend(UnitOfWork&, int64_t) { return {}; }
base::Result<void> Logic::SendOn(UnitOfWork&, const model::Item&) {
  return base::Error(base::Code::kFailedPrecondition, "this item carries no money");
}
bool Logic::Due(int64_t) const { return false; }
void Logic::ApplyDue(UnitOfWork&, size_t) {}

// Commands about it wait for a while then (shard/suspects.h).
bool Logic::SetApart(UnitOfWork&, const model::Command&) { return false; }
void Logic::SetApartDue(UnitOfWork&) {}

}  // namespace hongyan::shard
