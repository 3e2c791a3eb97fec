#pragma once

#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace hongyan::account {

// What is said of accounts, whichever room meets it. Any thread.

base::Error NoSuchUser(model::UserId user);
base::Error NoSuchUser(std::string_view name);
// To a client, which need not hear again what it has just sent, however long.
base::Error NoUserOfThisName();
base::Error TokenRevoked();
base::Error UserDisabled();

}  // namespace hongyan::account
