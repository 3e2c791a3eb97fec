#pragma once

#include <future>
#include <memory>
#include <utility>

#include "client-sdk/src/calls.h"
#include "client-sdk/src/core.h"
#include "hongyan/client.h"

namespace hongyan::sdk {

// A request whose reply is turned into the API's value by `read`. Runtime's thread.
template <class Reply, class Value, class Core, class Read>
void CallFor(Core* core, uint16_t command, const char* what, Calls::Build build, int timeout_ms,
             Callback<Value> done, Read read) {
  core->template Call<Reply>(command, what, std::move(build), timeout_ms,
                             [done = std::move(done), read](Result<Reply> reply) {
                               if (reply.ok()) {
                                 done(read(*reply));
                               } else {
                                 done(reply.error());
                               }
                             });
}

// A callback and the future it fulfils.
template <class T>
std::pair<Callback<T>, std::future<Result<T>>> Promise() {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  return {[promise](Result<T> result) { promise->set_value(std::move(result)); },
          std::move(future)};
}

}  // namespace hongyan::sdk
