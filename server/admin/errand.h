#pragma once

#include <cstdint>

#include "base/result.h"
#include "hongyan/v1/admin.pb.h"
#include "net/loop.h"

namespace hongyan::admin {

// One request of an administrator and where its answer goes. Shared by the steps of carrying it
// out; the first answer counts. The connection may have gone meanwhile: then the answer is dropped.
// Loop thread.
class Errand {
 public:
  Errand(net::Loop& loop, uint64_t connection, uint32_t request_id)
      : loop_(loop), connection_(connection), request_id_(request_id) {}

  void Answer(const v1::AdminReply& reply);
  void Refuse(const base::Error& error);
  void Done();  // AdminDone

 private:
  void Send(uint16_t flags, const std::string& payload);

  net::Loop& loop_;
  const uint64_t connection_;
  const uint32_t request_id_;
  bool answered_ = false;
};

// What a long reading is answered that the server does not wait for.
base::Error GoingDown();

}  // namespace hongyan::admin
