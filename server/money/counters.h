#pragma once

#include <atomic>
#include <cstdint>

namespace hongyan::money {

// Counted by all money shards of a process, committed things only. Any thread.
struct Counters {
  std::atomic<int64_t> sends{0};  // funded
  std::atomic<int64_t> sends_refused{0};
  std::atomic<int64_t> packets{0};  // created
  std::atomic<int64_t> opens{0};    // claims made
  std::atomic<int64_t> opens_refused{0};
  std::atomic<int64_t> credits{0};      // claims credited to a wallet
  std::atomic<int64_t> finished{0};     // packets whose last share was taken
  std::atomic<int64_t> refunds{0};      // packets closed with money left
  std::atomic<int64_t> reversed{0};     // sends that never became a packet
  std::atomic<int64_t> quarantined{0};  // packets put into quarantine
  std::atomic<int64_t> moves{0};        // deposits and withdrawals
};

}  // namespace hongyan::money
