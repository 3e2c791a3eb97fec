#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace hongyan::money {

// Whether two kinds of rows tell of the same things, each thing once on either side: claims and
// credits, sends and packets. Rows are met in any order and are many, so the first reading only
// adds up a number per bucket (a hash of the thing, plus on one side, minus on the other); what
// does not come to zero is looked up by name in a second reading. Memory does not grow with the
// store. One thread.
class Ties {
 public:
  enum class Family : uint8_t {
    kSend = 0,    // a debit, and what became of it: packet, reversal, or still on its way
    kCredit = 1,  // a claim, and its credit
    kRefund = 2,  // what a close gave back, and where it came home
    kExpiry = 3,  // an open packet, and its expiry key
  };
  static constexpr size_t kFamilies = 4;

  struct Thing {
    int64_t packet = 0;
    int64_t user = 0;    // whose; kExpiry: nobody
    int64_t number = 0;  // fen; kExpiry: ms
    auto operator<=>(const Thing&) const = default;
  };
  enum class Side : int8_t { kLeft = 1, kRight = -1 };

  // `row` names the kind of row for people: "claim", "statement row". It outlives this.
  void Add(Family family, Side side, const Thing& thing, const char* row);

  // After the first reading: every bucket of every family comes to zero.
  bool even() const;
  // From here on Add collects what lies in the first uneven bucket of each family.
  void LookCloser();

  struct Odd {
    Family family = Family::kSend;
    Thing thing;
    std::string rows;  // those that were found of it
  };
  // After the second reading: things whose sides do not come out even.
  std::vector<Odd> odd() const;

 private:
  static constexpr size_t kBuckets = 4096;
  struct Seen {
    int64_t net = 0;
    std::string rows;
  };
  static uint64_t Hash(const Thing& thing);

  std::array<std::array<uint64_t, kBuckets>, kFamilies> sums_{};
  bool closer_ = false;
  std::array<size_t, kFamilies> bucket_{};  // kBuckets = none
  std::map<std::pair<Family, Thing>, Seen> seen_;
};

}  // namespace hongyan::money
