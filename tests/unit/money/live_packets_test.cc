#include "money/live_packets.h"

#include <string>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {

TEST_CASE("what a shard knows of its packets is bounded, and what left memory is read again") {
  House house;
  std::vector<model::PacketId> packets;
  for (int i = 0; i < 40; ++i) {
    const model::PacketId packet = house.Lucky("anna", 100, 5);
    if (house.PacketShard(packet) != model::kFirstMoneyShard) continue;
    CHECK(house.Open(packet, "bert").ok());
    packets.push_back(packet);
  }
  REQUIRE(packets.size() >= 10);
  money::LivePackets live(model::kFirstMoneyShard, house.store().packets(),
                          4 * money::kPacketWeight);
  for (int round = 0; round < 3; ++round) {
    for (const model::PacketId packet : packets) {
      auto found = live.Find(packet);
      REQUIRE(found.ok());
      REQUIRE(*found != nullptr);
      CHECK((*found)->status.left == 4);
      auto bert = live.FindClaim(**found, house.User("bert"));
      CHECK(bert->has_value());
      auto carl = live.FindClaim(**found, house.User("carl"));
      CHECK_FALSE(carl->has_value());
      CHECK((*found)->claims.size() == 1);
      CHECK(live.StoredClaims(**found)->size() == 1);
      CHECK(live.held() <= 5);
    }
  }
  CHECK(*live.Find(model::PacketId(2077800000000000010)) == nullptr);
}

TEST_CASE("a packet that is asked for stays, one that is not goes first") {
  House house;
  std::vector<model::PacketId> packets;
  while (packets.size() < 8) {
    const model::PacketId packet = house.Lucky("anna", 100, 5);
    if (house.PacketShard(packet) == model::kFirstMoneyShard) packets.push_back(packet);
  }
  money::LivePackets live(model::kFirstMoneyShard, house.store().packets(),
                          4 * money::kPacketWeight);
  const money::LivePacket* hot = *live.Find(packets[0]);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 1; i < packets.size(); ++i) {
      CHECK(live.Find(packets[i]).ok());
      CHECK(*live.Find(packets[0]) == hot);
    }
  }
}

// What is in memory is not read again: a row changed behind its back tells.
TEST_CASE("what is held in memory is bounded for all shards together, whatever their number") {
  House::Options options;
  options.shards = 4;
  options.held = {40, 40 * money::kPacketWeight};
  House house(options);
  SUBCASE("wallets") {
    std::vector<std::string> users;
    for (int i = 0; users.size() < 25; ++i) {
      const std::string user = "u" + std::to_string(i);
      if (house.WalletShard(user) == model::kFirstMoneyShard) users.push_back(user);
    }
    for (const std::string& user : users) CHECK(house.Deposit(user, 5).ok());
    for (const std::string& user : {users.front(), users.back()}) {
      house.state->wallets.at({model::kFirstMoneyShard, house.User(user)}).balance_fen += 100;
      CHECK(house.Deposit(user, 1).ok());
    }
    CHECK(house.Balance(users.front()) == 106);  // read again: of its shard's ten it was none
    CHECK(house.Balance(users.back()) == 6);
  }
  SUBCASE("packets") {
    std::vector<model::PacketId> packets;
    while (packets.size() < 25) {
      const model::PacketId packet = house.Lucky("anna", 100, 5);
      if (house.PacketShard(packet) == model::kFirstMoneyShard) packets.push_back(packet);
    }
    for (const model::PacketId packet : {packets.front(), packets.back()}) {
      house.state->statuses.at({model::kFirstMoneyShard, packet}).quarantined = true;
    }
    CHECK(House::Why(house.Open(packets.front(), "bert")) == model::Reason::kQuarantined);
    CHECK(house.Open(packets.back(), "bert").ok());
  }
}

}  // namespace hongyan::testing
