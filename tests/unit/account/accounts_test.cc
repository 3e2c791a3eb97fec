#include "account/accounts.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/reason.h"
#include "storage/memory/memory_message_store.h"
#include "tests/doctest_last.h"

namespace hongyan::account {
namespace {

using model::Reason;
using model::UserId;

class Work final : public shard::UnitOfWork {
 public:
  Work(int64_t time_ms, storage::Batch& batch) : UnitOfWork(0, time_ms, batch) {}
  void Emit(model::ShardId, model::Item, int32_t) override { FAIL("accounts emit nothing"); }
  void Reply(const model::ReplyTo&, model::Reply reply) override {
    replies.push_back(std::move(reply));
  }
  bool MayEmit(model::ShardId, std::string*) const override { return true; }
  void AwaitArrivals() override { FAIL("accounts wait for nothing"); }
  bool waited() const override { return false; }
  bool arrivals_missing() const override { return false; }
  bool BelowDiskReserve() const override { return below_reserve; }

  std::vector<model::Reply> replies;
  bool below_reserve = false;
};

model::DeviceId MakeDevice(int n) {
  model::DeviceId id;
  id.bytes[0] = static_cast<uint8_t>(n);
  id.bytes[15] = 1;
  return id;
}

// One shard's accounts on the memory store; a batch runs until Commit or Drop.
class AccountsOnMemory {
 public:
  AccountsOnMemory()
      : store_(storage::MemoryState::Create(1, 1)),
        accounts_(std::make_unique<Accounts>(store_.accounts())) {
    Begin();
  }

  template <class Command>
  model::Reply Do(const Command& command) {
    const size_t before = work_->replies.size();
    accounts_->Apply(*work_, {}, command);
    REQUIRE(work_->replies.size() == before + 1);
    return work_->replies.back();
  }

  std::vector<model::Effect> Commit() {
    REQUIRE(store_.Commit(std::move(batch_)) == storage::CommitOutcome::kCommitted);
    std::vector<model::Effect> effects;
    accounts_->Publish(effects);
    Begin();
    return effects;
  }
  void Drop() {
    accounts_->Drop();
    Begin();
  }
  // A commit that ended unknown, as recovery found it; returns what is told then.
  enum class Found { kKept, kLost };
  std::vector<model::Effect> CommitUnknown(Found found) {
    if (found == Found::kKept) {
      REQUIRE(store_.Commit(std::move(batch_)) == storage::CommitOutcome::kCommitted);
    }
    accounts_->Drop();
    std::vector<model::Effect> effects;
    accounts_->Forget(effects);
    Begin();
    return effects;
  }
  void Restart() { accounts_ = std::make_unique<Accounts>(store_.accounts()); }
  void Advance(int64_t ms) {
    time_ms_ += ms;
    Begin();
  }
  Work& work() { return *work_; }
  storage::MemoryMessageStore& store() { return store_; }

  void Create(int64_t id, const std::string& name) {
    model::CreateUsers command;
    command.users.push_back({UserId(id), name, "", 0, false});
    REQUIRE(Do(command).ok());
    Commit();
  }
  model::Reply Login(int64_t user, int device, int64_t token_number = 0) {
    return Do(model::OpenSession{UserId(user), MakeDevice(device), "phone", token_number, false});
  }

 private:
  void Begin() {
    batch_ = store_.NewBatch();
    work_ = std::make_unique<Work>(time_ms_, *batch_);
  }

