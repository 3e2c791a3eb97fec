#include "storage/memory/memory_message_batch.h"
#include "storage/memory/memory_ports.h"

namespace hongyan::storage {

namespace {

template <class Map, class Key>
std::optional<typename Map::mapped_type> Find(const Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

}  // namespace

base::Result<std::optional<model::User>> MemoryAccountStore::FindUser(model::UserId user) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<model::User>> {
    return Find(state.users, user);
  });
}

void MemoryAccountStore::PutUser(Batch& batch, const model::User& user) {
  static_cast<MemoryMessageBatch&>(batch).Write(
      1, 32 + user.name.size() + user.password_hash.size(),
      [user](MemoryState& state) { state.users[user.id] = user; });
}

base::Result<std::optional<model::Device>> MemoryAccountStore::FindDevice(
    model::UserId user, model::DeviceId device) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::optional<model::Device>> {
    return Find(state.devices, std::pair(user, device));
  });
}

base::Result<std::vector<model::Device>> MemoryAccountStore::ListDevices(model::UserId user) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<model::Device>> {
    std::vector<model::Device> devices;
    for (auto row = state.devices.lower_bound({user, model::DeviceId{}});
         row != state.devices.end() && row->first.first == user; ++row) {
      devices.push_back(row->second);
    }
    return devices;
  });
}

void MemoryAccountStore::PutDevice(Batch& batch, model::UserId user, const model::Device& device) {
  static_cast<MemoryMessageBatch&>(batch).Write(1, 64 + device.device_class.size(),
                                                [user, device](MemoryState& state) {
                                                  state.devices[{user, device.id}] = device;
                                                });
}

void MemoryAccountStore::EraseDevice(Batch& batch, model::UserId user, model::DeviceId device) {
  static_cast<MemoryMessageBatch&>(batch).Write(1, 32, [user, device](MemoryState& state) {
    state.devices.erase({user, device});
  });
}

base::Result<std::vector<model::User>> MemoryAccountStore::ListUsers(model::UserId after,
                                                                     size_t limit) const {
  return door_.Look([&](const MemoryState& state) -> base::Result<std::vector<model::User>> {
    std::vector<model::User> users;
    for (auto row = state.users.upper_bound(after);
         row != state.users.end() && users.size() < limit; ++row) {
      users.push_back(row->second);
    }
    return users;
  });
}

}  // namespace hongyan::storage
