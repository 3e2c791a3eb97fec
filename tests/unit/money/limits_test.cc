#include "money/limits.h"

#include <cstdint>
#include <limits>
#include <string>

#include "model/reason.h"
#include "tests/doctest_last.h"

namespace hongyan::money {
namespace {

using model::PacketKind;
using model::Reason;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
const model::ConversationId kGroup = model::ConversationId::Group(model::GroupId(9));
const model::ConversationId kTalk =
    model::ConversationId::Direct(model::UserId(1), model::UserId(2));
const model::ConversationId kAlone =
    model::ConversationId::Direct(model::UserId(1), model::UserId(1));

Reason Why(const model::PacketTerms& terms) {
  auto checked = CheckTerms(Limits(), terms);
  return checked ? Reason::kNone : static_cast<Reason>(checked.error().reason);
}

std::string Text(const model::PacketTerms& terms) {
  auto checked = CheckTerms(Limits(), terms);
  return checked ? "" : checked.error().text;
}

struct Row {
  const char* rule;
  PacketKind kind;
  model::ConversationId conversation;
  int64_t total;
  int32_t shares;
  int64_t named;
  Reason why;
};

}  // namespace

TEST_CASE("failure 15: the form of a send, one row per rule") {
  using K = PacketKind;
  using R = Reason;
  const Row rows[] = {
      {"a lucky packet in a group", K::kLucky, kGroup, 10'000, 10, 0, R::kNone},
      {"one fen for one", K::kLucky, kGroup, 1, 1, 0, R::kNone},
      {"as many fen as shares", K::kLucky, kGroup, 500, 500, 0, R::kNone},
      {"every share at the cap", K::kLucky, kGroup, 200'000, 10, 0, R::kNone},
      {"the largest there is", K::kLucky, kGroup, 10'000'000, 500, 0, R::kNone},
      {"a lucky packet for the other of a 1:1 chat", K::kLucky, kTalk, 10'000, 1, 0, R::kNone},
      {"equal shares", K::kEqual, kGroup, 1'000, 10, 0, R::kNone},
      {"exclusive", K::kExclusive, kGroup, 1'000, 1, 2, R::kNone},
      {"a transfer", K::kTransfer, kTalk, 20'000'000, 1, 2, R::kNone},

      {"no kind", K::kNone, kGroup, 100, 1, 0, R::kKindNotHere},
      {"a kind nobody knows", static_cast<K>(9), kGroup, 100, 1, 0, R::kKindNotHere},
      {"an exclusive packet in a 1:1 chat", K::kExclusive, kTalk, 100, 1, 2, R::kKindNotHere},
      {"a transfer in a group", K::kTransfer, kGroup, 100, 1, 2, R::kKindNotHere},
      {"a packet to oneself", K::kLucky, kAlone, 100, 1, 0, R::kKindNotHere},
      {"no conversation", K::kLucky, {}, 100, 1, 0, R::kNotAMember},
      {"a conversation of others", K::kTransfer, {2, 3}, 100, 1, 3, R::kNotAMember},

      {"zero", K::kLucky, kGroup, 0, 1, 0, R::kAmountInvalid},
      {"negative", K::kLucky, kGroup, -1, 1, 0, R::kAmountInvalid},
      {"the least integer", K::kLucky, kGroup, kMin, 1, 0, R::kAmountInvalid},
      {"a negative transfer", K::kTransfer, kTalk, -5, 1, 2, R::kAmountInvalid},
      {"equal shares that do not come out even", K::kEqual, kGroup, 1'001, 10, 0,
       R::kAmountInvalid},
      {"no shares", K::kLucky, kGroup, 100, 0, 0, R::kSharesInvalid},
      {"less than no shares", K::kLucky, kGroup, 100, -3, 0, R::kSharesInvalid},
      {"two shares in a 1:1 chat", K::kLucky, kTalk, 100, 2, 0, R::kSharesInvalid},
      {"two shares of a transfer", K::kTransfer, kTalk, 100, 2, 2, R::kSharesInvalid},
      {"two shares for one named person", K::kExclusive, kGroup, 100, 2, 2, R::kSharesInvalid},
      {"more shares than fen", K::kLucky, kGroup, 9, 10, 0, R::kMoreSharesThanFen},
      {"one share too many", K::kLucky, kGroup, 10'000, 501, 0, R::kOverLimit},
      {"the most shares an integer has", K::kLucky, kGroup, 10'000,
       std::numeric_limits<int32_t>::max(), 0, R::kOverLimit},
      {"one fen above the cap of its shares", K::kLucky, kGroup, 200'001, 10, 0, R::kOverLimit},
      {"one fen above the largest total", K::kLucky, kGroup, 10'000'001, 500, 0, R::kOverLimit},
      {"the largest integer", K::kLucky, kGroup, kMax, 500, 0, R::kOverLimit},
      {"the largest integer in equal shares", K::kEqual, kGroup, kMax, 7, 0, R::kOverLimit},
      {"a share above 200 yuan for one", K::kExclusive, kGroup, 20'001, 1, 2, R::kOverLimit},
      {"a transfer above its limit", K::kTransfer, kTalk, 20'000'001, 1, 2, R::kOverLimit},
      {"the largest transfer an integer has", K::kTransfer, kTalk, kMax, 1, 2, R::kOverLimit},

      {"nobody named", K::kExclusive, kGroup, 100, 1, 0, R::kNamedPersonInvalid},
      {"oneself named", K::kExclusive, kGroup, 100, 1, 1, R::kNamedPersonInvalid},
      {"a stranger named in a transfer", K::kTransfer, kTalk, 100, 1, 3, R::kNamedPersonInvalid},
      {"nobody named in a transfer", K::kTransfer, kTalk, 100, 1, 0, R::kNamedPersonInvalid},
      {"somebody named in a lucky packet", K::kLucky, kGroup, 100, 1, 2, R::kNamedPersonInvalid},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.rule));
    model::PacketTerms terms;
    terms.kind = row.kind;
    terms.conversation = row.conversation;
    terms.sender = model::UserId(1);
    terms.total_fen = row.total;
    terms.shares = row.shares;
    terms.named = model::UserId(row.named);
    terms.greeting = "best wishes";
    CHECK(static_cast<int>(Why(terms)) == static_cast<int>(row.why));
  }
}

TEST_CASE("a refusal names the limit that is in force") {
  model::PacketTerms terms;
  terms.kind = PacketKind::kLucky;
  terms.conversation = kGroup;
  terms.sender = model::UserId(1);
  terms.total_fen = 20'001;
  terms.shares = 1;
  CHECK(Text(terms).find("200.00 yuan") != std::string::npos);
  terms.total_fen = 10'000'001;
  CHECK(Text(terms).find("100000.00 yuan") != std::string::npos);
  terms.shares = 501;
  CHECK(Text(terms).find("500 shares") != std::string::npos);
  terms.total_fen = 100;
  terms.shares = 1;
  terms.greeting = std::string(121, 'x');
  CHECK(Text(terms).find("120") != std::string::npos);
}

TEST_CASE("a greeting is short and printable") {
  model::PacketTerms terms;
  terms.kind = PacketKind::kLucky;
  terms.conversation = kGroup;
  terms.sender = model::UserId(1);
  terms.total_fen = 100;
  terms.shares = 1;
  for (const std::string& good : {std::string(), std::string("恭喜发财"), std::string(120, 'x')}) {
    terms.greeting = good;
    CHECK(Why(terms) == Reason::kNone);
  }
  for (const std::string& bad :
       {std::string(121, 'x'), std::string("\x1b[2J"), std::string("\xff"), std::string("a\nb")}) {
    terms.greeting = bad;
    CHECK(Why(terms) == Reason::kGreetingInvalid);
  }
}

TEST_CASE("the cap of a share is the limit, or the total where that is less") {
  model::PacketTerms terms;
  terms.kind = PacketKind::kLucky;
  terms.total_fen = 150'000;
  CHECK(ShareCap(Limits(), terms) == 20'000);
  terms.total_fen = 50;
  CHECK(ShareCap(Limits(), terms) == 50);
  terms.kind = PacketKind::kTransfer;
  terms.total_fen = 150'000;
  CHECK(ShareCap(Limits(), terms) == 150'000);
}

TEST_CASE("the form of a deposit or withdrawal") {
  const auto why = [](int64_t user, const std::string& id, int64_t fen, const std::string& reason) {
    auto checked = CheckMove({model::UserId(user), id, fen, reason});
    return checked ? std::string("ok") : std::string(base::CodeName(checked.error().code));
  };
  CHECK(why(1, "a", 100, "salary") == "ok");
  CHECK(why(1, "a", -100, "payout") == "ok");
  CHECK(why(1, "a", kMaxFen, "much") == "ok");
  for (const int64_t fen : {int64_t{0}, kMaxFen + 1, -kMaxFen - 1, kMax, kMin}) {
    CHECK(why(1, "a", fen, "x") == "INVALID_ARGUMENT");
  }
  CHECK(why(0, "a", 100, "x") == "INVALID_ARGUMENT");
  CHECK(why(1, "", 100, "x") == "INVALID_ARGUMENT");
  CHECK(why(1, std::string(65, 'i'), 100, "x") == "INVALID_ARGUMENT");
  CHECK(why(1, "a\x07", 100, "x") == "INVALID_ARGUMENT");
  CHECK(why(1, "a", 100, "") == "INVALID_ARGUMENT");
  CHECK(why(1, "a", 100, std::string(257, 'r')) == "INVALID_ARGUMENT");
}

}  // namespace hongyan::money
