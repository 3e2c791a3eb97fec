#include "client-sdk/src/saver.h"

#include <utility>

namespace hongyan::sdk {
namespace {
constexpr int64_t kDurableWithinMs = 1000;
}

Saver::Saver(Runtime& runtime, Store& store, std::function<void(const Result<Done>&)> on_committed)
    : runtime_(runtime),
      store_(store),
      on_committed_(std::move(on_committed)),
      later_(runtime, [this] { Mark(Store::Durability::kDurable); }) {}

Saver::~Saver() { runtime_.Forget(this); }

void Saver::Mark(Store::Durability durability) {
  if (durability == Store::Durability::kDurable) durable_ = true;
  if (marked_) return;
  marked_ = true;
  runtime_.FlushAtEndOfTurn(this);
}

void Saver::Flush() {
  if (!marked_) return;
  marked_ = false;
  const bool durable = std::exchange(durable_, false);
  const Result<Done> result =
      store_.Commit(durable ? Store::Durability::kDurable : Store::Durability::kWritten);
  if (durable) {
    later_.Disarm();
  } else if (!later_.armed()) {
    later_.Arm(kDurableWithinMs);
  }
  on_committed_(result);
}

}  // namespace hongyan::sdk
