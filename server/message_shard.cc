#include "message_shard.h"

#include <type_traits>

#include "base/check.h"
#include "model/reason.h"

namespace hongyan {
namespace {

// What money asks of money shards; the router never sends it here.
template <class Command>
concept MoneyCommand =
    std::is_same_v<Command, model::SendPacket> || std::is_same_v<Command, model::MoveManyFunds> ||
    std::is_same_v<Command, model::SetFrozen> || std::is_same_v<Command, model::OpenPacket> ||
    std::is_same_v<Command, model::ReturnPacket> || std::is_same_v<Command, model::MendPacket> ||
    std::is_same_v<Command, model::ArchiveDay> || std::is_same_v<Command, model::RestoreDay>;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

MessageShard::MessageShard(storage::MessageStore& store, const shard::Router& router,
                           inbox::OnlineHeads& online, MessageCounters& counters,
                           group::GroupLimits limits)
    : accounts_(store.accounts()),
      conversations_(store.conversations(), router, store.identity().generation),
      packet_messages_(conversations_),
      groups_(conversations_, limits),
      inbox_(store.inboxes(), online, store.identity().generation),
      counters_(counters) {}

void MessageShard::Apply(shard::UnitOfWork& work, const model::Command& command) {
  const model::ReplyTo& to = command.reply_to;
  std::visit(Overloaded{
                 [&](const model::SendMessage& c) { conversations_.Send(work, to, c); },
                 [&](const model::CreateGroup& c) { groups_.Create(work, to, c); },
                 [&](const model::ChangeMembers& c) { groups_.Change(work, to, c); },
                 [&](const model::RetryParked&) { CHECK(false); },  // the executor's own
                 [&](const model::ReturnParked&) { CHECK(false); },
                 [&](const model::AcceptChannel&) { CHECK(false); },  // the executor's own
                 [&](const MoneyCommand auto&) { CHECK(false); },
                 [&](const auto& c) { accounts_.Apply(work, to, c); },
             },
             command.body);
}

base::Result<shard::ItemOutcome> MessageShard::ApplyItem(shard::UnitOfWork& work,
                                                         const shard::ItemPlace& place,
                                                         const model::Item& item,
                                                         size_t max_records) {
  using Outcome = base::Result<shard::ItemOutcome>;
  return std::visit(
      Overloaded{
          [&](const model::DirectItem& i) -> Outcome { return inbox_.Apply(work, place, i); },
          [&](const model::GroupItem& i) -> Outcome {
            return inbox_.Apply(work, place, i, max_records);
          },
          [&](const model::MembersItem& i) -> Outcome {
            return inbox_.Apply(work, place, i, max_records);
          },
          [&](const model::SliceSnapshotItem& i) -> Outcome {
            return inbox_.Apply(work, place, i);
          },
          [&](const model::SliceRequestItem& i) -> Outcome {
            return conversations_.Apply(work, place, i);
          },
          [&](const model::CreateGroupItem& i) -> Outcome {
            return groups_.Apply(work, place, i, max_records);
          },
          [&](const model::AnnounceItem& i) -> Outcome {
            return packet_messages_.Apply(work, place, i);
          },
          [&](const model::PacketNoticeItem& i) -> Outcome {
            return packet_messages_.Apply(work, place, i);
          },
          [&](const model::PacketReturnedItem& i) -> Outcome {
            return inbox_.Apply(work, place, i);
          },
          // What is for another kind of shard came from broken data, not from our code.
          [&](const auto&) -> Outcome {
            return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                                 "an item that is not for a message shard");
          },
      },
      item);
}

void MessageShard::Publish(std::vector<model::Effect>& effects) {
  accounts_.Publish(effects);
  conversations_.Publish();
  groups_.Publish();
  inbox_.Publish(effects);
  Count();
}

void MessageShard::Count() {
  counters_.messages.fetch_add(conversations_.messages() - counted_messages_,
                               std::memory_order_relaxed);
  counters_.entries.fetch_add(inbox_.entries() - counted_entries_, std::memory_order_relaxed);
  counted_messages_ = conversations_.messages();
  counted_entries_ = inbox_.entries();
}

void MessageShard::Drop() {
  accounts_.Drop();
  conversations_.Drop();
  groups_.Drop();
  inbox_.Drop();
}

void MessageShard::Forget(std::vector<model::Effect>& effects) {
  accounts_.Forget(effects);
  conversations_.Forget();
  groups_.Drop();
  inbox_.Forget(effects);
}

void MessageShard::AbandonWaiting(shard::UnitOfWork& work, const base::Error& error) {
  groups_.AbandonWaiting(work, error);
}

}  // namespace hongyan
