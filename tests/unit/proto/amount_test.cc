#include "proto/amount.h"

#include <limits>

#include "tests/doctest_last.h"

namespace hongyan::testing {

using proto::ParseYuan;
using proto::YuanText;

TEST_CASE("amounts are yuan with up to two places, and nothing else") {
  CHECK(ParseYuan("12") == 1200);
  CHECK(ParseYuan("12.3") == 1230);
  CHECK(ParseYuan("0.01") == 1);
  CHECK(ParseYuan("9999999999999.99") == 999'999'999'999'999);
  for (const char* wrong : {"", "0", "0.00", "-1", "+1", "1.", ".5", "1.234", "1,50", "1e3", "1 ",
                            "10000000000000", "1.2.3", "zehn"}) {
    CHECK_MESSAGE(!ParseYuan(wrong), wrong);
  }
  CHECK(YuanText(0) == "0.00");
  CHECK(YuanText(5) == "0.05");
  CHECK(YuanText(-1230) == "-12.30");
  CHECK(YuanText(std::numeric_limits<int64_t>::min()) == "-92233720368547758.08");
}

}  // namespace hongyan::testing
