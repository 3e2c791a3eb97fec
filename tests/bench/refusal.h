#pragma once

#include <string>

#include "client-sdk/src/link.h"
#include "hongyan/v1/error.pb.h"

namespace hongyan::bench {

// The error of an answer that was refused.
v1::Error ErrorOf(const sdk::Answer& answer);

// For people: code, reason and text.
std::string Describe(const v1::Error& error);

// The same request may be answered differently later.
bool MayPass(const v1::Error& error);

}  // namespace hongyan::bench
