#pragma once

#include <memory>
#include <string>

#include "admin/stat.h"
#include "base/result.h"

namespace hongyan::admin {

// The figures for Prometheus, over HTTP at /metrics, on threads of its own. Serves while it lives.
class Exposition {
 public:
  // `address`: host:port. The error says what to do where it cannot be listened on.
  static base::Result<std::unique_ptr<Exposition>> Open(const std::string& address, Stats stats);
  ~Exposition();

 private:
  struct Impl;
  explicit Exposition(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::admin
