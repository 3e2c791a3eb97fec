#pragma once

#include <cstdint>

#include "model/command.h"

namespace hongyan::shard {

// What a command holds in memory while it waits, nearly: itself and what its body points at. The
// same at every call for the same command. Any thread.
int64_t BytesOf(const model::Command& command);

}  // namespace hongyan::shard
