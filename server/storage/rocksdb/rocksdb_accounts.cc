#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_ports.h"
#include "storage/rocksdb/rows.h"

namespace hongyan::storage {

base::Result<std::optional<model::User>> RocksdbAccountStore::FindUser(model::UserId user) const {
  rocksdb::PinnableSlice value;
  const Key key = UserKey(user);
  const auto found = database_.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::User>();
  model::User row;
  row.id = user;
  if (!DecodeUser(value, &row)) return BrokenRow("user", key.slice());
  return std::optional(std::move(row));
}

void RocksdbAccountStore::PutUser(Batch& batch, const model::User& user) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, UserKey(user.id), EncodeUser(user));
}

base::Result<std::optional<model::Device>> RocksdbAccountStore::FindDevice(
    model::UserId user, model::DeviceId device) const {
  rocksdb::PinnableSlice value;
  const Key key = DeviceKey(user, device);
  const auto found = database_.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::Device>();
  model::Device row;
  row.id = device;
  if (!DecodeDevice(value, &row)) return BrokenRow("device", key.slice());
  return std::optional(std::move(row));
}

base::Result<std::vector<model::Device>> RocksdbAccountStore::ListDevices(
    model::UserId user) const {
  constexpr size_t kPrefixBytes = 1 + 8;
  auto scan = Scan::From(database_, Table::kRest, Key('d').Add(user),
                         Key('d').Be64(static_cast<uint64_t>(user.value) + 1));
  if (!scan) return scan.error();
  std::vector<model::Device> devices;
  for (scan->ToFirst(); scan->at_row(); scan->Next()) {
    rocksdb::Slice id = scan->key();
    id.remove_prefix(kPrefixBytes);
    model::Device& device = devices.emplace_back();
    if (!device.id.Assign(id.ToStringView()) || !DecodeDevice(scan->value(), &device)) {
      return BrokenRow("device", scan->key());
    }
  }
  if (auto ended = scan->status(); !ended) return ended.error();
  return devices;
}

void RocksdbAccountStore::PutDevice(Batch& batch, model::UserId user, const model::Device& device) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, DeviceKey(user, device.id),
                                        EncodeDevice(device));
}

void RocksdbAccountStore::EraseDevice(Batch& batch, model::UserId user, model::DeviceId device) {
  static_cast<RocksdbBatch&>(batch).Delete(Table::kRest, DeviceKey(user, device));
}

base::Result<std::vector<model::User>> RocksdbAccountStore::ListUsers(model::UserId after,
                                                                      size_t limit) const {
  if (after.value == INT64_MAX) return std::vector<model::User>();
  auto scan =
      Scan::From(database_, Table::kRest, UserKey(model::UserId(after.value + 1)), Key('u' + 1));
  if (!scan) return scan.error();
  std::vector<model::User> users;
  for (scan->ToFirst(); scan->at_row() && users.size() < limit; scan->Next()) {
    model::User& user = users.emplace_back();
    user.id = model::UserId(LastId(scan->key()));
    if (!DecodeUser(scan->value(), &user)) return BrokenRow("user", scan->key());
  }
  if (scan->at_row()) return users;
  if (auto ended = scan->status(); !ended) return ended.error();
  return users;
}

}  // namespace hongyan::storage
