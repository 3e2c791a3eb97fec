#include "net/timer_wheel.h"

#include <memory>
#include <string>
#include <vector>

#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

// A wheel whose clock is moved by hand, and timers that write their names down.
struct Wheel {
  int64_t now = 1'000'050;  // in the middle of a grain
  TimerWheel wheel{[this] { return now; }};
  std::string fired;

  std::unique_ptr<TimerNode> Timer(char name) {
    auto node = std::make_unique<TimerNode>();
    node->on_fire = [this, name] { fired += name; };
    return node;
  }
  void GoTo(int64_t ms) {
    now = ms;
    wheel.Advance();
  }
};

TEST_CASE_FIXTURE(Wheel, "a timer never fires before its time and at most one grain after") {
  for (const int64_t delay :
       {0, 1, 49, 50, 51, 99, 100, 101, 250, 1'000, 102'350, 102'400, 500'001}) {
    CAPTURE(delay);
    fired.clear();
    auto a = Timer('a');
    const int64_t start = now;
    wheel.Arm(*a, delay);
    int64_t at = -1;
    for (int64_t t = start; at < 0 && t < start + delay + 1'000; ++t) {
      GoTo(t);
      if (!fired.empty()) at = t;
    }
    CHECK(at >= start + delay);
    CHECK(at <= start + delay + TimerWheel::kGrainMs);
    CHECK_FALSE(a->armed());
  }
}

TEST_CASE_FIXTURE(Wheel, "timers fire in order of time, within one grain in order of arming") {
  auto a = Timer('a'), b = Timer('b'), c = Timer('c'), d = Timer('d');
  wheel.Arm(*d, 900);
  wheel.Arm(*b, 300);
  wheel.Arm(*a, 100);
  wheel.Arm(*c, 300);
  GoTo(now + 2'000);
  CHECK(fired == "abcd");
  CHECK(wheel.armed() == 0);
}

TEST_CASE_FIXTURE(Wheel, "arming again moves the timer, disarming silences it") {
  auto a = Timer('a'), b = Timer('b');
  wheel.Arm(*a, 200);
  wheel.Arm(*a, 5'000);
  wheel.Arm(*b, 200);
  wheel.Disarm(*b);
  CHECK(wheel.armed() == 1);
  GoTo(now + 1'000);
  CHECK(fired.empty());
  GoTo(now + 4'200);
  CHECK(fired == "a");
}

TEST_CASE_FIXTURE(Wheel, "a far timer goes round the wheel until its turn") {
  auto near = Timer('n'), far = Timer('f');
  wheel.Arm(*far, 660'000);
  wheel.Arm(*near, 660'000 % 102'400);  // the same slot, six turns earlier
  for (int i = 0; i < 6'599; ++i) GoTo(now + 100);
  CHECK(fired == "n");
  GoTo(now + 200);
  CHECK(fired == "nf");
}

TEST_CASE_FIXTURE(Wheel,
                  "a clock that jumps over the whole wheel fires everything due exactly once") {
  std::vector<std::unique_ptr<TimerNode>> due;
  for (int i = 0; i < 3'000; ++i) {
    due.push_back(Timer('x'));
    wheel.Arm(*due.back(), i * 100);
  }
  auto later = Timer('l');
  wheel.Arm(*later, 1'000'000);
  GoTo(now + 500'000);
  CHECK(fired == std::string(3'000, 'x'));
  CHECK(wheel.armed() == 1);
  GoTo(now + 500'100);
  CHECK(fired.back() == 'l');
}

TEST_CASE_FIXTURE(Wheel, "a timer that arms itself fires once per grain at most") {
  TimerNode again;
  int count = 0;
  again.on_fire = [&] {
    ++count;
    wheel.Arm(again, 0);
  };
  wheel.Arm(again, 0);
  GoTo(now + 100);
  CHECK(count == 1);
  GoTo(now + 100);
  CHECK(count == 2);
  CHECK(again.armed());
}

TEST_CASE_FIXTURE(Wheel, "a node destroyed while armed is gone from the wheel") {
  auto a = Timer('a'), b = Timer('b'), c = Timer('c');
  wheel.Arm(*a, 100);
  wheel.Arm(*b, 100);
  wheel.Arm(*c, 100);
  b.reset();
  GoTo(now + 200);
  CHECK(fired == "ac");
}

TEST_CASE_FIXTURE(Wheel,
                  "a firing timer may destroy itself, a neighbour of its grain and a later one") {
  auto neighbour = Timer('n'), later = Timer('l'), last = Timer('z');
  auto self = std::make_unique<TimerNode>();
  self->on_fire = [&] {
    fired += 's';
    neighbour.reset();
    later.reset();
    self.reset();
  };
  wheel.Arm(*self, 100);
  wheel.Arm(*neighbour, 100);
  wheel.Arm(*later, 102'500);
  wheel.Arm(*last, 100);
  GoTo(now + 200'000);
  CHECK(fired == "sz");
  CHECK(wheel.armed() == 0);
}

TEST_CASE("a wheel that goes first leaves its nodes disarmed") {
  TimerNode node;
  node.on_fire = [] {};
  {
    TimerWheel wheel([] { return int64_t{5}; });
    wheel.Arm(node, 100);
    CHECK(node.armed());
  }
  CHECK_FALSE(node.armed());
}

}  // namespace
}  // namespace hongyan::net
