#include "net/loop.h"

#include <pthread.h>

#include <csignal>
#include <future>
#include <string>
#include <utility>

#include "base/check.h"
#include "net/connection_impl.h"
#include "net/loop_impl.h"

namespace hongyan::net {
namespace {

constexpr size_t kSpareBuffers = 256;
constexpr size_t kSpareBufferBytes = 4 << 10;

Loop::Impl& ImplOf(auto* handle) { return *static_cast<Loop::Impl*>(handle->data); }

void CloseHandle(auto& handle) { uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr); }

void IgnoreSigpipe() {
  struct sigaction now = {};
  if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
  }
}

}  // namespace

UvLoop::UvLoop() { CHECK(uv_loop_init(&uv) == 0); }
UvLoop::~UvLoop() { CHECK(uv_loop_close(&uv) == 0); }

Loop::Impl::Impl(Loop& owner)
    : self(owner), timers([this] { return static_cast<int64_t>(uv_now(&uv)); }) {
  wake.data = before_poll.data = after_poll.data = more_to_do.data = grain.data = this;
  CHECK(uv_async_init(&uv, &wake, [](uv_async_t* h) { ImplOf(h).RunPosted(); }) == 0);
  uv_prepare_init(&uv, &before_poll);
  uv_check_init(&uv, &after_poll);
  uv_idle_init(&uv, &more_to_do);
  uv_timer_init(&uv, &grain);
  // Turns end after the poll. What timers and closed connections leave behind must not wait through
  // the next poll, so there is an end before it, too.
  uv_prepare_start(&before_poll, [](uv_prepare_t* h) { ImplOf(h).EndTurn(); });
  uv_check_start(&after_poll, [](uv_check_t* h) {
    Impl& impl = ImplOf(h);
    ++impl.turn;
    impl.turns.Add(1);
    impl.EndTurn();
  });
  ArmGrain();
}

Loop::Impl::~Impl() {
  CHECK(connections.empty());
  CHECK(residents.empty());
  CloseHandle(wake);
  CloseHandle(before_poll);
  CloseHandle(after_poll);
  CloseHandle(more_to_do);
  CloseHandle(grain);
  uv_run(&uv, UV_RUN_DEFAULT);
}

void Loop::Impl::ArmGrain() {
  const auto on_grain = [](uv_timer_t* h) {
    ImplOf(h).timers.Advance();
    ImplOf(h).ArmGrain();
  };
  uv_timer_start(&grain, on_grain, static_cast<uint64_t>(timers.UntilNextGrainMs()), 0);
}

void Loop::Impl::Run() {
  thread_id.store(std::this_thread::get_id());
  uv_update_time(&uv);
  uv_run(&uv, UV_RUN_DEFAULT);
  // Post has promised to run what it took; from the moment the queue is found empty it takes
  // nothing more.
  for (;;) {
    {
      std::lock_guard lock(mutex);
      if (posted.empty()) {
        ended = true;
        break;
      }
      batch.swap(posted);
    }
    for (auto& task : batch) task();
    batch.clear();
  }
  turn_end.clear();
}

void Loop::Impl::RunPosted() {
  {
    std::lock_guard lock(mutex);
    batch.swap(posted);
  }
  for (auto& task : batch) {
    task();
    task = nullptr;  // what it owns goes now, not when the whole batch has run
  }
  batch.clear();
}

void Loop::Impl::EndTurn() {
  if (!resumed.empty()) {
    resumed_batch.swap(resumed);
    for (Connection::Impl* connection : resumed_batch) connection->DeliverHeld();
    resumed_batch.clear();
  }
  if (!turn_end.empty()) {
    turn_end_batch.swap(turn_end);
    for (auto& task : turn_end_batch) task();
    turn_end_batch.clear();
  }
  if (!touched.empty()) {
    touched_batch.swap(touched);
    for (Connection::Impl* connection : touched_batch) connection->Settle();
    touched_batch.clear();
  }
  if (!resumed.empty() || !turn_end.empty() || !touched.empty()) {
    uv_idle_start(&more_to_do, [](uv_idle_t*) {});
  } else {
    uv_idle_stop(&more_to_do);
  }
}

void Loop::Impl::BeginStop() {
  if (stopping) return;
  stopping = true;
  for (Resident* resident : std::exchange(residents, {})) resident->CloseHandles();
  std::vector<Connection::Impl*> open_now;
  for (const auto& [id, connection] : connections) open_now.push_back(connection);
  for (Connection::Impl* connection : open_now) {
    connection->Flush();
    connection->CloseNow(CloseReason::kShutdown);
  }
  StopIfEmpty();
}

void Loop::Impl::StopIfEmpty() {
  if (stopping && connections.empty()) uv_stop(&uv);
}

std::string Loop::Impl::TakeBuffer() {
  if (spare_buffers.empty()) return {};
  std::string buffer = std::move(spare_buffers.back());
  spare_buffers.pop_back();
  return buffer;
}

void Loop::Impl::GiveBuffer(std::string buffer) {
  if (buffer.capacity() > kSpareBufferBytes || spare_buffers.size() >= kSpareBuffers) return;
  buffer.clear();
  spare_buffers.push_back(std::move(buffer));
}

Loop::Loop(int index) : index_(index), impl_(std::make_unique<Impl>(*this)) {}

Loop::~Loop() { CHECK(!impl_->thread.joinable()); }

void Loop::Start() {
  CHECK(!impl_->started.exchange(true));
  IgnoreSigpipe();
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  const std::string name = "loop-" + std::to_string(index_);
  pthread_setname_np(impl_->thread.native_handle(), name.substr(0, 15).c_str());
}

void Loop::Stop() {
  if (!impl_->thread.joinable()) return;
  CHECK(!InThread());
  Post([impl = impl_.get()] { impl->BeginStop(); });
  impl_->thread.join();
}

bool Loop::Post(std::function<void()> task) {
  bool first;
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->ended) return false;
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(task));
  }
  // The handle lives as long as the Loop, so this needs no lock even while the loop is ending.
  if (first) uv_async_send(&impl_->wake);
  return true;
}

void Loop::AtTurnEnd(std::function<void()> task) {
  CHECK(InThread());
  impl_->turn_end.push_back(std::move(task));
}

Connection* Loop::Find(uint64_t connection_id) {
  CHECK(InThread());
  const auto found = impl_->connections.find(connection_id);
  if (found == impl_->connections.end() || !found->second->open()) return nullptr;
  return &found->second->self;
}

int64_t Loop::now_ms() const { return static_cast<int64_t>(uv_now(&impl_->uv)); }

TimerWheel& Loop::timers() {
  CHECK(InThread());
  return impl_->timers;
}

bool Loop::InThread() const {
  return impl_->thread_id.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

LoopStats Loop::stats() const {
  const Impl& i = *impl_;
  return {.turns = i.turns.get(),
          .reads = i.reads.get(),
          .bytes_in = i.bytes_in.get(),
          .frames_in = i.frames_in.get(),
          .writes = i.writes.get(),
          .bytes_out = i.bytes_out.get(),
          .frames_out = i.frames_out.get(),
          .connections = i.open.get(),
          .slow_readers = i.slow_readers.get()};
}

void RunOn(Loop& loop, const std::function<void()>& task) {
  if (loop.InThread()) return task();
  CHECK(loop.impl().started.load());
  std::promise<void> done;
  // False: the loop has ended, and closed by itself what the task is about.
  if (loop.Post([&] {
        task();
        done.set_value();
      }))
    done.get_future().wait();
}

}  // namespace hongyan::net
