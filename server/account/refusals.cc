#include "account/refusals.h"

#include <string>

#include "model/reason.h"

namespace hongyan::account {
namespace {

base::Error NoUser(const std::string& who) {
  return model::Refuse(base::Code::kNotFound, model::Reason::kNoSuchUser,
                       "there is no user " + who);
}

}  // namespace

base::Error NoSuchUser(model::UserId user) { return NoUser(std::to_string(user.value)); }

base::Error NoSuchUser(std::string_view name) { return NoUser("'" + std::string(name) + "'"); }

base::Error NoUserOfThisName() { return NoUser("of this name"); }

base::Error TokenRevoked() {
  return model::Refuse(base::Code::kUnauthenticated, model::Reason::kTokenRevoked,
                       "this token was revoked: log in with the password");
}

base::Error UserDisabled() {
  return model::Refuse(base::Code::kPermissionDenied, model::Reason::kUserDisabled,
                       "this account is disabled: ask the administrator");
}

}  // namespace hongyan::account
