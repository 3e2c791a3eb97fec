#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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

  // Asks for `count` things, `per_request` at a time and some requests on their way at once. `add`
  // puts the thing at a place into a request; `take` gets each answer, in any order, with the place
  // of its first thing. The first error ends it.
  base::Result<void> AskForMany(
      size_t count, size_t per_request,
      const std::function<void(size_t place, v1::AdminRequest&)>& add,
      const std::function<void(size_t first, const v1::AdminReply&)>& take);

 private:
  struct Answer {
    uint32_t id = 0;
    base::Result<v1::AdminReply> reply;
  };
  explicit Client(int fd) : fd_(fd) {}
  base::Result<void> Send(uint32_t id, const v1::AdminRequest& request);
  base::Result<Answer> Receive();
  base::Result<void> ReadExactly(void* to, size_t bytes);

  int fd_;
  uint32_t last_id_ = 0;
};

}  // namespace hongyan::admin_cli
