#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/item.h"

namespace hongyan::shard {

// Items as outbox rows and parked rows hold them: schema/items.proto. Any thread.
std::string EncodeItem(const model::Item& item);

// Error (kDataLoss) for bytes that are not a whole item of a kind this build knows.
base::Result<model::Item> DecodeItem(std::string_view bytes);

}  // namespace hongyan::shard
