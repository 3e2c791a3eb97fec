#include "access/chat.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "access/body_check.h"
#include "access/session.h"
#include "account/refusals.h"
#include "conversation/refusals.h"

namespace hongyan::access {
namespace {

using base::Code;

constexpr size_t kSyncEntries = 100;
constexpr size_t kMaxSyncEntries = 500;
constexpr size_t kMaxReplyBytes = 256 << 10;
constexpr size_t kBodiesAtOnce =
    32;  // what is read before the size of the reply is looked at again
constexpr size_t kHistoryMessages = 50;
constexpr size_t kMaxHistoryMessages = 500;

size_t LimitOf(uint32_t asked, size_t usual, size_t most) {
  return asked == 0 ? usual : std::min<size_t>(asked, most);
}

base::Error Invalid(const char* text) { return {Code::kInvalidArgument, text}; }

void Fill(model::Message&& from, v1::Message* to) {
  to->set_conv_seq(from.seq.value);
  to->set_sender(from.sender.value);
  to->set_kind(static_cast<v1::BodyKind>(from.kind));
  to->set_time_ms(from.time_ms);
  to->set_ordinal(from.ordinal);
  to->set_recalled(from.recalled);
  to->set_body(std::move(from.body));
}

void Fill(const storage::InboxStore::NumberedEntry& from, v1::Entry* to) {
  to->set_seq(from.seq.value);
  to->set_kind(static_cast<v1::EntryKind>(from.entry.kind));
  to->set_time_ms(from.entry.time_ms);
  to->mutable_conversation()->set_a(from.entry.conversation.a);
  to->mutable_conversation()->set_b(from.entry.conversation.b);
  to->set_conv_seq(from.entry.conv_seq.value);
  if (!from.entry.client_msg_id.is_zero()) {
    to->set_client_msg_id(from.entry.client_msg_id.view().data(),
                          from.entry.client_msg_id.view().size());
  }
}

// Money that came back: the one kind of entry that points at no body.
void FillReturned(const model::Entry& from, v1::Entry* to) {
  to->clear_client_msg_id();
  v1::PacketReturned& returned = *to->mutable_packet_returned();
  returned.set_request_id(from.client_msg_id.view().data(), from.client_msg_id.view().size());
  returned.set_packet_id(from.packet.value);
  returned.set_amount_fen(from.returned_fen);
  returned.set_reason(static_cast<v1::ReturnReason>(from.reason));
}

// What the client asks to send, or why not.
base::Result<model::SendMessage> ReadSend(Session& session, v1::SendMessage& wire) {
  model::SendMessage send;
  send.conversation = {wire.conversation().a(), wire.conversation().b()};
  if (!send.conversation.valid()) {
    return Invalid("a conversation is (lower user, higher user), or (0, group)");
  }
  if (!send.conversation.is_group() && !send.conversation.has(session.user())) {
    return conversation::NotAMember(send.conversation);
  }
  if (!send.client_msg_id.Assign(wire.client_msg_id())) {
    return Invalid("client_msg_id is 16 bytes, a UUIDv7");
  }
  if (!wire.after().empty() && !send.after.emplace().Assign(wire.after())) {
    return Invalid("`after` is the client_msg_id of an earlier send, or empty");
  }
  auto kind =
      CheckBody(wire.body(), session.desk().limits().body_bytes, session.desk().scratch().body);
  if (!kind) return std::move(kind).error();
  send.kind = *kind;
  send.sender = session.user();
  send.sender_device = session.device();
  send.body = std::move(*wire.mutable_body());
  return send;
}

// The peer of a 1:1 conversation was never seen on this loop: ask the store whether it exists, then
// send.
void SendToStranger(Session& session, const proto::Frame& frame, model::SendMessage send) {
  const Services& services = session.desk().services();
  const model::UserId peer = send.conversation.peer_of(session.user());
  const uint16_t command = frame.header.command;
  const uint32_t request_id = frame.header.request_id;
  session.OnPool(
      services.readers, command, request_id,
      [&services, peer] { return services.directory.Exists(peer); },
      [command, request_id, peer, send = std::move(send)](Session& it,
                                                          base::Result<bool> exists) mutable {
        if (!exists) return it.Refuse(command, request_id, exists.error());
        if (!*exists) return it.Refuse(command, request_id, account::NoSuchUser(peer));
        it.desk().known_users().Add(peer);
        const model::ShardId shard = it.desk().services().router.ShardOf(send.conversation);
        it.Submit(command, request_id, shard, std::move(send));
      });
}

void SyncFailed(Session& session, uint32_t request_id, const base::Error& error) {
  session.told().SyncFailed();
  session.Refuse(v1::SYNC, request_id, error);
  session.Tell();
}

void SyncDone(Session& session, uint32_t request_id, model::Seq cursor, model::Seq head,
              std::string_view encoded) {
  session.told().Synced(head);
  session.Answer(v1::SYNC, request_id, encoded);
  session.Confirm(cursor);
  session.Tell();
}

// Not all of it is in memory.
void SyncFromDisk(Session& session, uint32_t request_id, model::Seq cursor, size_t limit) {
  const Services& services = session.desk().services();
  session.desk().counts().syncs_from_disk.Add();
  struct Read {
    base::Result<void> result;
    model::Seq head;
    std::string encoded;
  };
  if (services.readers.queued() >= services.readers.max_queued()) {
    // OnPool would refuse too, but a refused sync also ends the waiting for it.
    return SyncFailed(session, request_id, services.admission.Busy());
  }
  session.OnPool(
      services.readers, v1::SYNC, request_id,
      [&services, user = session.user(), cursor, limit] {
        Read read;
        v1::SyncReply reply;
        read.result = ReadSync(services.inboxes, services.conversations, user, cursor, limit,
                               storage::Reach::kDisk, reply);
        if (read.result.ok()) {
          read.head = model::Seq(reply.head());
          read.encoded = reply.SerializeAsString();
        }
        return read;
      },
      [request_id, cursor](Session& it, Read read) {
        if (!read.result) return SyncFailed(it, request_id, read.result.error());
        SyncDone(it, request_id, cursor, read.head, read.encoded);
      });
}

void Beat(Session& session, const proto::FrameHeader& header, std::optional<model::Seq> head) {
  Desk& desk = session.desk();
  v1::HeartbeatReply& reply = desk.scratch().heartbeat;
  reply.set_head(head.has_value() ? head->value : -1);
  reply.set_server_time_ms(desk.server_time_ms());
  if (head.has_value()) session.told().Say(*head);
  desk.counts().heartbeats.Add();
  session.Answer(header.command, header.request_id, reply);
}

}  // namespace

void Heartbeat(Session& session, const proto::Frame& frame) {
  const Services& services = session.desk().services();
  const auto head = services.online.Head(session.user());
  if (head.has_value() || services.readers.queued() >= services.readers.max_queued()) {
    return Beat(session, frame.header, head);
  }
  // It could not be read when the session began, and nothing has come since.
  session.OnPool(
      services.readers, frame.header.command, frame.header.request_id,
      [&services, user = session.user()] {
        return services.inboxes.Head(user, storage::Reach::kDisk);
      },
      [header = frame.header](Session& it, base::Result<model::Seq> read) {
        Beat(it, header, read ? std::optional(*read) : std::nullopt);
      });
}

void SendMessage(Session& session, const proto::Frame& frame) {
  Desk& desk = session.desk();
  v1::SendMessage& wire = desk.scratch().send;
  if (!session.Parse(frame, wire)) return;
  auto send = ReadSend(session, wire);
  if (!send) return session.Refuse(frame.header.command, frame.header.request_id, send.error());
  const model::ConversationId conversation = send->conversation;
  if (!conversation.is_group()) {
    const model::UserId peer = conversation.peer_of(session.user());
    if (peer != session.user() && !desk.known_users().Knows(peer)) {
      return SendToStranger(session, frame, std::move(send).value());
    }
  }
  session.Submit(frame, desk.services().router.ShardOf(conversation), std::move(send).value());
}

void MessageSent(Session& session, uint16_t command, uint32_t request_id, model::Reply reply) {
  if (!reply) return session.Refuse(command, request_id, reply.error());
  const auto& sent = std::get<model::Sent>(reply.value());
  v1::SendMessageReply& wire = session.desk().scratch().sent;
  wire.set_conv_seq(sent.conv_seq.value);
  wire.set_time_ms(sent.time_ms);
  session.Answer(command, request_id, wire);
}

void Sync(Session& session, const proto::Frame& frame) {
  Desk& desk = session.desk();
  const Services& services = desk.services();
  v1::Sync& wire = desk.scratch().sync;
  if (!session.Parse(frame, wire)) return;
  const uint32_t request_id = frame.header.request_id;
  if (wire.cursor() < 0) {
    return SyncFailed(session, request_id, Invalid("a cursor is a seq, or 0 for the beginning"));
  }
  const model::Seq cursor(wire.cursor());
  const size_t limit = LimitOf(wire.limit(), kSyncEntries, kMaxSyncEntries);
  v1::SyncReply& reply = desk.scratch().sync_reply;
  auto read = ReadSync(services.inboxes, services.conversations, session.user(), cursor, limit,
                       storage::Reach::kMemory, reply);
  if (!read && read.error().code == Code::kUnavailable) {
    return SyncFromDisk(session, request_id, cursor, limit);
  }
  if (!read) return SyncFailed(session, request_id, read.error());
  desk.counts().syncs.Add();
  SyncDone(session, request_id, cursor, model::Seq(reply.head()), desk.Encode(reply));
}

base::Result<void> ReadSync(const inbox::Reader& inboxes, const conversation::Reader& conversations,
                            model::UserId user, model::Seq cursor, size_t limit,
                            storage::Reach reach, v1::SyncReply& reply) {
  reply.Clear();
  auto page = inboxes.ReadPage(user, cursor, limit, reach);
  if (!page) return std::move(page).error();
  reply.set_head(page->head.value);
  reply.set_truncated(page->truncated);
  reply.set_more(page->more);
  size_t bytes = 0;
  std::vector<storage::ConversationStore::MessageKey> keys;
  for (size_t first = 0; first < page->entries.size(); first += kBodiesAtOnce) {
    const size_t end = std::min(first + kBodiesAtOnce, page->entries.size());
    keys.clear();
    for (size_t i = first; i < end; ++i) {
      const model::Entry& entry = page->entries[i].entry;
      keys.push_back({entry.conversation, entry.conv_seq});
    }
    auto bodies = conversations.Bodies(keys, reach);
    if (!bodies) return std::move(bodies).error();
    for (size_t i = first; i < end; ++i) {
      std::optional<model::Message>& body = (*bodies)[i - first];
      bytes += 64 + (body.has_value() ? body->body.size() : 0);
      if (bytes > kMaxReplyBytes && i > 0) {
        reply.set_more(true);
        return {};
      }
      v1::Entry* const entry = reply.add_entries();
      Fill(page->entries[i], entry);
      if (page->entries[i].entry.kind == model::EntryKind::kPacketReturned) {
        FillReturned(page->entries[i].entry, entry);
      } else if (body.has_value()) {
        Fill(std::move(*body), entry->mutable_message());
      } else {
        entry->set_gone(true);
      }
    }
  }
  return {};
}

void History(Session& session, const proto::Frame& frame) {
  v1::History wire;
  if (!session.Parse(frame, wire)) return;
  const uint16_t command = frame.header.command;
  const uint32_t request_id = frame.header.request_id;
  conversation::Reader::HistoryQuery query;
  query.conversation = {wire.conversation().a(), wire.conversation().b()};
  if (!query.conversation.valid() || wire.before() < 0 || wire.after() < 0) {
    return session.Refuse(
        command, request_id,
        Invalid("history needs a conversation, and bounds that are not negative"));
  }
  query.before = model::ConvSeq(wire.before());
  query.after = model::ConvSeq(wire.after());
  query.limit = LimitOf(wire.limit(), kHistoryMessages, kMaxHistoryMessages);
  query.forward = wire.forward();
  const Services& services = session.desk().services();
  session.OnPool(
      services.readers, command, request_id,
      [&services, query, user = session.user()]() -> base::Result<std::string> {
        auto page = services.conversations.History(user, query, storage::Reach::kDisk);
        if (!page) return std::move(page).error();
        v1::HistoryReply reply;
        reply.set_more(page->more);
        for (model::Message& message : page->messages) {
          Fill(std::move(message), reply.add_messages());
        }
        return reply.SerializeAsString();
      },
      [command, request_id](Session& it, base::Result<std::string> encoded) {
        if (!encoded) return it.Refuse(command, request_id, encoded.error());
        it.Answer(command, request_id, *encoded);
      });
}

}  // namespace hongyan::access
