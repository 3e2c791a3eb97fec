#pragma once

#include <string_view>

#include "hongyan/v1/money.pb.h"
#include "model/money.h"
#include "money/reader.h"

// The nouns of money as the wire has them; the front door and the back door speak alike. Any
// thread.

namespace hongyan::access {

// What a detail shows. `all`: also what would tell the last shares of a packet that is still open.
enum class Show { kPublic, kAll };
void Fill(const money::Reader::Detail& from, Show show, v1::PacketDetailReply* to);
void Fill(const model::StatementRow& from, v1::StatementRow* to);
void Fill(const model::YearTotal& from, v1::YearTotal* to);

}  // namespace hongyan::access
