#include "adapters.h"
#include "tests/doctest_last.h"

namespace hongyan::storage {

namespace {

model::User MakeUser(int64_t id, const std::string& name) {
  model::User user;
  user.id = model::UserId(id);
  user.name = name;
  user.password_hash = "$argon2id$" + name;
  user.created_ms = 1'700'000'000'123;
  return user;
}

model::Device MakeDevice(uint8_t first_byte) {
  model::Device device;
  device.id.bytes.fill(0x11);
  device.id.bytes[0] = first_byte;
  device.device_class = "phone";
  device.session_number = 3;
  device.lowest_token_number = 2;
  device.next_token_number = 5;
  device.last_login_ms = 1'700'000'000'456;
  device.cursor = model::Seq((int64_t{1} << 40) + 9);
  return device;
}

bool Same(const model::User& a, const model::User& b) {
  return a.id == b.id && a.name == b.name && a.password_hash == b.password_hash &&
         a.created_ms == b.created_ms && a.disabled == b.disabled;
}

bool Same(const model::Device& a, const model::Device& b) {
  return a.id == b.id && a.device_class == b.device_class && a.session_number == b.session_number &&
         a.lowest_token_number == b.lowest_token_number &&
         a.next_token_number == b.next_token_number && a.last_login_ms == b.last_login_ms &&
         a.cursor == b.cursor;
}

}  // namespace

TEST_CASE_TEMPLATE("a user is found by id with all it was stored with", Adapter, ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  model::User anna = MakeUser(41, "anna");
  anna.disabled = true;
  const model::User bert = MakeUser(42, std::string("b\0rt \xff\xfe", 7));  // rules are above us
  CHECK(Commit(adapter.store(), [&](Batch& batch) {
          accounts.PutUser(batch, anna);
          accounts.PutUser(batch, bert);
        }) == CommitOutcome::kCommitted);

  CHECK(Same(**accounts.FindUser(model::UserId(41)), anna));
  CHECK(Same(**accounts.FindUser(model::UserId(42)), bert));
  CHECK_FALSE(accounts.FindUser(model::UserId(43))->has_value());
}

TEST_CASE_TEMPLATE("storing a user again replaces the whole row", Adapter, ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  model::User anna = MakeUser(41, "anna");
  Commit(adapter.store(), [&](Batch& batch) { accounts.PutUser(batch, anna); });
  anna.password_hash.clear();
  anna.disabled = true;
  Commit(adapter.store(), [&](Batch& batch) { accounts.PutUser(batch, anna); });
  CHECK(Same(**accounts.FindUser(anna.id), anna));
}

TEST_CASE_TEMPLATE("a user's devices are listed by id and no one else's with them", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  const model::UserId user(INT64_MAX - 1);
  const model::Device low = MakeDevice(0x01);
  const model::Device high = MakeDevice(0xf0);
  Commit(adapter.store(), [&](Batch& batch) {
    accounts.PutDevice(batch, user, high);
    accounts.PutDevice(batch, user, low);
    accounts.PutDevice(batch, model::UserId(user.value - 1), MakeDevice(0x55));
    accounts.PutDevice(batch, model::UserId(INT64_MAX), MakeDevice(0x00));
  });

  const auto devices = *accounts.ListDevices(user);
  REQUIRE(devices.size() == 2);
  CHECK(Same(devices[0], low));
  CHECK(Same(devices[1], high));
  CHECK(Same(**accounts.FindDevice(user, high.id), high));
  CHECK_FALSE(accounts.FindDevice(model::UserId(499), high.id)->has_value());
  CHECK(accounts.ListDevices(model::UserId(INT64_MAX))->size() == 1);
  CHECK(accounts.ListDevices(model::UserId(502))->empty());
}

TEST_CASE_TEMPLATE("an erased device is gone and the others stay", Adapter, ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  const model::UserId user(500);
  Commit(adapter.store(), [&](Batch& batch) {
    accounts.PutDevice(batch, user, MakeDevice(1));
    accounts.PutDevice(batch, user, MakeDevice(2));
    accounts.PutDevice(batch, model::UserId(501), MakeDevice(1));
  });
  Commit(adapter.store(), [&](Batch& batch) {
    accounts.EraseDevice(batch, user, MakeDevice(1).id);
    accounts.EraseDevice(batch, user, MakeDevice(3).id);  // was never there
  });
  adapter.Restart();
  const auto devices = *adapter.store().accounts().ListDevices(user);
  REQUIRE(devices.size() == 1);
  CHECK(devices[0].id == MakeDevice(2).id);
  CHECK(adapter.store().accounts().ListDevices(model::UserId(501))->size() == 1);
}

TEST_CASE_TEMPLATE("an erased device is gone, erasing it again changes nothing", Adapter,
                   ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  const model::UserId user(500);
  Commit(adapter.store(), [&](Batch& batch) {
    accounts.PutDevice(batch, user, MakeDevice(1));
    accounts.PutDevice(batch, user, MakeDevice(2));
  });
  for (int time = 0; time < 2; ++time) {
    CHECK(Commit(adapter.store(), [&](Batch& batch) {
            accounts.EraseDevice(batch, user, MakeDevice(1).id);
          }) == CommitOutcome::kCommitted);
    CHECK_FALSE(accounts.FindDevice(user, MakeDevice(1).id)->has_value());
    CHECK(accounts.ListDevices(user)->size() == 1);
  }
}

TEST_CASE_TEMPLATE("users are listed in pages that neither skip nor repeat", Adapter, ADAPTERS) {
  Adapter adapter;
  AccountStore& accounts = adapter.store().accounts();
  // Ids whose order as bytes and as numbers differs unless keys are big-endian.
  const std::vector<int64_t> ids = {1, 255, 256, 65'535, 65'536, INT64_MAX};
  Commit(adapter.store(), [&](Batch& batch) {
    for (const int64_t id : ids) accounts.PutUser(batch, MakeUser(id, "u" + std::to_string(id)));
  });

  std::vector<int64_t> listed;
  model::UserId after;
  for (;;) {
    const auto page = *accounts.ListUsers(after, 4);
    CHECK(page.size() <= 4);
    if (page.empty()) break;
    for (const model::User& user : page) listed.push_back(user.id.value);
    after = page.back().id;
  }
  CHECK(listed == ids);
}

TEST_CASE_TEMPLATE("accounts outlive the process", Adapter, ADAPTERS) {
  Adapter adapter;
  const model::User anna = MakeUser(41, "anna");
  const model::Device phone = MakeDevice(9);
  Commit(adapter.store(), [&](Batch& batch) {
    adapter.store().accounts().PutUser(batch, anna);
    adapter.store().accounts().PutDevice(batch, anna.id, phone);
  });
  adapter.Restart();
  CHECK(Same(**adapter.store().accounts().FindUser(anna.id), anna));
  CHECK(Same(**adapter.store().accounts().FindDevice(anna.id, phone.id), phone));
}

}  // namespace hongyan::storage
