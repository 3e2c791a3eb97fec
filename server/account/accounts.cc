#include "account/accounts.h"

#include <algorithm>
#include <utility>

#include <absl/container/flat_hash_map.h>

#include "account/refusals.h"
#include "base/log.h"
#include "model/reason.h"

namespace hongyan::account {
namespace {

using model::Device;
using model::DeviceId;
using model::Reason;
using model::User;
using model::UserId;

constexpr size_t kCachedUsers = 16'384;

Device* FindIn(std::vector<Device>& devices, const DeviceId& id) {
  const auto it = std::find_if(devices.begin(), devices.end(),
                               [&id](const Device& device) { return device.id == id; });
  return it == devices.end() ? nullptr : &*it;
}

// No token of it is valid: logged out or revoked.
bool Dead(const Device& device) { return device.lowest_token_number >= device.next_token_number; }

model::SessionsEnded EndedUpTo(UserId user, const Device& device, model::EndReason reason) {
  return {user, device.id, device.session_number + 1, reason};
}

template <class T>
void Answer(shard::UnitOfWork& work, const model::ReplyTo& to, base::Result<T> result) {
  if (!result.ok()) {
    work.Reply(to, std::move(result).error());
  } else if constexpr (std::is_void_v<T>) {
    work.Reply(to, model::ReplyBody(model::Done{}));
  } else {
    work.Reply(to, model::ReplyBody(std::move(result).value()));
  }
}

}  // namespace

Accounts::Accounts(storage::AccountStore& store)
    : store_(store), users_(kCachedUsers), devices_(kCachedUsers) {}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::CreateUsers& command) {
  if (work.BelowDiskReserve()) {
    work.Reply(to,
               model::Refuse(base::Code::kResourceExhausted, Reason::kDiskReserve,
                             "the server's disk is nearly full: no new users until there is room"));
    return;
  }
  // All reads before the first write: a read that fails refuses the command whole.
  model::UsersCreated created;
  absl::flat_hash_map<UserId, const User*> fresh;
  for (const User& wanted : command.users) {
    const auto found = FindUser(wanted.id);
    if (!found.ok()) {
      work.Reply(to, found.error());
      return;
    }
    const User* there = found.value();
    if (there == nullptr) {
      const auto [it, first] = fresh.try_emplace(wanted.id, &wanted);
      if (!first) there = it->second;
    }
    created.outcomes.push_back(there == nullptr             ? model::Creation::kCreated
                               : there->name == wanted.name ? model::Creation::kExisted
                                                            : model::Creation::kCollision);
  }
  for (const auto& wanted : command.users) {
    const auto it = fresh.find(wanted.id);
    if (it == fresh.end() || it->second != &wanted) continue;
    User user = wanted;
    user.created_ms = work.time_ms();
    store_.PutUser(work.batch(), user);
    users_.Put(user.id, std::move(user));
  }
  work.Reply(to, model::ReplyBody(std::move(created)));
}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::SetPassword& command) {
  auto user = GetUser(command.user);
  if (!user.ok()) {
    work.Reply(to, std::move(user).error());
    return;
  }
  user->password_hash = command.password_hash;
  store_.PutUser(work.batch(), *user);
  users_.Put(command.user, std::move(user).value());
  work.Reply(to, model::ReplyBody(model::Done{}));
}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::SetDisabled& command) {
  Answer(work, to, Disable(work, command));
}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::OpenSession& command) {
  Answer(work, to, Open(work, command));
}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::RevokeTokens& command) {
  Answer(work, to, Revoke(work, command));
}

void Accounts::Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
                     const model::ConfirmCursor& command) {
  const auto found = FindDevices(command.user);
  if (!found.ok()) {
    work.Reply(to, found.error());
    return;
  }
  std::vector<Device> devices = *found.value();
  if (Device* device = FindIn(devices, command.device);
      device != nullptr && device->cursor < command.cursor) {
    device->cursor = command.cursor;
    store_.PutDevice(work.batch(), command.user, *device);
    devices_.Put(command.user, std::move(devices));
  }
  work.Reply(to, model::ReplyBody(model::Done{}));
}

void Accounts::Publish(std::vector<model::Effect>& effects) {
  users_.Publish();
  devices_.Publish();
  effects.insert(effects.end(), ended_.begin(), ended_.end());
  ended_.clear();
}

void Accounts::Drop() {
  users_.Drop();
  devices_.Drop();
  doubtful_ = std::exchange(ended_, {});
}

void Accounts::Forget(std::vector<model::Effect>& effects) {
  users_.Forget();
  devices_.Forget();
  ended_.clear();
  for (const auto& doubtful : std::exchange(doubtful_, {})) {
    auto ended = EndedByStore(doubtful);
    if (ended.ok()) {
      effects.push_back(*ended);
    } else {
      LOG_ERROR("sessions_unknown user={} error=\"{}\"", doubtful.user.value, ended.error().text);
    }
  }
}

// Which sessions of the device are over can be read off its row, whatever became of the batch: said
// once too often it ends nothing that the row lets live.
base::Result<model::SessionsEnded> Accounts::EndedByStore(const model::SessionsEnded& doubtful) {
  const auto user = GetUser(doubtful.user);
  if (!user.ok()) return user.error();
  const auto devices = FindDevices(doubtful.user);
  if (!devices.ok()) return devices.error();
  const auto device =
      std::find_if(devices.value()->begin(), devices.value()->end(),
                   [&doubtful](const Device& row) { return row.id == doubtful.device; });
  if (device == devices.value()->end()) return doubtful;  // gave way to another: all are over
  if (user->disabled) return EndedUpTo(doubtful.user, *device, model::EndReason::kDisabled);
  if (Dead(*device)) return EndedUpTo(doubtful.user, *device, model::EndReason::kRevoked);
  return model::SessionsEnded{doubtful.user, device->id, device->session_number,
                              model::EndReason::kReplaced};
}

