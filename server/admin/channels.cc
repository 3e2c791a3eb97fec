#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "account/directory.h"
#include "account/refusals.h"
#include "admin/errand.h"
#include "admin/service.h"
#include "money/refusals.h"
#include "shard/item_codec.h"

namespace hongyan::admin {
namespace {

using model::PacketId;

constexpr size_t kMaxParked = 10'000;
constexpr auto kArrivalPatience = std::chrono::seconds(1);
constexpr auto kArrivalPause = std::chrono::milliseconds(5);
constexpr int64_t kArrivalRetryMs = 1000;

std::string Text(const model::ConversationId& id) {
  if (!id.valid()) return "";
  return id.is_group() ? "group " + std::to_string(id.b)
                       : std::to_string(id.a) + " and " + std::to_string(id.b);
}

// What an item is, and whose money it carries.
void Describe(const model::Item& item, v1::ParkedInfo* to) {
  to->set_what(model::NameOf(item));
  const auto money = [to](PacketId packet, model::UserId user) {
    to->set_packet_id(packet.value);
    to->set_user_id(user.value);
  };
  if (const auto* fund = std::get_if<model::FundItem>(&item)) {
    money(fund->packet, fund->terms.sender);
  } else if (const auto* credit = std::get_if<model::CreditItem>(&item)) {
    money(credit->packet, credit->user);
  } else if (const auto* refund = std::get_if<model::RefundItem>(&item)) {
    money(refund->packet, refund->sender);
  }
}

void Fill(const storage::ParkedItem& item, v1::ParkedInfo* to) {
  to->set_source(item.channel.source);
  to->set_target(item.channel.target);
  to->set_number(item.number);
  to->set_conversation(Text(item.conversation));
  to->set_parked_ms(item.parked_ms);
  to->set_why(item.why);
  to->set_fen(item.fen);
  if (const auto read = shard::DecodeItem(item.item)) Describe(*read, to);
}

}  // namespace

void Service::ShowStats(ErrandPtr errand) {
  OnPool(services().readers, std::move(errand), [this]() -> base::Result<v1::AdminReply> {
    v1::AdminReply reply;
    reply.mutable_stats();
    for (const Stat& stat : stats_()) {
      auto* const value = reply.mutable_stats()->add_values();
      value->set_name(stat.labels.empty() ? stat.name : stat.name + "{" + stat.labels + "}");
      value->set_value(stat.value);
      value->set_help(stat.help);
    }
    return reply;
  });
}

void Service::ListChannels(ErrandPtr errand) {
  OnPool(services().readers, std::move(errand), [this]() -> base::Result<v1::AdminReply> {
    auto items = Parked({}, kMaxParked);
    if (!items) return std::move(items).error();
    std::map<storage::ChannelId, int64_t> parked;
    for (const storage::ParkedItem& item : *items) ++parked[item.channel];
    v1::AdminReply reply;
    reply.mutable_list_channels();
    for (shard::Executor* executor : executors_) {
      for (const shard::ChannelReport& channel : executor->report().channels) {
        auto* const info = reply.mutable_list_channels()->add_channels();
        info->set_source(channel.source);
        info->set_target(channel.target);
        info->set_head(channel.head);
        info->set_applied(channel.applied);
        info->set_oldest_age_ms(channel.oldest_age_ms);
        info->set_backlog_items(channel.backlog_items);
        const auto waiting = parked.find({channel.source, channel.target});
        info->set_parked(waiting == parked.end() ? 0 : waiting->second);
        info->set_state(channel.stopped.empty() ? "live" : channel.stopped);
      }
    }
    return reply;
  });
}

void Service::ListParked(ErrandPtr errand, const v1::ListParked& request) {
  const size_t limit = request.limit() == 0 ? 100 : std::min<size_t>(request.limit(), kMaxParked);
  const AfterParked after{
      static_cast<model::ShardId>(request.after_target()),
      {static_cast<model::ShardId>(request.after_source()), request.after_number()}};
  OnPool(services().readers, std::move(errand),
         [this, after, limit]() -> base::Result<v1::AdminReply> {
           v1::AdminReply reply;
           v1::ListParkedReply& list = *reply.mutable_list_parked();
           auto items = Parked(after, limit + 1);
           if (!items) return std::move(items).error();
           list.set_more(items->size() > limit);
           items->resize(std::min(items->size(), limit));
           for (const storage::ParkedItem& item : *items) Fill(item, list.add_items());
           return reply;
         });
}

base::Result<std::vector<storage::ParkedItem>> Service::Parked(AfterParked after,
                                                               size_t limit) const {
  std::vector<storage::ParkedItem> all;
  const auto add = [&](storage::ShardStore& store, model::ShardId first) -> base::Result<void> {
    for (int n = 0; n < store.identity().shards && all.size() < limit; ++n) {
      const auto target = static_cast<model::ShardId>(first + n);
      if (target < after.target) continue;
      auto items = store.channels().ListParked(
          target, target == after.target ? after.place : storage::ChannelStore::ParkedPlace(),
          limit - all.size());
      if (!items) return std::move(items).error();
      std::move(items->begin(), items->end(), std::back_inserter(all));
    }
    return {};
  };
  if (auto added = add(store_, 0); !added) return std::move(added).error();
  if (auto added = add(money_store_, model::kFirstMoneyShard); !added) {
    return std::move(added).error();
  }
  return all;
}

bool Service::IsShard(uint32_t shard) const {
  const auto within = [shard](const storage::ShardStore& store, uint32_t first) {
    return shard >= first && shard - first < static_cast<uint32_t>(store.identity().shards);
  };
  return within(store_, 0) || within(money_store_, model::kFirstMoneyShard);
}

base::Result<model::ShardId> Service::CheckChannel(uint32_t source, uint32_t target) const {
  if (IsShard(source) && IsShard(target)) return static_cast<model::ShardId>(target);
  return base::Error(
      base::Code::kInvalidArgument,
      "message shards are numbered from 0 to " + std::to_string(store_.identity().shards - 1) +
          ", money shards from " + std::to_string(model::kFirstMoneyShard) + " to " +
          std::to_string(model::kFirstMoneyShard + money_store_.identity().shards - 1));
}

void Service::RetryParked(ErrandPtr errand, const v1::RetryParked& request) {
  const auto target = CheckChannel(request.source(), request.target());
  if (!target) return errand->Refuse(target.error());
  model::RetryParked retry;
  retry.source = static_cast<model::ShardId>(request.source());
  retry.target = *target;
  retry.number = request.number();
  retry.after = request.after();
  desk_.Submit(model::Priority::kMoney, *target, retry,
               [errand = std::move(errand)](model::Reply reply) {
                 if (!reply) return errand->Refuse(reply.error());
                 const auto& retried = std::get<model::ParkedRetried>(reply.value());
                 v1::AdminReply answer;
                 v1::RetryParkedReply& counts = *answer.mutable_retry_parked();
                 counts.set_retried(retried.retried);
                 counts.set_applied(retried.applied);
                 counts.set_last(retried.last);
                 counts.set_more(retried.more);
                 counts.set_why(retried.why);
                 errand->Answer(answer);
               });
}

// What is parked and says that it is of this packet and user must go first: it, and not the item
// nobody can read, may be what is missing.
base::Result<void> Service::OtherParked(PacketId packet, model::UserId user,
                                        const model::ReturnParked& but) const {
  for (AfterParked after{model::kFirstMoneyShard, {}};;) {
    auto items = Parked(after, kMaxParked);
    if (!items) return items.error();
    for (const storage::ParkedItem& item : *items) {
      after = {item.channel.target, {item.channel.source, item.number}};
      if (item.channel == storage::ChannelId{but.source, but.target} && item.number == but.number) {
        continue;
      }
      v1::ParkedInfo info;
      Fill(item, &info);
      if (info.packet_id() != packet.value || info.user_id() != user.value) continue;
      return base::Error(
          base::Code::kFailedPrecondition,
          "another parked item is of this packet and user, number " + std::to_string(item.number) +
              " from " + std::to_string(item.channel.source) + " to " +
              std::to_string(item.channel.target) + ": retry or return that one first");
    }
    if (items->size() < kMaxParked) return {};
  }
}

// What may be on its way to the user's wallet from where the packet is, or from where money was
// sent on: the statement says whether it came, once it is there.
base::Result<void> Service::AwaitArrivals(PacketId packet, model::UserId user,
                                          model::ShardId parked_in) const {
  const money::Reader& reader = services().money.reader;
  const model::ShardId wallet = services().money.routes.WalletOf(user);
  const auto end = std::chrono::steady_clock::now() + kArrivalPatience;
  for (const auto source : {services().money.routes.ShardOf(packet), std::optional(parked_in)}) {
    if (!source) continue;  // the id of no packet
    const storage::ChannelId channel{*source, wallet};
    const auto given = reader.Given(channel);
    if (!given) return given.error();
    for (;;) {
      const auto arrived = reader.Arrived(channel, *given);
      if (!arrived) return arrived.error();
      if (*arrived) break;
      if (ending_ || std::chrono::steady_clock::now() > end) return money::Busy(kArrivalRetryMs);
      std::this_thread::sleep_for(kArrivalPause);
    }
  }
  return {};
}

void Service::ReturnParked(ErrandPtr errand, const v1::ReturnParked& request) {
  const auto target = CheckChannel(request.source(), request.target());
  if (!target) return errand->Refuse(target.error());
  model::ReturnParked back{
      static_cast<model::ShardId>(request.source()), *target, request.number(), {}};
  if (request.packet_id() == 0 && request.user().empty()) {
    return SubmitDone(std::move(errand), *target, std::move(back));
  }
  std::optional<model::RequestId> send;
  if (!request.request_id().empty() && !send.emplace().Assign(request.request_id())) {
    return errand->Refuse({base::Code::kInvalidArgument, "request_id is 16 bytes"});
  }
  net::Loop* const loop = &desk_.loop();
  const auto find = [this, back, send, packet = PacketId(request.packet_id()),
                     name = request.user()]() -> base::Result<model::Item> {
    auto user = services().directory.Find(std::string_view(name));
    if (!user) return std::move(user).error();
    if (!user->has_value()) return account::NoSuchUser(name);
    auto row = Parked({back.target, {back.source, back.number - 1}}, 1);
    if (!row) return std::move(row).error();
    if (auto other = OtherParked(packet, (*user)->id, back); !other) return other.error();
    if (auto arrived = AwaitArrivals(packet, (*user)->id, back.target); !arrived) {
      return arrived.error();
    }
    const bool there = !row->empty() && row->front().number == back.number &&
                       row->front().channel == storage::ChannelId{back.source, back.target};
    return Missing(packet, (*user)->id, there ? row->front().fen : 0, send);
  };
  const bool taken = services().readers.Submit([this, loop, errand, back, find] {
    loop->Post([this, errand, back, item = find()]() mutable {
      if (!item) return errand->Refuse(item.error());
      back.as = std::make_shared<const model::Item>(*std::move(item));
      SubmitDone(errand, back.target, std::move(back));
    });
  });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::AcceptChannel(ErrandPtr errand, const v1::AcceptChannel& request) {
  const auto target = CheckChannel(request.source(), request.target());
  if (!target) return errand->Refuse(target.error());
  model::AcceptChannel accept;
  accept.source = static_cast<model::ShardId>(request.source());
  accept.target = *target;
  SubmitDone(std::move(errand), *target, accept);
}

}  // namespace hongyan::admin
