#include "overload/admission.h"

#include <map>
#include <set>

#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::overload {
namespace {

using model::Priority;
using model::UserId;

// Offers one request of each user in each given class per window, and counts who gets in.
class Crowd {
 public:
  explicit Crowd(base::ManualClock& clock) : admission(clock, {.queue_ms = 20}, 42) {}

  std::map<Priority, int> Offer(const std::vector<Priority>& classes) {
    std::map<Priority, int> admitted;
    for (int user = 1; user <= kUsers; ++user) {
      for (const Priority priority : classes) {
        if (admission.Admit(priority, UserId(user)).ok()) ++admitted[priority];
      }
    }
    return admitted;
  }

  static constexpr int kUsers = 2000;
  Admission admission;
};

TEST_CASE("everything is admitted while queues are short") {
  base::ManualClock clock(0);
  Crowd crowd(clock);
  for (int window = 0; window < 20; ++window) {
    CHECK(crowd.Offer({Priority::kPresence, Priority::kChat})[Priority::kPresence] ==
          Crowd::kUsers);
    crowd.admission.Observe(19.9);
  }
  CHECK(crowd.admission.open() == 1);
}

TEST_CASE("presence goes before sync, sync before chat, and chat before money") {
  base::ManualClock clock(0);
  Crowd crowd(clock);
  const std::vector<Priority> classes{Priority::kPresence, Priority::kHistory, Priority::kLogin,
                                      Priority::kSync,     Priority::kChat,    Priority::kMoney};
  std::vector<Priority> emptied;
  for (int window = 0; window < 200; ++window) {
    auto admitted = crowd.Offer(classes);
    for (const Priority priority : classes) {
      const bool gone = admitted[priority] == 0;
      const bool known = std::find(emptied.begin(), emptied.end(), priority) != emptied.end();
      if (gone && !known) emptied.push_back(priority);
    }
    // Nobody of a higher class is refused while anybody of a lower one gets in.
    for (size_t low = 0; low + 1 < classes.size(); ++low) {
      if (admitted[classes[low]] > 0) CHECK(admitted[classes[low + 1]] == Crowd::kUsers);
    }
    crowd.admission.Observe(25);
  }
  CHECK(emptied == std::vector<Priority>(classes.begin(), classes.end() - 1));
}

TEST_CASE("inside a class the same users are refused, until the hour changes") {
  base::ManualClock clock(0);
  Crowd crowd(clock);
  for (int window = 0; window < 3; ++window) {
    crowd.Offer({Priority::kChat});
    crowd.admission.Observe(30);
  }
  const auto admitted_now = [&crowd] {
    std::set<int> users;
    for (int user = 1; user <= Crowd::kUsers; ++user) {
      if (crowd.admission.Admit(Priority::kChat, UserId(user)).ok()) users.insert(user);
    }
    return users;
  };
  const auto first = admitted_now();
  CHECK(first.size() > 50);
  CHECK(first.size() < Crowd::kUsers * 3 / 4);
  clock.Advance(60'000);
  CHECK(admitted_now() == first);
  clock.Advance(3'600'000);
  const auto later = admitted_now();
  CHECK(later != first);
}

TEST_CASE("when queues are short again everything comes back") {
  base::ManualClock clock(0);
  Crowd crowd(clock);
  for (int window = 0; window < 30; ++window) {
    crowd.Offer({Priority::kSync, Priority::kChat});
    crowd.admission.Observe(100);
  }
  CHECK(crowd.admission.open() < 0.5);
  int windows = 0;
  while (crowd.admission.open() < 1 && windows < 1000) {
    crowd.Offer({Priority::kSync, Priority::kChat});
    crowd.admission.Observe(1);
    ++windows;
  }
  CHECK(crowd.admission.open() == 1);
  CHECK(windows > 5);  // in steps, not at once: the load would be back at once too
}

TEST_CASE("with empty queues everything comes back soon, however few ask") {
  base::ManualClock clock(0);
  Crowd crowd(clock);
  for (int window = 0; window < 30; ++window) {
    crowd.Offer({Priority::kSync, Priority::kChat});
    crowd.admission.Observe(100);
  }
  for (int window = 0; window < 16; ++window) crowd.admission.Observe(0);
  CHECK(crowd.admission.open() == 1);
}

TEST_CASE("a refusal names a pause, and pauses are spread") {
  base::ManualClock clock(0);
  Admission admission(clock, {}, 7);
  std::set<int64_t> pauses;
  for (int i = 0; i < 100; ++i) {
    const base::Error busy = admission.Busy();
    CHECK(busy.reason == static_cast<uint16_t>(model::Reason::kBusy));
    CHECK(busy.retry_after_ms >= 250);
    CHECK(busy.retry_after_ms <= 1250);
    pauses.insert(busy.retry_after_ms);
  }
  CHECK(pauses.size() > 50);
  CHECK(admission.refused() == 100);
}

}  // namespace
}  // namespace hongyan::overload
