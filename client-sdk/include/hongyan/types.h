#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "hongyan/ids.h"
#include "hongyan/money.h"

// The nouns of the API. Values; any thread. Times are UTC milliseconds by the server's clock.

namespace hongyan {

struct Text {
  std::string text = {};  // UTF-8 is expected; any bytes are carried unchanged
  std::vector<UserId> mentions = {};
  int64_t quote = 0;  // conv_seq of the message this one answers; 0 = none
};

// A reference to something stored elsewhere.
struct Media {
  enum class Kind { kImage, kVoice, kVideo, kFile };
  Kind kind = Kind::kFile;
  std::string url = {};     // or a key the app understands
  std::string sha256 = {};  // 32 bytes or empty
  int64_t size = 0;
  std::string mime_type = {};
  std::string thumbnail = {};  // at most 8 KiB
  std::string name = {};
  int32_t duration_ms = 0;
  int32_t width = 0;
  int32_t height = 0;
};

struct Custom {
  std::string type = {};  // the app's own word, 1 to 64 bytes
  std::string data = {};
};

// What the server itself writes into a group. Not to be sent.
struct GroupCreated {
  UserId creator = {};
  std::string name = {};
  int32_t members = 0;
};
struct MembersChanged {
  UserId actor = {};               // nobody = the administrator
  std::vector<UserId> added = {};  // at most 100 are named; the counts are whole
  std::vector<UserId> removed = {};
  int32_t added_count = 0;
  int32_t removed_count = 0;
};

// A kind this SDK does not know: made by a newer one.
struct UnknownBody {
  std::string bytes = {};
};

using Body = std::variant<Text, Media, Custom, GroupCreated, MembersChanged, RedPacket, Transfer,
                          PacketNotice, UnknownBody>;

// A message is named by (conversation, conv_seq).
struct Message {
  Conversation conversation = {};
  int64_t conv_seq = 0;
  UserId sender = {};  // nobody = the server
  int64_t time_ms = 0;
  int64_t ordinal = 0;  // among the messages that count as unread; 0 for those that do not
  Body body = {};
  bool own = false;  // sent by this user, from this or another device
  bool recalled = false;
  bool gone = false;               // the body is no longer kept
  int64_t seq = 0;                 // place in this user's inbox; 0 when it comes from History
  std::string client_msg_id = {};  // of own messages that come by sync: 16 bytes
};

// The server has it, on disk.
struct Sent {
  int64_t conv_seq = 0;
  int64_t time_ms = 0;
};

struct User {
  UserId id = {};
  std::string name = {};
};

enum class Role { kNone = 0, kMember = 1, kAdmin = 2, kOwner = 3 };

struct Group {
  GroupId id = {};
  std::string name = {};
  UserId owner = {};
  int64_t created_ms = 0;
  int64_t members = 0;
};

struct Member {
  UserId id = {};
  std::string name = {};
  Role role = Role::kNone;
  int64_t joined_ms = 0;
};

// A page of a list; ask on from the last one's id while `more`.
template <class T>
struct Page {
  std::vector<T> items = {};
  bool more = false;
};

// The group and the announcement of what was done; conv_seq 0 = nothing changed, nothing was
// announced.
struct GroupChange {
  GroupId group = {};
  int64_t conv_seq = 0;
  int64_t time_ms = 0;
};

}  // namespace hongyan
