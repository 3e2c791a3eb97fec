#pragma once

#include <functional>
#include <mutex>
#include <vector>

namespace hongyan::chat {

// Brings what the SDK's thread reports to the main thread, which owns everything else of the
// program: a list of tasks and a descriptor to wait on. Put: any thread; the rest: main thread.
class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void Put(std::function<void()> task);

  int read_fd() const { return fds_[0]; }   // readable when there is something
  int write_fd() const { return fds_[1]; }  // a byte written here wakes, too: for signal handlers
  void RunAll();

 private:
  int fds_[2];
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
};

}  // namespace hongyan::chat
