#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/money.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/day_file.h"

namespace hongyan::storage {

// The files of a store's archived days: where they lie, those that are open (a bounded number), and
// which days may be archived at all, so that packets of all the others cost no look. Any thread.
class DayFiles {
 public:
  // `database` outlives it; the directory is made with the first file.
  DayFiles(std::string directory, const Database& database);

  // Learns which days are archived. Before anything else.
  base::Result<void> Load();

  // The row that archives the day, as `view` has it; none = it is not archived.
  base::Result<std::optional<model::ArchivedDay>> Find(const View& view, model::ShardId shard,
                                                       int32_t day) const;
  // The days from `from` on that may be archived, in order.
  std::vector<int32_t> MaybeFrom(model::ShardId shard, int32_t from) const;
  // From now on the day may be archived.
  void Note(model::ShardId shard, int32_t day);

  base::Result<std::shared_ptr<const DayFile>> Open(const model::ArchivedDay& day) const;
  // Another file has taken this name.
  void Forget(const std::string& name) const;

  base::Result<std::string> NewPath(const std::string& name) const;  // makes the directory
  std::string PathOf(const std::string& name) const { return directory_ + "/" + name; }
  static std::string NameOf(model::ShardId shard, int32_t day);

 private:
  static constexpr size_t kMaxOpen = 16;

  const std::string directory_;
  const Database& database_;
  mutable std::shared_mutex mutex_;
  std::set<std::pair<model::ShardId, int32_t>> maybe_;
  mutable std::mutex open_mutex_;
  mutable std::map<std::string, std::shared_ptr<const DayFile>> open_;
};

}  // namespace hongyan::storage
