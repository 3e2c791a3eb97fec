#include <algorithm>
#include <utility>

#include "model/reason.h"
#include "storage/rocksdb/money_rows.h"
#include "storage/rocksdb/rocksdb_batch.h"
#include "storage/rocksdb/rocksdb_money_ports.h"

namespace hongyan::storage {

namespace {

constexpr Table kTablesOfDays[] = {Table::kPackets, Table::kStatuses, Table::kClaims};

// The day's rows in each of those: first <= key < second. The first one is cut: RocksDB inserts a
// range's deletion at the place it remembers for the prefix of its first key (RememberPlaces),
// which is a place among rows, not among ranges, so the key must be shorter than any such prefix.
// What the cut lets in are ids of the day before, and those lie in another slot.
std::pair<Key, Key> RowsOfDay(model::ShardId shard, int32_t day) {
  const int slot = day % kDaySlots;
  const Key first = PacketKey(shard, slot, model::PacketId(BeforeDay(day).value + 1));
  const rocksdb::Slice cut(first.slice().data(), first.slice().size() - 1);
  return {Key().Text(cut.ToStringView()),
          PacketKey(shard, slot, model::PacketId(BeforeDay(day + 1).value + 1))};
}

class NewDayFile final : public DayStore::File {
 public:
  NewDayFile(std::unique_ptr<DayFileWriter> writer, const DayFiles& files, std::string name)
      : writer_(std::move(writer)), files_(files), name_(std::move(name)) {}

  base::Result<void> Add(const model::Packet& packet,
                         const std::vector<model::Claim>& claims) override {
    return writer_->Add(packet, claims);
  }

  base::Result<void> Finish(model::ArchivedDay* day) override {
    auto hash = writer_->Finish();
    if (!hash) return hash.error();
    files_.Forget(name_);
    day->file = name_;
    day->hash = *hash;
    return {};
  }

 private:
  const std::unique_ptr<DayFileWriter> writer_;
  const DayFiles& files_;
  const std::string name_;
};

}  // namespace

base::Result<std::vector<model::ArchivedDay>> RocksdbDayStore::ListDays(
    model::ShardId shard) const {
  std::vector<model::ArchivedDay> days;
  for (const int32_t day : files_.MaybeFrom(shard, 0)) {
    auto found = FindDay(shard, day);
    if (!found) return std::move(found).error();
    if (found->has_value()) days.push_back(**std::move(found));
  }
  return days;
}

base::Result<std::optional<model::ArchivedDay>> RocksdbDayStore::FindDay(model::ShardId shard,
                                                                         int32_t day) const {
  return files_.Find(database_, shard, day);
}

base::Result<std::unique_ptr<DayStore::File>> RocksdbDayStore::NewFile(model::ShardId shard,
                                                                       int32_t day) {
  std::string name = DayFiles::NameOf(shard, day);
  auto path = files_.NewPath(name);
  if (!path) return std::move(path).error();
  auto writer = DayFileWriter::Create(*path, database_.env());
  if (!writer) return std::move(writer).error();
  return std::unique_ptr<File>(
      std::make_unique<NewDayFile>(*std::move(writer), files_, std::move(name)));
}

base::Result<void> RocksdbDayStore::Verify(model::ShardId, const model::ArchivedDay& day) const {
  // Not one that is open already: what lies on the disk now.
  auto file = DayFile::Open(files_.PathOf(day.file), nullptr, database_.env());
  if (!file) return file.error();
  auto hash = (*file)->Hash();
  if (!hash) return hash.error();
  if (*hash == day.hash) {
    files_.Forget(day.file);  // it may have been put back: what is open is the one before
    return {};
  }
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       files_.PathOf(day.file) +
                           " is not the file that was written when its day was archived: put that "
                           "one back from a backup");
}

void RocksdbDayStore::Archive(Batch& batch, model::ShardId shard, const model::ArchivedDay& day) {
  auto& staged = static_cast<RocksdbBatch&>(batch);
  const auto [first, end] = RowsOfDay(shard, day.day);
  for (const Table table : kTablesOfDays) staged.DeleteRange(table, first, end);
  staged.Put(Table::kRest, DayKey(shard, day.day), EncodeDay(day));
  files_.Note(shard, day.day);
}

base::Result<DayStore::Restored> RocksdbDayStore::Restore(Batch& batch, model::ShardId shard,
                                                          int32_t day, model::PacketId after,
                                                          size_t max_records) {
  constexpr size_t kPage = 100;
  const auto archived = FindDay(shard, day);
  if (!archived) return archived.error();
  if (!archived->has_value()) {
    return base::Error(base::Code::kNotFound, "this day is not archived");
  }
  auto file = files_.Open(**archived);
  if (!file) return std::move(file).error();
  struct Rows {
    model::Packet packet;
    std::vector<model::Claim> claims;
  };
  std::vector<Rows> rows;
  Restored restored{after, false};
  for (size_t records = 0; !restored.done && records < std::max<size_t>(1, max_records);) {
    auto packets = (*file)->ListPackets(restored.last, kPage);
    if (!packets) return std::move(packets).error();
    restored.done = packets->empty();
    for (model::Packet& packet : *packets) {
      if (records > 0 && records >= max_records) break;
      auto claims = (*file)->ListClaims(packet.header.id);
      if (!claims) return std::move(claims).error();
      restored.last = packet.header.id;
      records += 2 + claims->size();
      rows.push_back({std::move(packet), *std::move(claims)});
    }
  }
  auto& staged = static_cast<RocksdbBatch&>(batch);
  for (const Rows& row : rows) {
    const model::PacketId id = row.packet.header.id;
    staged.Put(Table::kPackets, PacketKey(shard, id), EncodePacket(row.packet.header));
    staged.Put(Table::kStatuses, PacketKey(shard, id), EncodeStatus(row.packet.status));
    for (const model::Claim& claim : row.claims) {
      staged.Put(Table::kClaims, ClaimKey(shard, id, claim.user), EncodeClaim(claim));
    }
  }
  if (restored.done) staged.Delete(Table::kRest, DayKey(shard, day));
  return restored;
}

base::Result<void> RocksdbDayStore::Reclaim(model::ShardId shard, int32_t day) {
  const auto [first, end] = RowsOfDay(shard, day);
  for (const Table table : kTablesOfDays) {
    if (auto compacted = database_.Compact(table, first, end); !compacted) return compacted;
  }
  return {};
}

}  // namespace hongyan::storage
