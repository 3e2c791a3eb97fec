#include <string>
#include <vector>

#include "access/known_users.h"
#include "access/requests.h"
#include "access/slots.h"
#include "hongyan/v1/command.pb.h"
#include "tests/doctest_last.h"

namespace hongyan::access {
namespace {

TEST_CASE("a name finds what it was given for, and nothing once that is gone") {
  Slots<std::string> slots;
  const uint64_t a = slots.Put("a");
  const uint64_t b = slots.Put("b");
  CHECK(*slots.Find(a) == "a");
  CHECK(*slots.Find(b) == "b");
  slots.Remove(a);
  CHECK(slots.Find(a) == nullptr);
  const uint64_t c = slots.Put("c");  // in a's place
  CHECK(slots.Find(a) == nullptr);
  CHECK(*slots.Find(c) == "c");
  slots.Remove(a);  // again: must not hit c
  CHECK(*slots.Find(c) == "c");
  CHECK(slots.Find(0) == nullptr);
  CHECK(slots.Find(uint64_t{1} << 32 | 99) == nullptr);
  CHECK(slots.size() == 2);
}

TEST_CASE("who was seen to exist is known until enough others were, and the set stays bounded") {
  KnownUsers known(100);
  CHECK_FALSE(known.Knows(model::UserId(1)));
  known.Add(model::UserId(1));
  for (int64_t id = 2; id < 10'000; ++id) {
    known.Add(model::UserId(id));
    CHECK(known.Knows(model::UserId(1)));  // asked for all the time: stays
    CHECK(known.size() <= 110);
  }
  CHECK_FALSE(known.Knows(model::UserId(2)));
}

TEST_CASE("each request of the list is found by its command, and no push or unknown one is") {
  for (const auto command :
       {v1::HELLO,         v1::LOGIN,        v1::LOGIN_TOKEN,    v1::HEARTBEAT,
        v1::LOGOUT,        v1::SEND_MESSAGE, v1::SYNC,           v1::HISTORY,
        v1::FIND_USER,     v1::CREATE_GROUP, v1::CHANGE_MEMBERS, v1::LEAVE_GROUP,
        v1::LIST_GROUPS,   v1::GET_GROUP,    v1::LIST_MEMBERS,   v1::SEND_PACKET,
        v1::GET_SEND,      v1::GRAB_PACKET,  v1::OPEN_PACKET,    v1::RETURN_TRANSFER,
        v1::PACKET_DETAIL, v1::GET_WALLET,   v1::LIST_STATEMENT, v1::PACKET_HISTORY}) {
    const Request* const request = FindRequest(command);
    REQUIRE(request != nullptr);
    CHECK(request->command == command);
    CHECK((request->handle != nullptr));
  }
  for (const int command :
       {0, int{v1::NOTIFY}, int{v1::SESSION_ENDED}, int{v1::ADMIN}, 255, 256, 65535}) {
    CHECK(FindRequest(static_cast<uint16_t>(command)) == nullptr);
  }
}

}  // namespace
}  // namespace hongyan::access
