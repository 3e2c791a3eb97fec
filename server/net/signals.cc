#include "net/signals.h"

#include <utility>

#include "base/check.h"
#include "net/loop_impl.h"

namespace hongyan::net {

struct SignalWatch::Impl final : Resident {
  struct Handle {
    uv_signal_t signal;
    Impl* owner;
  };

  explicit Impl(std::function<void(int)> call) : on_signal(std::move(call)) {}

  void Watch(Loop::Impl& loop, int number) {
    auto* handle = new Handle;  // deleted when libuv has closed it
    handle->signal.data = handle;
    handle->owner = this;
    CHECK(uv_signal_init(&loop.uv, &handle->signal) == 0);
    const auto on_caught = [](uv_signal_t* s, int caught) {
      static_cast<Handle*>(s->data)->owner->on_signal(caught);
    };
    // Fails only for numbers that cannot be caught.
    CHECK(uv_signal_start(&handle->signal, on_caught, number) == 0);
    handles.push_back(handle);
  }

  void CloseHandles() override {
    for (Handle* handle : std::exchange(handles, {})) {
      uv_close(reinterpret_cast<uv_handle_t*>(&handle->signal),
               [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
    }
  }

  const std::function<void(int)> on_signal;
  std::vector<Handle*> handles;
};

SignalWatch::SignalWatch(Loop& loop, std::vector<int> signals, std::function<void(int)> on_signal)
    : loop_(loop), impl_(std::make_shared<Impl>(std::move(on_signal))) {
  RunOn(loop_, [&] {
    if (loop_.impl().stopping) return;
    for (const int number : signals) impl_->Watch(loop_.impl(), number);
    loop_.impl().residents.push_back(impl_.get());
  });
}

SignalWatch::~SignalWatch() {
  RunOn(loop_, [&] {
    std::erase(loop_.impl().residents, impl_.get());
    impl_->CloseHandles();
  });
}

}  // namespace hongyan::net
