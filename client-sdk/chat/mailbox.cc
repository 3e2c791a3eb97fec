#include "client-sdk/chat/mailbox.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace hongyan::chat {

Mailbox::Mailbox() {
  if (pipe2(fds_, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
}

Mailbox::~Mailbox() {
  close(fds_[0]);
  close(fds_[1]);
}

void Mailbox::Put(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  (void)!write(fds_[1], "t", 1);  // a full pipe wakes as well
}

void Mailbox::RunAll() {
  char drained[512];
  while (read(fds_[0], drained, sizeof drained) > 0) {
  }
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

}  // namespace hongyan::chat
