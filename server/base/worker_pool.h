#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hongyan::base {

// Threads for what must not run on a loop or a shard: reads that may touch the disk, password
// hashing. The queue is bounded; when it is full the task is not taken and the caller refuses its
// client. Any thread.
class WorkerPool {
 public:
  WorkerPool(std::string name, int threads, size_t max_queued);
  ~WorkerPool();  // stops
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // The name of the task for Cancel. 0: the queue is full or the pool is stopped; the task was not
  // taken and will not run.
  [[nodiscard]] uint64_t Submit(std::function<void()> task);

  // Nobody waits for this task any more: it is dropped if it has not begun.
  void Cancel(uint64_t task);

  // Finishes what runs and drops what is queued, then joins: at an end nobody waits for it any
  // more, and a flood of queued passwords would hold the end up. Not from a worker.
  void Stop();

  size_t queued() const;
  size_t max_queued() const { return max_queued_; }
  const std::string& name() const { return name_; }

 private:
  void Work();

  const std::string name_;
  const size_t max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<uint64_t, std::function<void()>> queue_;  // by name: the order they came in
  uint64_t last_name_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hongyan::base
