#pragma once

#include <cstdio>
#include <cstdlib>

// Aborts on a programmer's error, in release builds too. For the SDK's own invariants, never for
// input.
#define SDK_CHECK(condition)                                                                      \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      std::fprintf(stderr, "hongyan sdk: %s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)
