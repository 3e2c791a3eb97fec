#include "shard/unit_of_work.h"

namespace hongyan::shard {

// A shard without money, and without anything that time asks for.
base::Result<void> Logic::Suspend(UnitOfWork&, int64_t) { return {}; }
bool Logic::Due(int64_t) const { return false; }
void Logic::ApplyDue(UnitOfWork&, size_t) {}

}  // namespace hongyan::shard
