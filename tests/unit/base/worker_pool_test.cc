#include "base/worker_pool.h"

#include <future>
#include <memory>
#include <vector>

#include "tests/doctest_last.h"

namespace hongyan::base {
namespace {

// A pool of one thread, which is kept until Go.
struct BusyPool {
  explicit BusyPool(size_t max_queued) : pool("busy", 1, max_queued) {
    REQUIRE(pool.Submit([this] {
      begun.set_value();
      go.get_future().wait();
    }) != 0);
    begun.get_future().wait();
  }
  void Go() { go.set_value(); }
  void WaitForAll() {
    std::promise<void> last;
    REQUIRE(pool.Submit([&last] { last.set_value(); }) != 0);
    last.get_future().wait();
  }
  std::promise<void> begun;
  std::promise<void> go;
  WorkerPool pool;
};

TEST_CASE("tasks run in the order they came in, and one that was cancelled does not") {
  BusyPool busy(10);
  std::vector<int> ran;
  std::vector<uint64_t> names;
  const auto held = std::make_shared<int>(0);
  for (int i = 0; i < 5; ++i) {
    names.push_back(busy.pool.Submit([i, held, &ran] { ran.push_back(i); }));
  }
  busy.pool.Cancel(names[1]);
  busy.pool.Cancel(names[3]);
  busy.pool.Cancel(names[3]);  // again, and one that never was: nothing
  busy.pool.Cancel(1000);
  CHECK(held.use_count() == 4);  // what the cancelled held has gone
  CHECK(busy.pool.queued() == 3);
  busy.Go();
  busy.WaitForAll();
  CHECK(ran == std::vector{0, 2, 4});
  busy.pool.Cancel(names[0]);  // it has run
}

TEST_CASE("a full queue takes nothing, and takes again once one was cancelled") {
  BusyPool busy(2);
  const uint64_t first = busy.pool.Submit([] {});
  CHECK(first != 0);
  CHECK(busy.pool.Submit([] {}) != 0);
  CHECK(busy.pool.Submit([] {}) == 0);
  busy.pool.Cancel(first);
  CHECK(busy.pool.Submit([] {}) != 0);
  busy.Go();
}

}  // namespace
}  // namespace hongyan::base
