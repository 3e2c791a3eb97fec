#pragma once

#include <functional>

#include "client-sdk/src/runtime.h"
#include "hongyan/store.h"

namespace hongyan::sdk {

// Commits what a turn of the loop has put into the store, once, at the turn's end: many sends share
// one fsync. What was only written becomes durable within a second. Runtime's thread.
class Saver final : public Flushable {
 public:
  // `on_committed` is told after every commit, before the links write: a send that waited for it
  // leaves in the same turn.
  Saver(Runtime& runtime, Store& store, std::function<void(const Result<Done>&)> on_committed);
  ~Saver();

  Store& store() { return store_; }

  // Something was put into the store.
  void Mark(Store::Durability durability);

  // Commits now what is marked. For the end.
  void Flush() override;

 private:
  Runtime& runtime_;
  Store& store_;
  std::function<void(const Result<Done>&)> on_committed_;
  Timer later_;
  bool marked_ = false;
  bool durable_ = false;
};

}  // namespace hongyan::sdk
