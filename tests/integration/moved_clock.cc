#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

// Preloaded into hongyand: a wall clock HONGYAN_CLOCK_AHEAD_S seconds ahead of the machine's. So
// days pass between two lives of a real server.
extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t id, timespec* t) {
  static const char* const ahead_s = std::getenv("HONGYAN_CLOCK_AHEAD_S");
  const long result = syscall(SYS_clock_gettime, id, t);
  if (result == 0 && id == CLOCK_REALTIME && ahead_s != nullptr) t->tv_sec += std::atoll(ahead_s);
  return static_cast<int>(result);
}
