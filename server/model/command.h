#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/account.h"
#include "model/group.h"
#include "model/ids.h"
#include "model/item.h"
#include "model/message.h"
#include "model/money.h"

// What access and admin ask of a message shard, and what comes back. Plain data, so that the seam
// can be a queue in one process or a stream between two.

namespace hongyan::model {

// -- conversation: goes to the conversation's shard
// ------------------------------------------------------

struct SendMessage {
  ConversationId conversation;
  UserId sender;
  DeviceId sender_device;
  RequestId client_msg_id;
  std::optional<RequestId> after;  // refused unless that send of the same sender was accepted
  BodyKind kind = BodyKind::kNone;
  std::string body;
};

// -- group: goes to the group's shard
// --------------------------------------------------------------------

struct CreateGroup {
  GroupId
      id;  // drawn from (creator, request id), so a repeat reaches the same shard and finds itself
  UserId creator;
  RequestId request_id;
  std::string name;
  std::vector<UserId> members;  // without the creator; unique; all exist
};

// Adding, removing and leaving. `actor` 0 = the administrator.
struct ChangeMembers {
  GroupId group;
  UserId actor;
  RequestId request_id;
  std::vector<UserId> add;
  std::vector<UserId> remove;
};

// -- account: goes to the user's shard
// -------------------------------------------------------------------

// Each is answered on its own; one that exists is not an error of the others.
struct CreateUsers {
  std::vector<User> users;  // all of one shard
};

struct SetPassword {
  UserId user;
  std::string password_hash;  // empty = no password login
};

struct SetDisabled {
  UserId user;
  bool disabled = false;
};

// Opens a session (or, with `only_token`, just issues a token) for one device. Credentials are
// verified before, off the shard; what only the shard can know (disabled, revoked) is checked here.
struct OpenSession {
  UserId user;
  DeviceId device;
  std::string device_class;
  int64_t token_number = 0;  // of the token shown; 0 = password: a new token number is given out
  bool only_token = false;
};

// Revokes the tokens of one device, or of all (device zero), and ends their sessions.
struct RevokeTokens {
  UserId user;
  DeviceId device;
};

// Cursors that devices confirmed, written along with the next batch.
struct ConfirmCursor {
  UserId user;
  DeviceId device;
  Seq cursor;
};

// -- wallets: goes to the money shard of the user's wallet
// --------------------------------------------------

// Debits the sender and sends the money on its way. What the edge can check (form, limits, may this
// user speak there) is checked before; balance and freeze here.
struct SendPacket {
  PacketTerms terms;
  // The edge says no, and so does the shard, unless it took this request before: the first try may
  // still stand in the queue when its repeat is refused. A verdict on the request is remembered.
  std::optional<base::Error> no = {};
};

// A deposit (positive) or withdrawal (negative), by the administrator.
struct MoveFunds {
  UserId user;
  std::string id;  // 1 to 64 bytes, drawn by who asks; the same again is the same move
  int64_t amount_fen = 0;
  std::string reason;  // 1 to 256 bytes
};
// Each is answered on its own; one that is refused is no error of the others. All of one shard.
struct MoveManyFunds {
  std::vector<MoveFunds> moves;
};

struct SetFrozen {
  UserId user;
  bool frozen = false;
};

// -- packets: goes to the packet's money shard
// --------------------------------------------------------------

// Was the user in the conversation when the request was admitted, and by which version of its
// membership.
struct Eligible {
  bool yes = false;
  int64_t version = 0;
};

// Also accepts a transfer.
struct OpenPacket {
  PacketId packet;
  UserId user;
  Eligible eligible;
};

// By the named person of a transfer; user 0 = the administrator, any packet.
struct ReturnPacket {
  PacketId packet;
  UserId user;
};

// Looks at a quarantined packet again: its rows must add up now, or its rest goes back to the
// sender.
struct MendPacket {
  enum class How : uint8_t { kRetry = 1, kReturn = 2 };
  PacketId packet;
  How how = How::kRetry;
};

// -- days of packets: goes to each money shard that has some of that day
// --------------------------------------------------------------

// The day's rows go, its file stands for them (money/days.h makes the file and `day` before). BUSY
// as long as an item about its packets is not acknowledged.
struct ArchiveDay {
  ArchivedDay day;
};

// Brings back rows of an archived day, those of packets after `after`; DayRestored says how far. To
// be asked again until it is done: then the day is not archived any more.
struct RestoreDay {
  int32_t day = 0;
  PacketId after;
};

// -- channels: answered by the executor itself, for the administrator
// --------------------------------------

// Applies parked items of a channel again: one, or all behind `after` (number 0), as many as a
// batch takes. Goes to the target shard.
struct RetryParked {
  ShardId source = 0;
  ShardId target = 0;
  int64_t number = 0;
  int64_t after = 0;
};

// The money of a parked item that cannot be applied goes to whom it belongs, and the item is kept
// no longer. `as`: what the item must have been where its bytes do not say it; of the same amount.
// Goes to the target shard.
struct ReturnParked {
  ShardId source = 0;
  ShardId target = 0;
  int64_t number = 0;
  std::shared_ptr<const Item> as = {};
};

// A stopped channel goes on: the target takes the source's incarnation and, as applied, the
// source's head where that one lost its tail, else the number before the oldest item it keeps. What
// lies between is given up. Goes to the target shard.
struct AcceptChannel {
  ShardId source = 0;
  ShardId target = 0;
};

using CommandBody = std::variant<SendMessage, CreateGroup, ChangeMembers, CreateUsers, SetPassword,
                                 SetDisabled, OpenSession, RevokeTokens, ConfirmCursor, SendPacket,
                                 MoveManyFunds, SetFrozen, OpenPacket, ReturnPacket, MendPacket,
                                 ArchiveDay, RestoreDay, RetryParked, ReturnParked, AcceptChannel>;

// -- replies
// ---------------------------------------------------------------------------------------------

struct Done {};

struct Sent {
  ConvSeq conv_seq;
  int64_t time_ms = 0;
};

struct GroupChanged {
  GroupId group;
  ConvSeq conv_seq;  // of the change's own message; 0 = nothing changed
  int64_t time_ms = 0;
};

enum class Creation : uint8_t {
  kCreated = 1,
  kExisted = 2,
  kCollision = 3,  // another name has this id
};

struct UsersCreated {
  std::vector<Creation> outcomes;  // in the order of the command
};

struct SessionOpened {
  int64_t session_number = 0;
  int64_t token_number = 0;
  std::string user_name;
};

struct ParkedRetried {
  int64_t retried = 0;
  int64_t applied = 0;
  int64_t last = 0;   // number of the last one retried
  bool more = false;  // behind it
  std::string why;    // the first that is still parked could not be applied
};

// The money is on its way; the message says when the packet is there.
struct PacketSending {
  PacketId packet;
};

struct Opened {
  int64_t amount_fen = 0;
  int32_t ordinal = 0;
  int64_t time_ms = 0;
  bool already = false;  // this is what the user got before
};

// One per move, in the order of the command.
struct FundsMoved {
  std::vector<base::Result<MoveOutcome>> outcomes;
};

struct DayRestored {
  PacketId last;  // ask again with it as `after`
  bool done = false;
};

using ReplyBody = std::variant<Done, Sent, GroupChanged, UsersCreated, SessionOpened, ParkedRetried,
                               PacketSending, Opened, FundsMoved, DayRestored>;
using Reply = base::Result<ReplyBody>;

// Where a reply goes: which of the outlet's loops, and that loop's own ticket. Ticket 0 = nobody
// waits.
struct ReplyTo {
  uint32_t loop = 0;
  uint64_t ticket = 0;
};

// Shed in this order under overload; internal items have no class and are never
// refused.
enum class Priority : uint8_t { kPresence, kHistory, kLogin, kSync, kChat, kMoney };

struct Command {
  ReplyTo reply_to;
  Priority priority = Priority::kChat;
  int64_t queued_ns = 0;  // boot clock, set by submit
  ShardId shard = 0;
  CommandBody body;
};

// -- effects: told to access after the commit
// --------------------------------------------------------------

// A user's newest committed seq. Only for users with a session.
struct HeadMoved {
  UserId user;
  Seq first_new;
  Seq head;
  DeviceId all_from;  // the one device that sent everything from first_new to head (its acks told
                      // it); or zero
};

enum class EndReason : uint8_t { kReplaced = 1, kRevoked = 2, kDisabled = 3 };

// Sessions of this user's device (zero = all its devices) with a number below `below` are over.
struct SessionsEnded {
  UserId user;
  DeviceId device;
  int64_t below = 0;
  EndReason reason = EndReason::kReplaced;
};

// A user's wallet is not what it was: a hint, once per batch and user.
struct WalletChanged {
  UserId user;
};

using Effect = std::variant<HeadMoved, SessionsEnded, WalletChanged>;

}  // namespace hongyan::model
