#pragma once

#include <memory>

namespace hongyan {

// One thread with one event loop. It carries any number of clients (thousands); every callback of a
// client runs on its runtime's thread. A Client without one of its own in its options makes itself
// a private one.
//
// Give up the last reference from another thread than its own.
class Runtime;

std::shared_ptr<Runtime> NewRuntime();

}  // namespace hongyan
