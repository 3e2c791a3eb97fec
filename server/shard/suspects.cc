#include "shard/suspects.h"

#include <algorithm>
#include <variant>

namespace hongyan::shard {
namespace {

constexpr size_t kMostSuspects = 1024;
constexpr int64_t kFirstPauseNs = int64_t{10} * 1'000'000'000;
constexpr int64_t kLongestPauseNs = int64_t{640} * 1'000'000'000;

enum About : int { kPacket, kWallet, kConversation, kAccount };

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

std::optional<Suspects::Subject> Suspects::SubjectOf(const model::Command& command) {
  using Found = std::optional<Subject>;
  const auto group = [](model::GroupId id) -> Found { return Subject(kConversation, 0, id.value); };
  const auto packet = [](model::PacketId id) -> Found { return Subject(kPacket, id.value, 0); };
  const auto account = [](model::UserId id) -> Found { return Subject(kAccount, id.value, 0); };
  return std::visit(
      Overloaded{
          [&](const model::SendMessage& c) -> Found {
            return Subject(kConversation, c.conversation.a, c.conversation.b);
          },
          [&](const model::CreateGroup& c) { return group(c.id); },
          [&](const model::ChangeMembers& c) { return group(c.group); },
          [&](const model::SetPassword& c) { return account(c.user); },
          [&](const model::SetDisabled& c) { return account(c.user); },
          [&](const model::OpenSession& c) { return account(c.user); },
          [&](const model::RevokeTokens& c) { return account(c.user); },
          [&](const model::ConfirmCursor& c) { return account(c.user); },
          [&](const model::SendPacket& c) -> Found {
            return Subject(kWallet, c.terms.sender.value, 0);
          },
          [&](const model::SetFrozen& c) -> Found { return Subject(kWallet, c.user.value, 0); },
          [&](const model::OpenPacket& c) { return packet(c.packet); },
          [&](const model::ReturnPacket& c) { return packet(c.packet); },
          [&](const model::MendPacket& c) { return packet(c.packet); },
          // Of many at once, or the administrator's own.
          [](const auto&) { return Found(); },
      },
      command.body);
}

void Suspects::Add(const model::Command& command, int64_t now_ns) {
  const auto subject = SubjectOf(command);
  if (!subject) return;
  const auto [pause, fresh] = pauses_.try_emplace(*subject);
  if (fresh) order_.push_back(*subject);
  pause->second.ns = fresh ? kFirstPauseNs : std::min(pause->second.ns * 2, kLongestPauseNs);
  pause->second.until_ns = now_ns + pause->second.ns;
  if (order_.size() <= kMostSuspects) return;
  pauses_.erase(order_.front());
  order_.pop_front();
}

bool Suspects::Holds(const model::Command& command, int64_t now_ns) const {
  if (pauses_.empty()) return false;
  const auto subject = SubjectOf(command);
  if (!subject) return false;
  const auto pause = pauses_.find(*subject);
  return pause != pauses_.end() && now_ns < pause->second.until_ns;
}

}  // namespace hongyan::shard
