#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "model/account.h"
#include "storage/batch.h"

namespace hongyan::storage {

// Users and their devices. Reads: any thread, see every commit that was published before they
// began; an Error means that the store could not be read (kDataLoss: a row is broken; kUnavailable:
// being reopened). Put* stage into a batch of the same store: shard thread of the user's shard.
class AccountStore {
 public:
  virtual ~AccountStore() = default;

  virtual base::Result<std::optional<model::User>> FindUser(model::UserId user) const = 0;

  // Inserts or replaces the whole row.
  virtual void PutUser(Batch& batch, const model::User& user) = 0;

  virtual base::Result<std::optional<model::Device>> FindDevice(model::UserId user,
                                                                model::DeviceId device) const = 0;

  // All devices of a user, by id. At most model::kMaxDevicesPerUser.
  virtual base::Result<std::vector<model::Device>> ListDevices(model::UserId user) const = 0;

  virtual void PutDevice(Batch& batch, model::UserId user, const model::Device& device) = 0;

  // A device that is not there is erased already.
  virtual void EraseDevice(Batch& batch, model::UserId user, model::DeviceId device) = 0;

  // All users in order of id, from the one after `after`; for administrators' listings.
  virtual base::Result<std::vector<model::User>> ListUsers(model::UserId after,
                                                           size_t limit) const = 0;
};

}  // namespace hongyan::storage
