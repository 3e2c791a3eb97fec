#include "access/told.h"

#include "tests/doctest_last.h"

namespace hongyan::access {
namespace {

using model::Seq;

model::HeadMoved Moved(int64_t first_new, int64_t head) {
  model::HeadMoved moved;
  moved.first_new = Seq(first_new);
  moved.head = Seq(head);
  return moved;
}

// A device that was told head 10 by its login.
Told LoggedInAt10() {
  Told told;
  told.Say(Seq(10));
  return told;
}

TEST_CASE("nothing new: no notify") {
  Told told = LoggedInAt10();
  CHECK_FALSE(told.Notify(0).has_value());
  told.Heard(Moved(10, 10), false);
  CHECK_FALSE(told.Notify(0).has_value());
}

TEST_CASE("a burst costs one notify, and the sync reply lets the next one leave at once") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(0) == Seq(11));
  for (int64_t head = 12; head < 100; ++head) {
    told.Heard(Moved(head, head), false);
    CHECK_FALSE(told.Notify(1).has_value());
  }
  told.Synced(Seq(50));
  CHECK(told.Notify(2) == Seq(99));
  told.Synced(Seq(99));
  CHECK_FALSE(told.Notify(3).has_value());
}

TEST_CASE("an entry that commits between a sync's snapshot and its reply is told after the reply") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(0) == Seq(11));
  told.Heard(Moved(12, 12), false);  // after the read, before the reply
  CHECK_FALSE(told.Notify(1).has_value());
  told.Synced(Seq(11));
  CHECK(told.Notify(1) == Seq(12));
}

TEST_CASE("a failed sync ends the waiting too") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(0) == Seq(11));
  told.Heard(Moved(12, 12), false);
  told.SyncFailed();
  CHECK(told.Notify(1) == Seq(12));
}

TEST_CASE("a notify unanswered for ten seconds counts as lost") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(1000) == Seq(11));
  CHECK_FALSE(told.due_ms().has_value());
  told.Heard(Moved(12, 12), false);
  CHECK(told.due_ms() == 11'000);
  CHECK_FALSE(told.Notify(10'999).has_value());
  CHECK(told.Notify(11'000) == Seq(12));
}

TEST_CASE("a heartbeat tells the head, but answers no notify") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(0) == Seq(11));
  told.Heard(Moved(12, 12), false);
  told.Say(Seq(12));
  CHECK_FALSE(told.Notify(1).has_value());
  told.Heard(Moved(13, 13), false);
  CHECK_FALSE(told.Notify(2).has_value());  // still one unanswered
  told.Synced(Seq(13));
  CHECK_FALSE(told.Notify(3).has_value());
}

TEST_CASE("effects and replies may come in any order: numbers only grow") {
  Told told = LoggedInAt10();
  told.Heard(Moved(13, 14), false);
  told.Heard(Moved(11, 12), false);
  CHECK(told.Notify(0) == Seq(14));
  told.Synced(Seq(14));
  told.Synced(Seq(12));
  CHECK(told.told() == Seq(14));
  CHECK_FALSE(told.Notify(1).has_value());
}

TEST_CASE("the device that sent all that is new gets no notify for it") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 13), true);
  CHECK_FALSE(told.Notify(0).has_value());
  told.Heard(Moved(14, 14), false);
  CHECK(told.Notify(0) == Seq(14));
}

TEST_CASE("its own copy above something it was not told of is no reason for silence") {
  Told told = LoggedInAt10();
  told.Heard(Moved(11, 11), false);
  CHECK(told.Notify(0) == Seq(11));
  told.Heard(Moved(12, 12), false);  // not told yet: one is unanswered
  told.Heard(Moved(13, 13), true);
  told.Synced(Seq(11));
  CHECK(told.Notify(1) == Seq(13));
}

TEST_CASE("effects heard before the login's head was read are told after it") {
  Told told;
  told.Heard(Moved(11, 11), false);  // registered for effects, head not yet read
  told.Say(Seq(10));
  CHECK(told.Notify(0) == Seq(11));
}

}  // namespace
}  // namespace hongyan::access