  int64_t time_ms_ = 1'000'000;
  storage::MemoryMessageStore store_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<storage::Batch> batch_;
  std::unique_ptr<Work> work_;
};

model::SessionOpened Opened(const model::Reply& reply) {
  REQUIRE(reply.ok());
  return std::get<model::SessionOpened>(reply.value());
}

Reason Why(const model::Reply& reply) {
  REQUIRE(!reply.ok());
  return static_cast<Reason>(reply.error().reason);
}

const model::SessionsEnded& Ended(const model::Effect& effect) {
  return std::get<model::SessionsEnded>(effect);
}

TEST_CASE("a user is created once, and another name with the same id is refused") {
  AccountsOnMemory shard;
  model::CreateUsers command;
  command.users.push_back({UserId(7), "anna", "hash", 0, false});
  command.users.push_back({UserId(7), "anna", "other", 0, false});
  command.users.push_back({UserId(7), "bert", "", 0, false});
  command.users.push_back({UserId(8), "carl", "", 0, false});
  const auto outcomes = std::get<model::UsersCreated>(shard.Do(command).value()).outcomes;
  using model::Creation;
  CHECK(outcomes == std::vector<Creation>{Creation::kCreated, Creation::kExisted,
                                          Creation::kCollision, Creation::kCreated});
  shard.Commit();
  const auto again = std::get<model::UsersCreated>(shard.Do(command).value()).outcomes;
  CHECK(again == std::vector<Creation>{Creation::kExisted, Creation::kExisted, Creation::kCollision,
                                       Creation::kExisted});
  const auto stored = shard.store().accounts().FindUser(UserId(7));
  REQUIRE(stored->has_value());
  CHECK((*stored)->name == "anna");
  CHECK((*stored)->password_hash == "hash");
  CHECK((*stored)->created_ms == 1'000'000);
}

TEST_CASE("below the disk reserve nobody is created, and those who are there may log in") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  shard.work().below_reserve = true;
  model::CreateUsers command;
  command.users.push_back({UserId(8), "bert", "", 0, false});
  CHECK(Why(shard.Do(command)) == Reason::kDiskReserve);
  CHECK(shard.Login(7, 1).ok());
}

TEST_CASE("a batch that is dropped never created the user") {
  AccountsOnMemory shard;
  model::CreateUsers command;
  command.users.push_back({UserId(7), "anna", "", 0, false});
  CHECK(shard.Do(command).ok());
  CHECK(shard.Login(7, 1).ok());  // its batch sees it
  shard.Drop();
  CHECK(Why(shard.Login(7, 1)) == Reason::kNoSuchUser);
  CHECK(shard.Commit().empty());
}

TEST_CASE("a later login of the same device has the higher number and ends the earlier") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  const auto first = Opened(shard.Login(7, 1));
  CHECK(first.user_name == "anna");
  shard.Commit();
  shard.Restart();  // the number is in the store, not in memory
  const auto second = Opened(shard.Login(7, 1));
  CHECK(second.session_number > first.session_number);
  const auto effects = shard.Commit();
  REQUIRE(effects.size() == 1);
  CHECK(Ended(effects[0]).user == UserId(7));
  CHECK(Ended(effects[0]).device == MakeDevice(1));
  CHECK(Ended(effects[0]).below == second.session_number);
  CHECK(Ended(effects[0]).reason == model::EndReason::kReplaced);
}

TEST_CASE("a token number that was given out opens a session until it is revoked") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  const auto by_password = Opened(shard.Login(7, 1));
  CHECK(Opened(shard.Login(7, 1, by_password.token_number)).token_number ==
        by_password.token_number);
  CHECK(Why(shard.Login(7, 1, by_password.token_number + 1)) == Reason::kTokenRevoked);
  CHECK(Why(shard.Login(7, 2, by_password.token_number)) == Reason::kTokenRevoked);
  shard.Commit();

  CHECK(shard.Do(model::RevokeTokens{UserId(7), MakeDevice(1)}).ok());
  const auto effects = shard.Commit();
  REQUIRE(effects.size() == 1);
  CHECK(Ended(effects[0]).reason == model::EndReason::kRevoked);
  shard.Restart();
  CHECK(Why(shard.Login(7, 1, by_password.token_number)) == Reason::kTokenRevoked);
  const auto anew = Opened(shard.Login(7, 1));
  CHECK(anew.token_number > by_password.token_number);
  CHECK(Opened(shard.Login(7, 1, anew.token_number)).session_number > anew.session_number);
}

