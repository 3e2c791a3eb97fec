#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "chat_log.h"
#include "histogram.h"
#include "hongyan/v1/message.pb.h"
#include "order_check.h"
#include "outcome.h"
#include "schedule.h"
#include "stamp.h"

#include "tests/doctest_last.h"

using namespace hongyan::bench;

namespace {

std::string Joined(const ChatLog& log) {
  std::string all;
  for (const std::string& line : log.lines) all += line + '\n';
  return all;
}

std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("percentiles are within one percent of those of the sorted samples") {
  std::mt19937_64 random(5);
  std::vector<int64_t> samples;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    const auto us = static_cast<int64_t>(std::exp(std::uniform_real_distribution<>(0, 14)(random)));
    samples.push_back(us);
    histogram.AddNs(us * 1000 + 999);
  }
  std::sort(samples.begin(), samples.end());
  CHECK(histogram.count() == 20'000);
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    const auto rank = static_cast<size_t>(20'000 * percent / 100) - 1;
    const double exact = static_cast<double>(samples[rank]) / 1000;
    CHECK(histogram.PercentileMs(percent) >= exact);
    CHECK(histogram.PercentileMs(percent) <= exact * 1.01 + 0.001);
  }
  CHECK(histogram.PercentileMs(100) == static_cast<double>(samples.back()) / 1000);
  CHECK(histogram.MaxMs() == static_cast<double>(samples.back()) / 1000);
}

TEST_CASE("a histogram takes every value and forgets on demand") {
  Histogram histogram;
  CHECK(histogram.PercentileMs(99) == 0);
  histogram.AddNs(-5);
  histogram.AddNs(INT64_MAX);
  CHECK(histogram.PercentileMs(50) == 0);
  CHECK(histogram.PercentileMs(100) > 1e7);
  histogram.Clear();
  CHECK(histogram.count() == 0);
}

TEST_CASE("an order check tells new, missing, late and repeated numbers apart") {
  OrderCheck check;
  CHECK(check.Add(0) == OrderCheck::Seen::kNext);
  CHECK(check.Add(0) == OrderCheck::Seen::kAgain);
  CHECK(check.Add(1) == OrderCheck::Seen::kNext);
  CHECK(check.Add(4) == OrderCheck::Seen::kAhead);
  CHECK(check.seen() == 3);
  CHECK(check.Add(3) == OrderCheck::Seen::kLate);
  CHECK(check.Add(3) == OrderCheck::Seen::kAgain);
  CHECK(check.Add(2) == OrderCheck::Seen::kLate);
  CHECK(check.Add(5) == OrderCheck::Seen::kNext);
  CHECK(check.seen() == 6);
}

TEST_CASE("an open loop plans evenly from its start, without drift") {
  const OpenLoop plan(1'000, 3000);
  CHECK(plan.PlannedNs(0) == 1'000);
  CHECK(plan.PlannedNs(3) == 1'001'000);
  CHECK(plan.PlannedNs(3'000'000) == 1'000 + 1'000'000'000'000);
}

TEST_CASE("kills come between half and double of the wish, the same for the same seed") {
  KillSchedule one(3, 2);
  KillSchedule same(3, 2);
  double least = 9;
  double most = 0;
  for (int i = 0; i < 1000; ++i) {
    const double s = one.NextS();
    CHECK(s == same.NextS());
    least = std::min(least, s);
    most = std::max(most, s);
  }
  CHECK(least >= 1);
  CHECK(least < 1.1);
  CHECK(most <= 4);
  CHECK(most > 3.9);
}

TEST_CASE("a stamped body is a text of the asked size and gives its stamp back") {
  for (const size_t bytes : {size_t{32}, size_t{100}, size_t{127}, size_t{128}, size_t{60'000}}) {
    std::string body;
    const Stamp stamp{.writer = 999, .number = 70'000, .planned_ns = 1'234'567'890'123'456};
    WriteStampedBody(stamp, bytes, body);
    hongyan::v1::Body parsed;
    REQUIRE(parsed.ParseFromString(body));
    CHECK(parsed.text().text().size() == bytes);
    CHECK(parsed.SerializeAsString() == body);
    Stamp read;
    REQUIRE(ReadStampedBody(body, bytes, &read));
    CHECK(read.writer == 999);
    CHECK(read.number == 70'000);
    CHECK(read.planned_ns == stamp.planned_ns);
  }
}

TEST_CASE("any changed, missing or added byte of a stamped body is noticed") {
  std::string body;
  WriteStampedBody({1, 2, 3}, 100, body);
  Stamp stamp;
  for (size_t i = 4; i < body.size(); ++i) {
    std::string changed = body;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    // A changed digit is another stamp, whose filler does not fit; only the time has no filler of
    // its own.
    const bool in_time = i >= 4 + 16 && i < 4 + 32;
    if (!in_time) CHECK_FALSE(ReadStampedBody(changed, 100, &stamp));
  }
  CHECK_FALSE(ReadStampedBody(body.substr(0, body.size() - 1), 100, &stamp));
  CHECK_FALSE(ReadStampedBody(body + "x", 100, &stamp));
  CHECK_FALSE(ReadStampedBody("", 100, &stamp));
}

TEST_CASE("the sender of a line is its nick, the first word of an action or system line, or log") {
  CHECK(SenderOf("[03:41] <nick> text") == "nick");
  CHECK(SenderOf("[03:41]  * nick waves") == "nick");
  CHECK(SenderOf("=== nick [n=user@host] has joined #ubuntu") == "nick");
  CHECK(SenderOf("=== mode/#ubuntu [+o nick] by other") == "mode/#ubuntu");
  CHECK(SenderOf("[03:41] <a> <b> quoted") == "a");
  CHECK(SenderOf("<nick> without a time") == "nick");
  CHECK(SenderOf("* nick waves") == "nick");
  CHECK(SenderOf("[03:41] <> text") == "log");
  CHECK(SenderOf("[03:41] <nick text") == "log");
  CHECK(SenderOf("[03:41] text") == "log");
  CHECK(SenderOf("[nick] <other> text") == "log");
  CHECK(SenderOf("* ") == "log");
  CHECK(SenderOf("===") == "log");
  CHECK(SenderOf("=== ") == "log");
  CHECK(SenderOf("[") == "log");
  CHECK(SenderOf("[]") == "log");
  CHECK(SenderOf("[03:41]") == "log");
  CHECK(SenderOf("") == "log");
}

TEST_CASE("a log is cut at newlines only, and every byte of a line is kept") {
  const std::string bytes("[1:1] <a> \xff\0 x\r\n\n\n* b  waves \nlast", 34);
  const ChatLog log = ParseChatLog("x", bytes);
  REQUIRE(log.lines.size() == 5);
  CHECK(log.lines[0] == std::string("[1:1] <a> \xff\0 x\r", 15));
  CHECK(log.lines[1].empty());
  CHECK(log.lines[2].empty());
  CHECK(log.lines[3] == "* b  waves ");
  CHECK(log.lines[4] == "last");
  CHECK(log.nicks == std::vector<std::string>{"a", "log", "b"});
  CHECK(log.sender == std::vector<uint32_t>{0, 1, 1, 2, 1});
  CHECK(ParseChatLog("empty", "").lines.empty());
  CHECK(ParseChatLog("ends", "a\n").lines.size() == 1);
}

TEST_CASE("the logs of the corpus come back whole, line by line") {
  for (const std::string name : {"harbour.txt", "workshop.txt", "market.txt"}) {
    const std::string path = std::string(BENCH_CORPUS) + "/" + name;
    const auto log = ReadChatLog(path);
    REQUIRE(log.ok());
    CHECK(log->name == name);
    CHECK(log->lines.size() >= 40);
    CHECK(log->lines.size() == log->sender.size());
    CHECK(log->nicks.size() >= 5);
    std::string bytes = FileBytes(path);
    if (bytes.back() != '\n') bytes += '\n';
    CHECK(Joined(*log) == bytes);
  }
}

TEST_CASE("a log that cannot be read is an error that names it") {
  const auto log = ReadChatLog("/does/not/exist.txt");
  REQUIRE_FALSE(log.ok());
  CHECK(log.error().text.find("/does/not/exist.txt") != std::string::npos);
  CHECK_FALSE(ReadChatLog(BENCH_CORPUS).ok());
}

TEST_CASE(
    "anything lost, doubled, out of order or failed makes an outcome fail, and JSON says so") {
  Outcome fine;
  fine.sent = fine.acked = fine.delivered = 10;
  CHECK(fine.ok());
  const auto failing = [&fine](auto change) {
    Outcome outcome = fine;
    change(outcome);
    return !outcome.ok() && ToJson(outcome)["ok"] == false;
  };
  CHECK(failing([](Outcome& o) { o.lost = 1; }));
  CHECK(failing([](Outcome& o) { o.duplicated = 1; }));
  CHECK(failing([](Outcome& o) { o.out_of_order = 1; }));
  CHECK(failing([](Outcome& o) { o.gaps = 1; }));
  CHECK(failing([](Outcome& o) { o.failures.push_back("x"); }));
}

TEST_CASE("the JSON of an outcome has every field that programs rely on") {
  Outcome outcome;
  outcome.ack.AddNs(2'000'000);
  outcome.server_known = true;
  const auto json = ToJson(outcome);
  for (const char* key : {"sent", "acked", "delivered", "entries_per_s", "lost", "duplicated",
                          "out_of_order", "kills", "in_flight_at_kill", "seconds", "rate_per_s"}) {
    CHECK_MESSAGE(json[key].is_number(), key);
  }
  for (const char* key : {"p50", "p99", "p999"}) {
    CHECK(json["ack_ms"][key] == 2.0);
    CHECK(json["deliver_ms"][key].is_null());  // not measured is not zero
  }
  CHECK(json["server"]["cpu_s"].is_number());
  CHECK(json["server"]["rss_bytes"].is_number());
  CHECK(json["tool"]["cpu_s"].is_number());
}
