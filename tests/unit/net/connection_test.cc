#include <random>
#include <set>
#include <thread>

#include "net/timer_wheel.h"
#include "tests/unit/net/peers.h"

#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

TEST_CASE("frames of any size come back to each of many peers on several loops, in order") {
  Server server(3);
  server.script.on_open = [](Connection& c) { c.set_max_payload(1 << 20); };
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<Peer> peers;
      for (int i = 0; i < 5; ++i) peers.emplace_back(server);
      for (uint32_t round = 1; round <= 30; ++round) {
        for (Peer& peer : peers) {
          const size_t size = round % 10 == 0 ? random() % 300'000 : random() % 300;
          const std::string payload(size, static_cast<char>('a' + round % 26));
          peer.SendFrame(round, payload, 7);
          const auto back = peer.Receive();
          if (back && back->header.request_id == round && back->header.command == 7 &&
              back->header.is_answer() && back->payload == payload) {
            ++good;
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 6 * 5 * 30);
  CHECK(server.listener().accepted() == 30);
}

}  // namespace
}  // namespace hongyan::net
