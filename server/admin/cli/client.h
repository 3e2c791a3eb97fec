#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "hongyan/v1/admin.pb.h"

namespace hongyan::admin_cli {

// A blocking connection to a server's administration socket. One thread.
class Client {
 public:
  static constexpr int64_t kPatienceS = 120;  // a large group is created in slices
  // The error says where it looked and what to do.
  // Waits `patience_s` for each answer.
  static base::Result<Client> Connect(const std::string& socket_path,
                                      int64_t patience_s = kPatienceS);
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  // One request, one answer.
  base::Result<v1::AdminReply> Ask(const v1::AdminRequest& request);

  // Several on their way at once: answers may come in any order, each with its request's id.
  base::Result<void> Send(uint32_t id, const v1::AdminRequest& request);
  struct Answer {
    uint32_t id = 0;
    base::Result<v1::AdminReply> reply;
  };
  base::Result<Answer> Receive();

 private:
  explicit Client(int fd) : fd_(fd) {}
  base::Result<void> ReadExactly(void* to, size_t bytes);

  int fd_;
  uint32_t last_id_ = 0;
};

}  // namespace hongyan::admin_cli
