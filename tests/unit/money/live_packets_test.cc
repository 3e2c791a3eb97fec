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

}  // namespace hongyan::testing
