#pragma once

namespace hongyan::base {

// Prints the broken condition and aborts. Any thread.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace hongyan::base

// Aborts on a programmer's error, in release too. Never for what stored data, a channel item or a
// peer can cause: a process that dies on its own data dies again at every restart. Such things are
// a Result. (Logging libraries define CHECK too; ours wins inside the server.)
#undef CHECK
#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::hongyan::base::CheckFailed(#condition, __FILE__, __LINE__))