TEST_CASE("revoking without a device revokes all of the user's and of nobody else") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  shard.Create(8, "bert");
  const auto phone = Opened(shard.Login(7, 1));
  const auto desktop = Opened(shard.Login(7, 2));
  const auto bert = Opened(shard.Login(8, 1));
  shard.Commit();
  CHECK(shard.Do(model::RevokeTokens{UserId(7), {}}).ok());
  CHECK(shard.Commit().size() == 2);
  CHECK(Why(shard.Login(7, 1, phone.token_number)) == Reason::kTokenRevoked);
  CHECK(Why(shard.Login(7, 2, desktop.token_number)) == Reason::kTokenRevoked);
  CHECK(shard.Login(8, 1, bert.token_number).ok());
}

TEST_CASE("revoking a device that the user does not have says so, and revokes nothing") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  const auto phone = Opened(shard.Login(7, 1));
  shard.Commit();
  const auto reply = shard.Do(model::RevokeTokens{UserId(7), MakeDevice(9)});
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == base::Code::kNotFound);
  CHECK(reply.error().text.find("no such device") != std::string::npos);
  CHECK(shard.Commit().empty());
  CHECK(shard.Login(7, 1, phone.token_number).ok());
}

TEST_CASE("issuing a token opens no session and ends none") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  const auto issued =
      Opened(shard.Do(model::OpenSession{UserId(7), MakeDevice(1), "bot", 0, true}));
  CHECK(issued.session_number == 0);
  CHECK(shard.Commit().empty());
  CHECK(shard.Login(7, 1, issued.token_number).ok());
}

TEST_CASE("a disabled user's sessions end, no new one opens, and enabling lets it in again") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  const auto session = Opened(shard.Login(7, 1));
  shard.Commit();
  CHECK(shard.Do(model::SetDisabled{UserId(7), true}).ok());
  CHECK(Why(shard.Login(7, 1, session.token_number)) == Reason::kUserDisabled);
  const auto effects = shard.Commit();
  REQUIRE(effects.size() == 1);
  CHECK(Ended(effects[0]).reason == model::EndReason::kDisabled);
  CHECK(Ended(effects[0]).below == session.session_number + 1);
  CHECK(shard.Do(model::SetDisabled{UserId(7), true}).ok());
  CHECK(shard.work().batch().records() == 0);
  REQUIRE(shard.Commit().size() == 1);
  CHECK(shard.Do(model::SetDisabled{UserId(7), false}).ok());
  CHECK(shard.Login(7, 1, session.token_number).ok());
}

TEST_CASE("who was ended by a commit of unknown outcome is told so where it was kept") {
  using Found = AccountsOnMemory::Found;
  for (const Found found : {Found::kKept, Found::kLost}) {
    const bool kept = found == Found::kKept;
    CAPTURE(kept);
    AccountsOnMemory shard;
    shard.Create(7, "anna");
    shard.Create(8, "bert");
    const auto replaced = Opened(shard.Login(7, 1));
    const auto revoked = Opened(shard.Login(7, 2));
    const auto disabled = Opened(shard.Login(8, 1));
    shard.Commit();

    const auto after = Opened(shard.Login(7, 1));
    CHECK(shard.Do(model::RevokeTokens{UserId(7), MakeDevice(2)}).ok());
    CHECK(shard.Do(model::SetDisabled{UserId(8), true}).ok());
    const auto effects = shard.CommitUnknown(found);
    REQUIRE(effects.size() == 3);
    // An effect ends what is below its number, so at the number itself nothing ends.
    CHECK(Ended(effects[0]).device == MakeDevice(1));
    CHECK(Ended(effects[0]).below == (kept ? after : replaced).session_number);
    CHECK(Ended(effects[0]).reason == model::EndReason::kReplaced);
    CHECK(Ended(effects[1]).device == MakeDevice(2));
    CHECK(Ended(effects[1]).below == revoked.session_number + (kept ? 1 : 0));
    CHECK(Ended(effects[1]).reason ==
          (kept ? model::EndReason::kRevoked : model::EndReason::kReplaced));
    CHECK(Ended(effects[2]).user == UserId(8));
    CHECK(Ended(effects[2]).below == disabled.session_number + (kept ? 1 : 0));
    CHECK(Ended(effects[2]).reason ==
          (kept ? model::EndReason::kDisabled : model::EndReason::kReplaced));
    CHECK(shard.CommitUnknown(found).empty());  // told once
  }
}

