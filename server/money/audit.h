#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/money.h"
#include "storage/money_store.h"

namespace hongyan::money {

// Reads the books as they were after one commit and proves them, beside the running server. Any
// thread; one call at a time. Needs no memory that grows with the
// store.
struct AuditReport {
  // What `hongyan-admin money audit` exits with.
  enum class Verdict : uint8_t {
    kProven = 0,  // all was read and adds up; suspense, parked items and quarantine are empty
    kFinding =
        1,  // something does not, or is held: see `findings`, the first is the first broken posting
    kNotProven = 2,  // something could not be read, or an archived day's file is not the one that
                     // was written: see `unread`
  };
  Verdict verdict = Verdict::kNotProven;

  struct Finding {
    std::string
        what;  // the check that failed, one of a fixed list: "wallet_chain", "books_sum", ...
    std::string where;  // the row: "user=7 account_seq=3", "packet=... ordinal=2", "shard=1024"
    std::string text;   // for people: what it says and what it should say
  };
  std::vector<Finding> findings;  // at most kMaxFindings
  int64_t more_findings = 0;
  std::vector<std::string> unread;

  // How much was read.
  int64_t wallets = 0;
  int64_t statement_rows = 0;
  int64_t packets = 0;
  int64_t claims = 0;
  int64_t items_in_flight = 0;  // given to a channel, not yet taken
  int64_t parked = 0;
  int64_t quarantined = 0;
  model::Books total;          // of all shards
  int64_t in_transit_fen = 0;  // on its way between shards: 0 once drained

  static constexpr size_t kMaxFindings = 100;
};

struct AuditOptions {
  // Called now and then with a line of progress; may be empty.
  std::function<void(const std::string&)> progress;
  // Asked before each page: true = the audit ends at once, proves nothing and says so. May be
  // empty.
  std::function<bool()> ended;
};

AuditReport Audit(storage::MoneyStore& store, const AuditOptions& options = {});

}  // namespace hongyan::money
