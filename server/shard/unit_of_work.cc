#include "shard/unit_of_work.h"

namespace hongyan::shard {

// A shard without money, and without anything that time asks for.
void Logic::Suspend(UnitOfWork&, const model::Item&) {}
void Logic::Resume(UnitOfWork&, const model::Item&) {}
bool Logic::Due(int64_t) const { return false; }
void Logic::ApplyDue(UnitOfWork&, size_t) {}

}  // namespace hongyan::shard
