#include "shard/command_bytes.h"

#include <utility>
#include <variant>

namespace hongyan::shard {
namespace {

struct BodyBytes {
  size_t operator()(const model::SendMessage& c) const { return c.body.size(); }
  size_t operator()(const model::CreateGroup& c) const {
    return c.name.size() + c.members.size() * sizeof(model::UserId);
  }
  size_t operator()(const model::ChangeMembers& c) const {
    return (c.add.size() + c.remove.size()) * sizeof(model::UserId);
  }
  size_t operator()(const model::CreateUsers& c) const {
    size_t bytes = 0;
    for (const auto& user : c.users) {
      bytes += sizeof(model::User) + user.name.size() + user.password_hash.size();
    }
    return bytes;
  }
  size_t operator()(const model::SetPassword& c) const { return c.password_hash.size(); }
  size_t operator()(const model::OpenSession& c) const { return c.device_class.size(); }
  size_t operator()(const model::SendPacket& c) const {
    return c.terms.greeting.size() + (c.no ? c.no->text.size() : 0);
  }
  size_t operator()(const model::MoveManyFunds& c) const {
    size_t bytes = 0;
    for (const auto& move : c.moves) {
      bytes += sizeof(model::MoveFunds) + move.id.size() + move.reason.size();
    }
    return bytes;
  }
  size_t operator()(const model::ArchiveDay& c) const {
    return c.day.file.size() + c.day.acknowledged.size() * sizeof(std::pair<int64_t, int64_t>);
  }
  // All others are flat.
  size_t operator()(const model::SetDisabled&) const { return 0; }
  size_t operator()(const model::RevokeTokens&) const { return 0; }
  size_t operator()(const model::ConfirmCursor&) const { return 0; }
  size_t operator()(const model::SetFrozen&) const { return 0; }
  size_t operator()(const model::OpenPacket&) const { return 0; }
  size_t operator()(const model::ReturnPacket&) const { return 0; }
  size_t operator()(const model::MendPacket&) const { return 0; }
  size_t operator()(const model::RestoreDay&) const { return 0; }
  size_t operator()(const model::RetryParked&) const { return 0; }
  size_t operator()(const model::ReturnParked&) const { return sizeof(model::Item); }
  size_t operator()(const model::AcceptChannel&) const { return 0; }
};

}  // namespace

int64_t BytesOf(const model::Command& command) {
  return static_cast<int64_t>(sizeof(model::Command) + std::visit(BodyBytes(), command.body));
}

}  // namespace hongyan::shard