base::Result<const User*> Accounts::FindUser(UserId user) {
  return users_.Find(user, [this](UserId id) { return store_.FindUser(id); });
}

base::Result<const std::vector<Device>*> Accounts::FindDevices(UserId user) {
  return devices_.Find(user, [this](UserId id) -> base::Result<std::optional<std::vector<Device>>> {
    auto devices = store_.ListDevices(id);
    if (!devices.ok()) return std::move(devices).error();
    return std::optional<std::vector<Device>>(std::move(devices).value());
  });
}

base::Result<User> Accounts::GetUser(UserId user) {
  const auto found = FindUser(user);
  if (!found.ok()) return found.error();
  if (found.value() == nullptr) return NoSuchUser(user);
  return *found.value();
}

base::Result<model::SessionOpened> Accounts::Open(shard::UnitOfWork& work,
                                                  const model::OpenSession& command) {
  auto user = GetUser(command.user);
  if (!user.ok()) return std::move(user).error();
  if (user->disabled) return UserDisabled();
  const auto found = FindDevices(command.user);
  if (!found.ok()) return found.error();
  std::vector<Device> devices = *found.value();
  Device* device = FindIn(devices, command.device);
  const bool by_token = command.token_number != 0;
  if (by_token && (device == nullptr || command.token_number < device->lowest_token_number ||
                   command.token_number >= device->next_token_number)) {
    return TokenRevoked();
  }
  if (device == nullptr) {
    if (auto room = MakeRoom(work, command.user, devices); !room.ok()) {
      return std::move(room).error();
    }
    Device fresh;
    fresh.id = command.device;
    fresh.session_number = work.time_ms();
    fresh.lowest_token_number = fresh.next_token_number = work.time_ms();
    const auto place =
        std::lower_bound(devices.begin(), devices.end(), fresh.id,
                         [](const Device& d, const DeviceId& id) { return d.id < id; });
    device = &*devices.insert(place, std::move(fresh));
  }
  model::SessionOpened opened;
  opened.user_name = user->name;
  opened.token_number = by_token ? command.token_number : device->next_token_number++;
  if (!command.device_class.empty()) device->device_class = command.device_class;
  device->last_login_ms = work.time_ms();
  if (!command.only_token) {
    opened.session_number = ++device->session_number;
    ended_.push_back(
        {command.user, command.device, opened.session_number, model::EndReason::kReplaced});
  }
  store_.PutDevice(work.batch(), command.user, *device);
  devices_.Put(command.user, std::move(devices));
  return opened;
}

base::Result<void> Accounts::MakeRoom(shard::UnitOfWork& work, UserId user,
                                      std::vector<Device>& devices) {
  if (devices.size() < model::kMaxDevicesPerUser) return {};
  // The longest silent one that nobody can come back with gives way.
  auto victim = devices.end();
  for (auto it = devices.begin(); it != devices.end(); ++it) {
    if (!Dead(*it) && it->last_login_ms > work.time_ms() - kSilentDeviceMs) continue;
    if (victim == devices.end() || it->last_login_ms < victim->last_login_ms) victim = it;
  }
  if (victim == devices.end()) {
    return model::Refuse(base::Code::kResourceExhausted, Reason::kLimitReached,
                         "this account has " + std::to_string(devices.size()) +
                             " devices, which is the limit: log out on one of them first");
  }
  ended_.push_back(EndedUpTo(user, *victim, model::EndReason::kRevoked));
  store_.EraseDevice(work.batch(), user, victim->id);
  devices.erase(victim);
  return {};
}

base::Result<void> Accounts::Revoke(shard::UnitOfWork& work, const model::RevokeTokens& command) {
  if (auto user = GetUser(command.user); !user.ok()) return std::move(user).error();
  const auto found = FindDevices(command.user);
  if (!found.ok()) return found.error();
  std::vector<Device> devices = *found.value();
  const bool known = command.device.is_zero() ||
                     std::any_of(devices.begin(), devices.end(),
                                 [&](const Device& device) { return device.id == command.device; });
  if (!known) {
    return base::Error(base::Code::kNotFound,
                       "this user has no such device: nothing is revoked; see `hongyan-admin user "
                       "show`");
  }
  for (Device& device : devices) {
    if (!command.device.is_zero() && device.id != command.device) continue;
    ended_.push_back(EndedUpTo(command.user, device, model::EndReason::kRevoked));
    if (Dead(device)) continue;
    device.lowest_token_number = device.next_token_number;
    store_.PutDevice(work.batch(), command.user, device);
  }
  devices_.Put(command.user, std::move(devices));
  return {};
}

base::Result<void> Accounts::Disable(shard::UnitOfWork& work, const model::SetDisabled& command) {
  auto user = GetUser(command.user);
  if (!user.ok()) return std::move(user).error();
  const auto devices = FindDevices(command.user);
  if (!devices.ok()) return devices.error();
  if (command.disabled) {
    for (const Device& device : *devices.value()) {
      ended_.push_back(EndedUpTo(command.user, device, model::EndReason::kDisabled));
    }
  }
  if (user->disabled == command.disabled) return {};
  user->disabled = command.disabled;
  store_.PutUser(work.batch(), *user);
  users_.Put(command.user, std::move(user).value());
  return {};
}

}  // namespace hongyan::account
