#include <csignal>
#include <future>
#include <thread>

#include "net/loop.h"
#include "net/signals.h"
#include "net/timer_wheel.h"
#include "tests/unit/net/peers.h"

#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

// A started loop, stopped at the end.
struct Running {
  Loop loop{0};
  Running() { loop.Start(); }
  ~Running() { loop.Stop(); }
};

TEST_CASE_FIXTURE(Running,
                  "tasks posted by several threads all run on the loop, each thread's in order") {
  std::vector<std::vector<int>> seen(4);
  std::vector<std::thread> threads;
  bool elsewhere = false;
  for (size_t t = 0; t < seen.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1'000; ++i) {
        loop.Post([&, t, i] {
          elsewhere = elsewhere || !loop.InThread();
          seen[t].push_back(i);
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  loop.Stop();
  CHECK_FALSE(elsewhere);
  for (const auto& one : seen) {
    REQUIRE(one.size() == 1'000);
    CHECK(std::is_sorted(one.begin(), one.end()));
  }
}

TEST_CASE_FIXTURE(Running, "a burst of posts runs as one batch in one turn") {
  std::promise<void> gate;
  std::vector<int64_t> turns;
  loop.Post([&] { gate.get_future().wait(); });
  for (int i = 0; i < 500; ++i) loop.Post([&] { turns.push_back(loop.stats().turns); });
  gate.set_value();
  OnLoop(loop, [] {});
  REQUIRE(turns.size() == 500);
  // The batch that holds the gate may have taken the first ones along; what came later is one
  // batch.
  std::sort(turns.begin(), turns.end());
  CHECK(turns.back() - turns.front() <= 1);
}

TEST_CASE_FIXTURE(Running, "a task posted by a task runs in a later turn") {
  int64_t first = -1, second = -1;
  std::promise<void> done;
  loop.Post([&] {
    first = loop.stats().turns;
    loop.Post([&] {
      second = loop.stats().turns;
      done.set_value();
    });
  });
  done.get_future().wait();
  CHECK(second > first);
}

TEST_CASE_FIXTURE(
    Running,
    "the end of a turn comes after its tasks, and a further one does not wait for anything") {
  std::string order;
  std::promise<void> done;
  std::promise<void> gate;
  loop.Post([&] { gate.get_future().wait(); });
  loop.Post([&] {
    loop.AtTurnEnd([&] {
      order += 'E';
      loop.AtTurnEnd([&] {
        order += 'F';
        loop.AtTurnEnd([&] { done.set_value(); });
      });
    });
    order += 'a';
  });
  loop.Post([&] { order += 'b'; });
  gate.set_value();
  done.get_future().wait();
  CHECK(order == "abEF");
}

TEST_CASE_FIXTURE(Running, "a chain of turn ends goes on without waiting for anything to happen") {
  // Without that each link would wait for the next timer, which comes once in a grain.
  int links = 0, grains = 0;
  std::promise<void> done;
  TimerNode timer;
  timer.on_fire = [&] {
    ++grains;
    loop.timers().Arm(timer, 0);
  };
  std::function<void()> link = [&] {
    if (++links < 200) return loop.AtTurnEnd(link);
    loop.timers().Disarm(timer);
    done.set_value();
  };
  OnLoop(loop, [&] {
    loop.timers().Arm(timer, 0);
    loop.AtTurnEnd(link);
  });
  done.get_future().wait();
  CHECK(grains < 50);
}

TEST_CASE_FIXTURE(Running,
                  "what a timer asks for at the turn's end happens before the loop sleeps") {
  std::promise<bool> same_time;
  TimerNode timer;
  timer.on_fire = [&] {
    const int64_t fired_at = loop.now_ms();
    // The loop's time is read after each sleep.
    loop.AtTurnEnd([&, fired_at] { same_time.set_value(loop.now_ms() == fired_at); });
  };
  OnLoop(loop, [&] { loop.timers().Arm(timer, 1); });
  CHECK(same_time.get_future().get());
}

TEST_CASE_FIXTURE(Running, "a timer fires on the loop's thread, not before its time") {
  std::promise<int64_t> fired;
  TimerNode timer;
  int64_t armed_at = 0;
  timer.on_fire = [&] {
    CHECK(loop.InThread());
    fired.set_value(loop.now_ms());
  };
  OnLoop(loop, [&] {
    armed_at = loop.now_ms();
    loop.timers().Arm(timer, 150);
  });
  CHECK(fired.get_future().get() >= armed_at + 150);
}

TEST_CASE("Stop runs what was posted before, refuses what comes after, and may be repeated") {
  Loop loop(0);
  loop.Start();
  int ran = 0;
  std::promise<void> gate;
  loop.Post([&] { gate.get_future().wait(); });
  for (int i = 0; i < 100; ++i) loop.Post([&] { ++ran; });
  loop.Post([&] {
    ++ran;
    loop.Post([&] { ++ran; });  // taken, so it runs
  });
  gate.set_value();
  loop.Stop();
  CHECK(ran == 102);
  auto owned = std::make_shared<int>(1);
  CHECK_FALSE(loop.Post([owned] { FAIL("ran after the end"); }));
  CHECK(owned.use_count() == 1);
  loop.Stop();
}

TEST_CASE("a post while the loop ends is either run or refused, never lost") {
  for (int round = 0; round < 50; ++round) {
    Loop loop(0);
    loop.Start();
    std::atomic<int> ran{0};
    int taken = 0;
    std::thread poster([&] {
      while (loop.Post([&] { ++ran; })) ++taken;
    });
    loop.Stop();
    poster.join();
    REQUIRE(ran == taken);
  }
}

TEST_CASE("a loop never started is destroyed with what waits for it") {
  auto owned = std::make_shared<int>(1);
  {
    Loop loop(0);
    CHECK(loop.Post([owned] { FAIL("ran"); }));
    CHECK_FALSE(loop.InThread());
  }
  CHECK(owned.use_count() == 1);
}

TEST_CASE_FIXTURE(Running, "a loop ignores SIGPIPE for the process") {
  struct sigaction now = {};
  REQUIRE(sigaction(SIGPIPE, nullptr, &now) == 0);
  CHECK((now.sa_handler == SIG_IGN));
}

TEST_CASE_FIXTURE(Running, "a watched signal is told on the loop, another keeps its way") {
  std::promise<int> told;
  {
    SignalWatch watch(loop, {SIGUSR1, SIGUSR2}, [&](int number) {
      CHECK(loop.InThread());
      told.set_value(number);
    });
    std::raise(SIGUSR2);
    CHECK(told.get_future().get() == SIGUSR2);
  }
  struct sigaction now = {};
  REQUIRE(sigaction(SIGUSR2, nullptr, &now) == 0);
  CHECK((now.sa_handler == SIG_DFL));
}

TEST_CASE("a watch on signals may outlive the run of its loop") {
  Loop loop(0);
  loop.Start();
  SignalWatch watch(loop, {SIGUSR1}, [](int) {});
  loop.Stop();
}

}  // namespace
}  // namespace hongyan::net
