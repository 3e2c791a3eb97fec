#include "access/join_check.h"

#include <string>
#include <utility>
#include <vector>

#include "conversation/membership.h"
#include "storage/memory/memory_message_store.h"
#include "storage/memory/memory_money_store.h"
#include "tests/doctest_last.h"

namespace hongyan::access {
namespace {

using model::UserId;

// Users 1 to `there` exist; counts what is read of them.
class CountedUsers final : public storage::AccountStore {
 public:
  explicit CountedUsers(int64_t there) : there_(there) {}
  base::Result<std::optional<model::User>> FindUser(UserId user) const override {
    ++reads;
    if (user.value > there_) return std::optional<model::User>();
    model::User found;
    found.id = user;
    return std::optional(found);
  }
  void PutUser(storage::Batch&, const model::User&) override {}
  base::Result<std::optional<model::Device>> FindDevice(UserId, model::DeviceId) const override {
    return std::optional<model::Device>();
  }
  base::Result<std::vector<model::Device>> ListDevices(UserId) const override {
    return std::vector<model::Device>();
  }
  void PutDevice(storage::Batch&, UserId, const model::Device&) override {}
  void EraseDevice(storage::Batch&, UserId, model::DeviceId) override {}
  base::Result<std::vector<model::User>> ListUsers(UserId, size_t) const override {
    return std::vector<model::User>();
  }

  mutable size_t reads = 0;

 private:
  const int64_t there_;
};

// What a check stands on, with users counted.
struct House {
  explicit House(int64_t users) : counted(users) {}
  CountedUsers counted;
  base::ManualClock clock{1'790'000'000'000};
  storage::MemoryMessageStore store{storage::MemoryState::Create(1, 1)};
  shard::Router router{store.identity()};
  inbox::OnlineHeads online;
  inbox::Reader inboxes{store.inboxes(), online, 0};
  conversation::Reader conversations{store.conversations()};
  account::Directory directory{counted, router};
  account::Tokens tokens{store.identity().token_key, 1};
  account::Passwords passwords;
  account::LoginLimits login_limits{clock, {}};
  overload::Admission admission{clock, {}, 1};
  base::WorkerPool pool{"pool", 1, 1};
  storage::MemoryMoneyStore money{storage::MemoryMoneyState::Create(1, 1)};
  shard::Router wallets{money.identity()};
  money::Routes routes{wallets, money.money_identity(), router};
  money::Board board;
  money::Reader money_reader{money, routes};
  conversation::Membership membership{store.conversations(), [] { return int64_t{0}; }};
  Services services{.clock = clock,
                    .router = router,
                    .online = online,
                    .inboxes = inboxes,
                    .conversations = conversations,
                    .directory = directory,
                    .tokens = tokens,
                    .passwords = passwords,
                    .login_limits = login_limits,
                    .admission = admission,
                    .money = {routes, board, money_reader, membership, money::Limits(), admission},
                    .readers = pool,
                    .hashers = pool};
};

std::vector<UserId> Users(int64_t n) {
  std::vector<UserId> users;
  for (int64_t id = 1; id <= n; ++id) users.emplace_back(id);
  return users;
}

TEST_CASE("ten thousand users are looked at in pieces, each of them once") {
  House house(10'000);
  JoinCheck check(Users(10'000));
  size_t pieces = 0;
  for (bool done = false; !done; ++pieces) {
    const size_t before = house.counted.reads;
    const auto read = check.ReadOn(house.services);
    REQUIRE(read.ok());
    done = *read;
    CHECK(house.counted.reads - before <= JoinCheck::kRowsAtOnce);
  }
  CHECK(pieces == 10'000 / JoinCheck::kRowsAtOnce);
  CHECK(house.counted.reads == 10'000);
}

TEST_CASE("the first who does not exist ends it, with their id") {
  House house(5);
  JoinCheck check(Users(10'000));
  const auto read = check.ReadOn(house.services);
  REQUIRE(!read.ok());
  CHECK(read.error().text == "there is no user 6");
  CHECK(house.counted.reads == 6);
}

TEST_CASE("nobody to look at is all well at once") {
  House house(0);
  JoinCheck check({});
  check.LimitCreated(UserId(1), model::GroupId(1), 1);
  const auto read = check.ReadOn(house.services);
  REQUIRE(read.ok());
  CHECK(*read);
}

}  // namespace
}  // namespace hongyan::access
