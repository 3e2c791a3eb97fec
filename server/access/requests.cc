#include "access/requests.h"

#include <array>

#include "access/chat.h"
#include "access/joining.h"
#include "access/packets.h"
#include "access/people.h"
#include "access/wallets.h"
#include "hongyan/v1/command.pb.h"

namespace hongyan::access {
namespace {

using enum Request::When;
using model::Priority;

constexpr bool kShed = true;
constexpr bool kAlways =
    false;  // not shed here: it asks admission itself, or costs next to nothing
// The next of them must find this one counted.
constexpr bool kAlone = true;

// The request list: everything a client may ask for.
constexpr Request kRequests[] = {
    {v1::HELLO, "hello", kFirst, kAlways, Priority::kLogin, Hello, nullptr},
    {v1::LOGIN, "login", kLogin, kAlways, Priority::kLogin, Login, SessionOpened},
    {v1::LOGIN_TOKEN, "login_token", kLogin, kAlways, Priority::kLogin, LoginToken, SessionOpened},
    {v1::HEARTBEAT, "heartbeat", kOnline, kAlways, Priority::kPresence, Heartbeat, nullptr},
    {v1::LOGOUT, "logout", kOnline, kAlways, Priority::kLogin, Logout, LoggedOut},
    {v1::SEND_MESSAGE, "send_message", kOnline, kShed, Priority::kChat, SendMessage, MessageSent},
    {v1::SYNC, "sync", kOnline, kShed, Priority::kSync, Sync, nullptr},
    {v1::HISTORY, "history", kOnline, kShed, Priority::kHistory, History, nullptr},
    {v1::FIND_USER, "find_user", kOnline, kShed, Priority::kHistory, FindUser, nullptr},
    {v1::CREATE_GROUP, "create_group", kOnline, kShed, Priority::kChat, CreateGroup, GroupChanged,
     kAlone},
    {v1::CHANGE_MEMBERS, "change_members", kOnline, kShed, Priority::kChat, ChangeMembers,
     GroupChanged},
    {v1::LEAVE_GROUP, "leave_group", kOnline, kShed, Priority::kChat, LeaveGroup, GroupChanged},
    {v1::LIST_GROUPS, "list_groups", kOnline, kShed, Priority::kHistory, ListGroups, nullptr},
    {v1::GET_GROUP, "get_group", kOnline, kShed, Priority::kHistory, GetGroup, nullptr},
    {v1::LIST_MEMBERS, "list_members", kOnline, kShed, Priority::kHistory, ListMembers, nullptr},
    {v1::SEND_PACKET, "send_packet", kOnline, kShed, Priority::kMoney, SendPacket, PacketSent},
    {v1::GET_SEND, "get_send", kOnline, kShed, Priority::kMoney, GetSend, nullptr},
    {v1::GRAB_PACKET, "grab_packet", kOnline, kShed, Priority::kMoney, GrabPacket, nullptr},
    {v1::OPEN_PACKET, "open_packet", kOnline, kShed, Priority::kMoney, OpenPacket, PacketOpened},
    {v1::RETURN_TRANSFER, "return_transfer", kOnline, kShed, Priority::kMoney, ReturnTransfer,
     TransferReturned},
    {v1::PACKET_DETAIL, "packet_detail", kOnline, kShed, Priority::kHistory, PacketDetail, nullptr},
    {v1::GET_WALLET, "get_wallet", kOnline, kShed, Priority::kHistory, GetWallet, nullptr},
    {v1::LIST_STATEMENT, "list_statement", kOnline, kShed, Priority::kHistory, ListStatement,
     nullptr},
    {v1::PACKET_HISTORY, "packet_history", kOnline, kShed, Priority::kHistory, PacketHistory,
     nullptr},
};

constexpr auto kByCommand = [] {
  std::array<const Request*, 256> table{};
  for (const Request& request : kRequests) table[request.command] = &request;
  return table;
}();

}  // namespace

const Request* FindRequest(uint16_t command) {
  return command < kByCommand.size() ? kByCommand[command] : nullptr;
}

}  // namespace hongyan::access
