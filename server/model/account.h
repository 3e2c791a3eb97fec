#pragma once

#include <cstdint>
#include <string>

#include "model/ids.h"

namespace hongyan::model {

// An account. Never deleted, only disabled; the id is a keyed hash of the name.
struct User {
  UserId id;
  std::string name;           // 1 to 64 bytes of UTF-8, unique, never changed
  std::string password_hash;  // argon2id in its text form; empty = no password login
  int64_t created_ms = 0;
  bool disabled = false;
};

constexpr size_t kMaxUserNameBytes = 64;
constexpr size_t kMaxDevicesPerUser = 16;
constexpr size_t kMaxDeviceClassBytes = 32;

// One installation of the app, as its user's shard knows it.
struct Device {
  DeviceId id;
  std::string device_class;       // a label: "phone", "desktop", ...
  int64_t session_number = 0;     // raised by each login; of two sessions the higher one stays
  int64_t lowest_token_number = 0;  // tokens below are revoked
  int64_t next_token_number = 1;
  int64_t last_login_ms = 0;
  Seq cursor;                     // confirmed; steers trim only
};

}  // namespace hongyan::model
