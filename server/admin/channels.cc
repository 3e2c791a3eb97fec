#include <map>
#include <string>
#include <utility>

#include "admin/errand.h"
#include "admin/service.h"

namespace hongyan::admin {
namespace {

constexpr size_t kMaxParked = 10'000;

std::string Text(const model::ConversationId& id) {
  if (!id.valid()) return "";
  return id.is_group() ? "group " + std::to_string(id.b)
                       : std::to_string(id.a) + " and " + std::to_string(id.b);
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
    auto items = Parked(kMaxParked);
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
  OnPool(services().readers, std::move(errand), [this, limit]() -> base::Result<v1::AdminReply> {
    v1::AdminReply reply;
    v1::ListParkedReply& list = *reply.mutable_list_parked();
    auto items = Parked(limit);
    if (!items) return std::move(items).error();
    for (const storage::ParkedItem& item : *items) {
      auto* const info = list.add_items();
      info->set_source(item.channel.source);
      info->set_target(item.channel.target);
      info->set_number(item.number);
      info->set_conversation(Text(item.conversation));
      info->set_parked_ms(item.parked_ms);
      info->set_why(item.why);
    }
    return reply;
  });
}

base::Result<std::vector<storage::ParkedItem>> Service::Parked(size_t limit) const {
  std::vector<storage::ParkedItem> all;
  const auto add = [&all, limit](storage::ShardStore& store,
                                 model::ShardId first) -> base::Result<void> {
    for (int n = 0; n < store.identity().shards && all.size() < limit; ++n) {
      const auto target = static_cast<model::ShardId>(first + n);
      auto items = store.channels().ListParked(target, limit - all.size());
      if (!items) return std::move(items).error();
      all.insert(all.end(), items->begin(), items->end());
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
  desk_.Submit(model::Priority::kMoney, *target, retry,
               [errand = std::move(errand)](model::Reply reply) {
                 if (!reply) return errand->Refuse(reply.error());
                 const auto& retried = std::get<model::ParkedRetried>(reply.value());
                 v1::AdminReply answer;
                 answer.mutable_retry_parked()->set_retried(retried.retried);
                 answer.mutable_retry_parked()->set_applied(retried.applied);
                 errand->Answer(answer);
               });
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
