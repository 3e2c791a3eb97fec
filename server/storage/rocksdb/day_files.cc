#include "storage/rocksdb/day_files.h"

#include <limits>

#include "storage/rocksdb/durable_file.h"
#include "storage/rocksdb/money_rows.h"

namespace hongyan::storage {

DayFiles::DayFiles(std::string directory, const Database& database)
    : directory_(std::move(directory)), database_(database) {}

base::Result<void> DayFiles::Load() {
  constexpr size_t kShardAt = 1;
  auto scan = Scan::From(database_, Table::kRest, Key('a'), Key('a' + 1));
  if (!scan) return scan.error();
  const std::unique_lock lock(mutex_);
  for (scan->ToFirst(); scan->at_row(); scan->Next()) {
    const rocksdb::Slice key = scan->key();
    if (key.size() != kShardAt + 2 + 8) return BrokenRow("archived day", key);
    maybe_.emplace(base::ReadBe16(key.data() + kShardAt), static_cast<int32_t>(LastId(key)));
  }
  return scan->status();
}

base::Result<std::optional<model::ArchivedDay>> DayFiles::Find(const View& view,
                                                               model::ShardId shard,
                                                               int32_t day) const {
  {
    const std::shared_lock lock(mutex_);
    if (!maybe_.contains({shard, day})) return std::optional<model::ArchivedDay>();
  }
  rocksdb::PinnableSlice value;
  const Key key = DayKey(shard, day);
  const auto found = view.Get(Table::kRest, key, Reach::kDisk, &value);
  if (!found) return found.error();
  if (!*found) return std::optional<model::ArchivedDay>();
  model::ArchivedDay archived;
  archived.day = day;
  if (!DecodeDay(value, &archived)) return BrokenRow("archived day", key.slice());
  return std::optional(std::move(archived));
}

std::vector<int32_t> DayFiles::MaybeFrom(model::ShardId shard, int32_t from) const {
  std::vector<int32_t> days;
  const std::shared_lock lock(mutex_);
  for (auto it = maybe_.lower_bound({shard, from}); it != maybe_.end() && it->first == shard;
       ++it) {
    days.push_back(it->second);
  }
  return days;
}

void DayFiles::Note(model::ShardId shard, int32_t day) {
  const std::unique_lock lock(mutex_);
  maybe_.emplace(shard, day);
}

base::Result<std::shared_ptr<const DayFile>> DayFiles::Open(const model::ArchivedDay& day) const {
  {
    const std::lock_guard lock(open_mutex_);
    if (const auto held = open_.find(day.file); held != open_.end()) return held->second;
  }
  auto opened = DayFile::Open(PathOf(day.file), database_.cache(), database_.env());
  if (!opened) return opened;
  const std::lock_guard lock(open_mutex_);
  // Which one goes hardly matters: old days are looked at rarely, and by those who list all.
  if (open_.size() >= kMaxOpen) open_.erase(open_.begin());
  open_[day.file] = *opened;
  return opened;
}

void DayFiles::Forget(const std::string& name) const {
  const std::lock_guard lock(open_mutex_);
  open_.erase(name);
}

base::Result<std::string> DayFiles::NewPath(const std::string& name) const {
  if (auto made = MakeDirectories(directory_); !made) return made.error();
  return PathOf(name);
}

std::string DayFiles::NameOf(model::ShardId shard, int32_t day) {
  return std::to_string(shard) + "-" + std::to_string(day) + ".sst";
}

}  // namespace hongyan::storage
