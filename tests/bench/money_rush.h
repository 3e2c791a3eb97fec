#pragma once

#include <cstdint>
#include <string>

namespace hongyan::bench {

struct RushOptions {
  int64_t wallets = 1'000'000;
  int64_t opens = 200'000;
  int shards = 2;
  std::string data;
};

// Opens of packets that are announced already, each followed by its credit: over 1,000 packets, and
// in packets of 500 shares one after another. Openers are drawn from all wallets. Prints a table;
// the exit code is not 0 where the books do not add up, or where an open writes more than it
// may (schema/rocksdb/README.md).
int Rush(const RushOptions& options);

}  // namespace hongyan::bench