TEST_CASE("a device that gave way in a commit of unknown outcome is told so") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  std::vector<model::SessionOpened> opened;
  for (int device = 1; device <= 16; ++device) opened.push_back(Opened(shard.Login(7, device)));
  shard.Commit();
  shard.Advance(kSilentDeviceMs + 1);
  CHECK(shard.Login(7, 17).ok());
  const auto effects = shard.CommitUnknown(AccountsOnMemory::Found::kKept);
  REQUIRE(effects.size() == 2);
  CHECK(Ended(effects[0]).below == opened[0].session_number + 1);
}

TEST_CASE("the seventeenth device is refused until one is logged out or silent for 90 days") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  std::vector<model::SessionOpened> opened;
  for (int device = 1; device <= 16; ++device) opened.push_back(Opened(shard.Login(7, device)));
  CHECK(Why(shard.Login(7, 17)) == Reason::kLimitReached);
  CHECK(shard.Login(7, 16).ok());  // one that is there already is not one more
  shard.Commit();

  CHECK(shard.Do(model::RevokeTokens{UserId(7), MakeDevice(5)}).ok());
  CHECK(shard.Login(7, 17).ok());
  shard.Commit();
  CHECK(shard.store().accounts().ListDevices(UserId(7))->size() == 16);
  CHECK(Why(shard.Login(7, 5, opened[4].token_number)) == Reason::kTokenRevoked);
  CHECK(Why(shard.Login(7, 18)) == Reason::kLimitReached);

  shard.Advance(kSilentDeviceMs + 1);
  const auto back = Opened(shard.Login(7, 5));
  shard.Commit();
  CHECK(back.session_number > opened[4].session_number);
  CHECK(Why(shard.Login(7, 5, opened[4].token_number)) == Reason::kTokenRevoked);
  CHECK(shard.store().accounts().ListDevices(UserId(7))->size() == 16);
}

TEST_CASE("a confirmed cursor is kept and never falls") {
  AccountsOnMemory shard;
  shard.Create(7, "anna");
  CHECK(shard.Login(7, 1).ok());
  shard.Commit();
  CHECK(shard.Do(model::ConfirmCursor{UserId(7), MakeDevice(1), model::Seq(50)}).ok());
  CHECK(shard.Do(model::ConfirmCursor{UserId(7), MakeDevice(1), model::Seq(40)}).ok());
  CHECK(shard.Do(model::ConfirmCursor{UserId(7), MakeDevice(9), model::Seq(60)}).ok());
  shard.Commit();
  const auto devices = shard.store().accounts().ListDevices(UserId(7));
  REQUIRE(devices->size() == 1);
  CHECK(devices->front().cursor == model::Seq(50));
}

TEST_CASE("commands for an unknown user are refused and write nothing") {
  AccountsOnMemory shard;
  CHECK(Why(shard.Login(99, 1)) == Reason::kNoSuchUser);
  CHECK(Why(shard.Do(model::SetPassword{UserId(99), "h"})) == Reason::kNoSuchUser);
  CHECK(Why(shard.Do(model::SetDisabled{UserId(99), true})) == Reason::kNoSuchUser);
  CHECK(Why(shard.Do(model::RevokeTokens{UserId(99), {}})) == Reason::kNoSuchUser);
  CHECK(shard.work().batch().records() == 0);
}

}  // namespace
}  // namespace hongyan::account
