#include "base/worker_pool.h"

#include <pthread.h>

#include <utility>

#include "base/check.h"

namespace hongyan::base {

WorkerPool::WorkerPool(std::string name, int threads, size_t max_queued)
    : name_(std::move(name)), max_queued_(max_queued) {
  CHECK(threads > 0 && max_queued > 0);
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

WorkerPool::~WorkerPool() { Stop(); }

uint64_t WorkerPool::Submit(std::function<void()> task) {
  uint64_t name = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= max_queued_) return 0;
    name = ++last_name_;
    queue_.emplace_hint(queue_.end(), name, std::move(task));
  }
  wake_.notify_one();
  return name;
}

void WorkerPool::Cancel(uint64_t task) {
  decltype(queue_)::node_type dropped;  // what it holds goes after the lock
  const std::lock_guard lock(mutex_);
  dropped = queue_.extract(task);
}

void WorkerPool::Stop() {
  decltype(queue_) dropped;  // what tasks hold goes after the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t WorkerPool::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void WorkerPool::Work() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> task = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the next is waited for
    lock.lock();
  }
}

}  // namespace hongyan::base
