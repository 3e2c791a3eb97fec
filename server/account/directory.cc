#include "account/directory.h"

#include <algorithm>
#include <string>

#include "base/bytes.h"
#include "model/reason.h"

namespace hongyan::account {

base::Result<void> CheckUserName(std::string_view name) {
  const auto wrong = [](const char* what) {
    return model::Refuse(base::Code::kInvalidArgument, model::Reason::kNone, what);
  };
  if (name.empty()) return wrong("a user name has at least one byte");
  if (name.size() > model::kMaxUserNameBytes) return wrong("a user name has at most 64 bytes");
  if (!base::IsUtf8(name)) return wrong("a user name is UTF-8, this one is not");
  if (!base::IsPrintableUtf8(name)) return wrong("a user name has no control characters");
  return {};
}

base::Result<void> CheckDeviceClass(std::string_view device_class) {
  if (device_class.size() <= model::kMaxDeviceClassBytes && base::IsPrintableUtf8(device_class)) {
    return {};
  }
  return model::Refuse(
      base::Code::kInvalidArgument, model::Reason::kNone,
      "a device class is a label like phone: at most 32 bytes of UTF-8, no control characters");
}

base::Result<std::optional<model::User>> Directory::Find(std::string_view name) const {
  auto user = store_.FindUser(router_.UserIdOf(name));
  if (user.ok() && user->has_value() && (*user)->name != name) return std::optional<model::User>();
  return user;
}

base::Result<std::optional<model::User>> Directory::Find(model::UserId user) const {
  return store_.FindUser(user);
}

base::Result<bool> Directory::Exists(model::UserId user) const {
  const auto found = store_.FindUser(user);
  if (!found.ok()) return found.error();
  return found->has_value();
}

}  // namespace hongyan::account
