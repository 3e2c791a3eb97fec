#include <algorithm>

#include "model/reason.h"
#include "storage/rocksdb/hot_rows.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_ports.h"
#include "storage/rocksdb/rows.h"

namespace hongyan::storage {

namespace {

using Entries = std::vector<InboxStore::NumberedEntry>;

base::Error MissingEntries(model::UserId user, model::Seq before, model::Seq next) {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "inbox entries of user " + std::to_string(user.value) +
                           " are missing between seq " + std::to_string(before.value) + " and " +
                           std::to_string(next.value));
}

}  // namespace

base::Result<model::Seq> RocksdbInboxStore::LastSeq(model::UserId user, Reach reach) const {
  auto scan = Scan::From(database_, Table::kEntries, EntryKey(user, model::Seq(0)),
                         EntryKey(user, model::Seq(INT64_MAX)), reach);
  if (!scan) return scan.error();
  scan->ToLast();
  if (scan->at_row()) return model::Seq(LastId(scan->key()));
  if (auto ended = scan->status(); !ended) return ended.error();
  return model::Seq();
}

base::Result<model::Seq> RocksdbInboxStore::Floor(model::UserId user, Reach reach) const {
  rocksdb::PinnableSlice value;
  const Key key = FloorKey(user);
  const auto found = database_.Get(Table::kRest, key, reach, &value);
  if (!found) return found.error();
  if (!*found) return model::Seq();
  if (value.size() != 8) return BrokenRow("floor", key.slice());
  return model::Seq(LastId(value));
}

// Who is online pulls the newest row within milliseconds of its commit: then it is the one that
// ends at the head, and begins right after the cursor or before.
std::optional<Entries> RocksdbInboxStore::ReadRecent(model::UserId user, model::Seq after,
                                                     model::Seq upto, size_t limit) const {
  std::string value;
  Entries row;
  if (!database_.GetRecent(Table::kEntries, EntryKey(user, upto), &value)) return std::nullopt;
  if (!DecodeEntryRow(value, upto, &row) || row.front().seq.value > after.value + 1) {
    return std::nullopt;
  }
  const auto seen = static_cast<ptrdiff_t>(after.value - (row.front().seq.value - 1));
  row.erase(row.begin(), row.begin() + seen);
  if (row.size() > limit) row.resize(limit);
  return row;
}

base::Result<Entries> RocksdbInboxStore::ReadEntries(model::UserId user, model::Seq after,
                                                     model::Seq upto, size_t limit,
                                                     Reach reach) const {
  if (after >= upto || limit == 0) return Entries();
  if (auto recent = ReadRecent(user, after, upto, limit)) return *std::move(recent);
  auto scan = Scan::From(database_, Table::kEntries, EntryKey(user, model::Seq(after.value + 1)),
                         EntryKey(user, model::Seq(INT64_MAX)), reach);
  if (!scan) return scan.error();
  Entries entries;
  Entries row;
  model::Seq before = after;
  for (scan->ToFirst(); scan->at_row() && before < upto; scan->Next()) {
    row.clear();
    if (!DecodeEntryRow(scan->value(), model::Seq(LastId(scan->key())), &row)) {
      return BrokenRow("entries", scan->key());
    }
    for (const NumberedEntry& entry : row) {
      if (entry.seq <= before) continue;  // the row began before `after`
      if (entry.seq > upto || entries.size() == limit) return entries;
      if (!FollowsInInbox(before, entry.seq)) {
        const auto floor = Floor(user, reach);
        if (!floor) return floor.error();
        if (entry.seq > *floor && !FollowsInInbox(*floor, entry.seq)) {
          return MissingEntries(user, before, entry.seq);
        }
      }
      entries.push_back(entry);
      before = entry.seq;
    }
  }
  if (scan->at_row()) return entries;
  if (auto ended = scan->status(); !ended) return ended.error();
  return entries;
}

void RocksdbInboxStore::Append(Batch& batch, std::span<const Recipient> recipients,
                               const model::Entry& entry) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  for (const Recipient& recipient : recipients) {
    staged.AddEntry(recipient.user, recipient.seq, entry);
  }
}

base::Result<std::optional<model::FollowerSlice>> RocksdbInboxStore::FindSlice(
    model::ShardId shard, model::GroupId group) const {
  rocksdb::PinnableSlice value;
  const Key key = SliceKey(shard, group);
  const auto found = database_.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::FollowerSlice>();
  model::FollowerSlice slice;
  if (!DecodeSlice(value, &slice)) return BrokenRow("slice", key.slice());
  return std::optional(slice);
}

void RocksdbInboxStore::PutSlice(Batch& batch, model::ShardId shard, model::GroupId group,
                                 const model::FollowerSlice& slice) {
  static_cast<RocksdbBatch&>(batch).Put(Table::kRest, SliceKey(shard, group), EncodeSlice(slice));
}

base::Result<std::vector<model::Follower>> RocksdbInboxStore::ListFollowers(
    model::ShardId shard, model::GroupId group) const {
  auto scan = Scan::From(database_, Table::kRest, FollowerKey(shard, group, model::UserId(0)),
                         FollowerKey(shard, group, model::UserId(INT64_MAX)).Byte('\0'));
  if (!scan) return scan.error();
  std::vector<model::Follower> followers;
  for (scan->ToFirst(); scan->at_row(); scan->Next()) {
    model::Follower& follower = followers.emplace_back();
    follower.user = model::UserId(LastId(scan->key()));
    if (!DecodeFollower(scan->value(), &follower)) return BrokenRow("follower", scan->key());
  }
  if (auto ended = scan->status(); !ended) return ended.error();
  return followers;
}

void RocksdbInboxStore::PutFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                                    const model::Follower& follower) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  staged.Put(Table::kRest, FollowerKey(shard, group, follower.user), EncodeFollower(follower));
  staged.Put(Table::kRest, FollowedKey(follower.user, group), Key().Be16(shard).slice());
}

void RocksdbInboxStore::EraseFollower(Batch& batch, model::ShardId shard, model::GroupId group,
                                      model::UserId user) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  staged.Delete(Table::kRest, FollowerKey(shard, group, user));
  staged.Delete(Table::kRest, FollowedKey(user, group));
}

base::Result<std::vector<model::GroupId>> RocksdbInboxStore::ListGroups(model::UserId user,
                                                                        model::GroupId after,
                                                                        size_t limit) const {
  if (after.value == INT64_MAX) return std::vector<model::GroupId>();
  auto scan =
      Scan::From(database_, Table::kRest, FollowedKey(user, model::GroupId(after.value + 1)),
                 FollowedKey(user, model::GroupId(INT64_MAX)).Byte('\0'));
  if (!scan) return scan.error();
  std::vector<model::GroupId> groups;
  for (scan->ToFirst(); scan->at_row() && groups.size() < limit; scan->Next()) {
    groups.push_back(model::GroupId(LastId(scan->key())));
  }
  if (scan->at_row()) return groups;
  if (auto ended = scan->status(); !ended) return ended.error();
  return groups;
}

}  // namespace hongyan::storage
