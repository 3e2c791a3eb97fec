#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hongyan/result.h"
#include "hongyan/types.h"

namespace hongyan {

// A message on its way, with the exact bytes that are sent and sent again.
struct UnsentMessage {
  int64_t number = 0;  // rising, drawn by the client
  Conversation conversation = {};
  std::string client_msg_id = {};  // 16 bytes once it may have left; empty: it never did
  std::string body = {};           // serialized
};

// What one installation remembers.
struct Saved {
  std::string device_id = {};  // 16 bytes; empty in a new store
  std::string token = {};
  UserId user = {};
  std::string user_name = {};
  int64_t cursor = 0;                      // the highest seq the app has handled
  std::vector<UnsentMessage> unsent = {};  // by number
};

// Where a client keeps what must outlive it. One client at a time. All calls come from the client's
// runtime thread and block it: a commit to disk takes some 0.2 ms.
//
// The setters gather changes; Commit makes them happen together, in order. If Commit fails, none of
// what was gathered since the last one happened.
class Store {
 public:
  virtual ~Store() = default;

  // Called before anything else.
  virtual Result<Saved> Load() = 0;

  virtual void SetDevice(const std::string& device_id) = 0;
  virtual void SetAccount(UserId user, const std::string& user_name, const std::string& token) = 0;
  virtual void SetCursor(int64_t seq) = 0;
  virtual void PutUnsent(const UnsentMessage& message) = 0;  // new, or with its id assigned
  virtual void RemoveUnsent(int64_t number) = 0;

  enum class Durability {
    kWritten,  // survives the death of the process
    kDurable,  // survives the death of the machine; what was only written before, too
  };
  virtual Result<Done> Commit(Durability durability) = 0;
};

// A directory, created if missing: an append log, compacted as it grows, its records checked. A
// tail torn by a crash is cut off; damage inside what was durable is an error, not a loss. A lock
// keeps a second process out. Fails, with what to do: not writable, in use, damaged, made by a
// newer version.
Result<std::shared_ptr<Store>> OpenFileStore(const std::string& directory);

// Remembers as long as it lives: for tests and tools.
class MemoryStore : public Store {
 public:
  Result<Saved> Load() override { return written_; }
  void SetDevice(const std::string& device_id) override { gathered_.device_id = device_id; }
  void SetAccount(UserId user, const std::string& user_name, const std::string& token) override;
  void SetCursor(int64_t seq) override { gathered_.cursor = seq; }
  void PutUnsent(const UnsentMessage& message) override;
  void RemoveUnsent(int64_t number) override;
  Result<Done> Commit(Durability durability) override;

  // As if the machine had died: what was not durable is gone. Not while a client uses it.
  void LoseUndurable() { gathered_ = written_ = durable_; }

 private:
  Saved gathered_;
  Saved written_;
  Saved durable_;
};

}  // namespace hongyan
