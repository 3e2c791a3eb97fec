#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "model/command.h"
#include "storage/inbox_store.h"

// What goes between a simulated device and the simulated front door, in the terms of the wire
// protocol.

namespace hongyan::simulation {

struct Login {
  model::UserId user;
  model::DeviceId device;
};
struct Heartbeat {};
struct Sync {
  model::Seq cursor;
  size_t limit = 0;
};

struct Request {
  uint64_t number = 0;
  std::variant<Login, Heartbeat, Sync, model::SendMessage, model::CreateGroup, model::ChangeMembers>
      body;
};

struct LoggedIn {
  model::Seq head;
  int64_t time_ms = 0;
};
struct Beat {
  std::optional<model::Seq> head;  // none: unknown
  int64_t time_ms = 0;
};
struct SyncPage {
  std::vector<storage::InboxStore::NumberedEntry> entries;
  std::vector<model::Message> messages;  // one per entry
  model::Seq head;
};
struct Failed {
  base::Error error;
};
struct Notify {
  model::Seq head;
};
struct Answer {
  uint64_t number = 0;  // of the request; 0 = pushed
  std::variant<LoggedIn, Beat, SyncPage, model::ReplyBody, Failed, Notify> body;
};

}  // namespace hongyan::simulation
