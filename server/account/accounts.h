#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/command.h"
#include "shard/unit_of_work.h"
#include "shard/working_set.h"
#include "storage/account_store.h"

namespace hongyan::account {

// One silent for so long no longer counts among a user's devices; no token lives longer.
constexpr int64_t kSilentDeviceMs = int64_t{90} * 24 * 3600 * 1000;

// The rules of the users of one shard: accounts, devices, session and token numbers. Called by the
// shard's logic: Apply per command (each answers through the unit of work; what is refused has
// written nothing), then Publish or Drop for the batch, Forget where our memory may be wrong. Shard
// thread.
class Accounts {
 public:
  // `store` outlives it.
  explicit Accounts(storage::AccountStore& store);

  // Each user on its own: created, existed already (left as it is), or refused because another name
  // has the same id.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to, const model::CreateUsers& command);

  // NO_SUCH_USER. Tokens given out before stay valid: revoke them where the old password leaked.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to, const model::SetPassword& command);

  // Disabling ends all sessions of the user. Doing it twice changes nothing.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to, const model::SetDisabled& command);

  // Gives the session its number, by which it replaces an older one of the same device, and after a
  // password (token_number 0) a new token its number. NO_SUCH_USER, USER_DISABLED, TOKEN_REVOKED,
  // LIMIT_REACHED (devices). Numbers of a device start at the time its row is made, so a row may go
  // and come again and neither an old token nor an old session is taken for a new one.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to, const model::OpenSession& command);

  // All tokens given out so far are dead, and the sessions opened so far are over. A device that is
  // not there has none: done.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to, const model::RevokeTokens& command);

  // The cursor steers trim only; it never falls. Access asks at most once a minute and device.
  void Apply(shard::UnitOfWork& work, const model::ReplyTo& to,
             const model::ConfirmCursor& command);

  void Publish(std::vector<model::Effect>& effects);
  void Drop();
  // The batch dropped last may have been kept after all: whom it would have ended is told again,
  // as the stored rows say now.
  void Forget(std::vector<model::Effect>& effects);

 private:
  base::Result<const model::User*> FindUser(model::UserId user);
  base::Result<const std::vector<model::Device>*> FindDevices(model::UserId user);
  // NO_SUCH_USER where there is none.
  base::Result<model::User> GetUser(model::UserId user);
  base::Result<model::SessionOpened> Open(shard::UnitOfWork& work,
                                          const model::OpenSession& command);
  base::Result<void> MakeRoom(shard::UnitOfWork& work, model::UserId user,
                              std::vector<model::Device>& devices);
  base::Result<void> Revoke(shard::UnitOfWork& work, const model::RevokeTokens& command);
  base::Result<void> Disable(shard::UnitOfWork& work, const model::SetDisabled& command);
  base::Result<model::SessionsEnded> EndedByStore(const model::SessionsEnded& doubtful);

  storage::AccountStore& store_;
  shard::WorkingSet<model::UserId, model::User> users_;
  shard::WorkingSet<model::UserId, std::vector<model::Device>> devices_;  // all of a user's, by id
  std::vector<model::SessionsEnded> ended_;                               // by the batch
  std::vector<model::SessionsEnded> doubtful_;                            // by the one dropped last
};

}  // namespace hongyan::account
