#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/account.h"
#include "shard/router.h"
#include "storage/account_store.h"

namespace hongyan::account {

// What is a valid login name: 1 to 64 bytes of UTF-8 without control characters. The error says
// what is wrong.
base::Result<void> CheckUserName(std::string_view name);

// What is a valid label of a device: up to 32 bytes of UTF-8 without control characters, or none.
base::Result<void> CheckDeviceClass(std::string_view device_class);

// Users and devices as committed, read beside the writer. May read the disk: the reader pool's
// work, not a loop's. Any thread.
class Directory {
 public:
  // Both outlive it.
  Directory(const storage::AccountStore& store, const shard::Router& router)
      : store_(store), router_(router) {}

  // By name, which must be the very name: another name with the same id is not this user.
  base::Result<std::optional<model::User>> Find(std::string_view name) const;
  base::Result<std::optional<model::User>> Find(model::UserId user) const;

  // Users are never deleted, so "yes" stays true; "no" may be out of date at once.
  base::Result<bool> Exists(model::UserId user) const;

  base::Result<std::vector<model::Device>> Devices(model::UserId user) const {
    return store_.ListDevices(user);
  }

  // In order of id, from the one after `after`.
  base::Result<std::vector<model::User>> List(model::UserId after, size_t limit) const {
    return store_.ListUsers(after, limit);
  }

  model::UserId IdOf(std::string_view name) const { return router_.UserIdOf(name); }

 private:
  const storage::AccountStore& store_;
  const shard::Router& router_;
};

}  // namespace hongyan::account
