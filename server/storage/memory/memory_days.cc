#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "storage/memory/memory_money_store.h"

namespace hongyan::storage {

namespace {

using DayFile = MemoryMoneyState::DayFile;
using DayKey = MemoryMoneyState::DayKey;

MemoryMoneyBatch& Staged(Batch& batch) { return static_cast<MemoryMoneyBatch&>(batch); }

// Which rows are in the file, as far as a proof needs it: FNV-1a over what money depends on.
std::array<uint8_t, 32> HashOf(const DayFile& file) {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&hash](int64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      hash ^= static_cast<uint8_t>(static_cast<uint64_t>(value) >> shift);
      hash *= 1099511628211u;
    }
  };
  for (const auto& [id, packet] : file.packets) {
    add(id.value);
    add(packet.header.terms.total_fen);
    add(packet.status.left);
    add(packet.status.refund_fen);
    const auto claims = file.claims.find(id);
    if (claims == file.claims.end()) continue;
    for (const model::Claim& claim : claims->second) {
      add(claim.user.value);
      add(claim.amount_fen);
      add(claim.time_ms);
    }
  }
  std::array<uint8_t, 32> bytes{};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(hash >> (8 * i));
  return bytes;
}

class MemoryDayFile final : public DayStore::File {
 public:
  MemoryDayFile(MoneyDoor& door, DayKey key) : door_(door), key_(key) {}

  base::Result<void> Add(const model::Packet& packet,
                         const std::vector<model::Claim>& claims) override {
    file_->packets[packet.header.id] = packet;
    file_->claims[packet.header.id] = claims;
    return {};
  }

  base::Result<void> Finish(model::ArchivedDay* day) override {
    day->file = std::to_string(key_.first) + "-" + std::to_string(key_.second);
    day->hash = HashOf(*file_);
    return door_.Alter([&](MemoryMoneyState& state) -> base::Result<void> {
      state.files[key_] = std::move(file_);
      return {};
    });
  }

 private:
  MoneyDoor& door_;
  const DayKey key_;
  std::shared_ptr<DayFile> file_ = std::make_shared<DayFile>();
};

base::Error Damaged() {
  return {base::Code::kDataLoss, "the file of this day is not there, or not as it was written"};
}

// The rows of the shard's day go.
void Erase(MemoryMoneyState& state, model::ShardId shard, int32_t day) {
  const auto erase = [](auto& rows, const auto& first, const auto& end) {
    rows.erase(rows.lower_bound(first), rows.lower_bound(end));
  };
  const MemoryMoneyState::PacketKey first(shard, model::PacketId(BeforeDay(day).value + 1));
  const MemoryMoneyState::PacketKey end(shard, model::PacketId(BeforeDay(day + 1).value + 1));
  erase(state.headers, first, end);
  erase(state.statuses, first, end);
  erase(state.claims, std::pair(first, model::UserId()), std::pair(end, model::UserId()));
  erase(state.ordinals, std::pair(first, 0), std::pair(end, 0));
}

void PutBack(MemoryMoneyState& state, model::ShardId shard, const DayFile& file,
             model::PacketId id) {
  const MemoryMoneyState::PacketKey key(shard, id);
  const model::Packet& packet = file.packets.at(id);
  state.headers[key] = packet.header;
  state.statuses[key] = packet.status;
  for (const model::Claim& claim : file.claims.at(id)) {
    state.claims[{key, claim.user}] = claim;
    state.ordinals[{key, claim.ordinal}] = claim.user;
  }
}

}  // namespace

base::Result<std::vector<model::ArchivedDay>> MemoryDayStore::ListDays(model::ShardId shard) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::vector<model::ArchivedDay>> {
        std::vector<model::ArchivedDay> days;
        for (const auto& [key, day] : state.days) {
          if (key.first == shard) days.push_back(day);
        }
        return days;
      });
}

base::Result<std::optional<model::ArchivedDay>> MemoryDayStore::FindDay(model::ShardId shard,
                                                                        int32_t day) const {
  return door_.Look(
      [&](const MemoryMoneyState& state) -> base::Result<std::optional<model::ArchivedDay>> {
        const auto found = state.days.find({shard, day});
        if (found == state.days.end()) return std::optional<model::ArchivedDay>();
        return std::optional(found->second);
      });
}

base::Result<std::unique_ptr<DayStore::File>> MemoryDayStore::NewFile(model::ShardId shard,
                                                                      int32_t day) {
  return std::unique_ptr<File>(std::make_unique<MemoryDayFile>(door_, DayKey(shard, day)));
}

base::Result<void> MemoryDayStore::Verify(model::ShardId shard,
                                          const model::ArchivedDay& day) const {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<void> {
    const auto file = state.files.find({shard, day.day});
    if (file == state.files.end() || HashOf(*file->second) != day.hash) return Damaged();
    return {};
  });
}

void MemoryDayStore::Archive(Batch& batch, model::ShardId shard, const model::ArchivedDay& day) {
  constexpr size_t kRecords = 4;  // three ranges and the row
  Staged(batch).Write(kRecords, 200, [shard, day](MemoryMoneyState& state) {
    Erase(state, shard, day.day);
    state.days[{shard, day.day}] = day;
  });
}

base::Result<DayStore::Restored> MemoryDayStore::Restore(Batch& batch, model::ShardId shard,
                                                         int32_t day, model::PacketId after,
                                                         size_t max_records) {
  return door_.Look([&](const MemoryMoneyState& state) -> base::Result<Restored> {
    const DayKey key(shard, day);
    if (!state.days.contains(key)) return base::Error(base::Code::kNotFound, "it is not archived");
    const std::shared_ptr<const DayFile> file = state.files.at(key);
    Restored restored{after, false};
    size_t records = 0;
    auto next = file->packets.upper_bound(after);
    for (; next != file->packets.end() && records < std::max<size_t>(1, max_records); ++next) {
      restored.last = next->first;
      const size_t rows = 2 + file->claims.at(next->first).size();
      records += rows;
      Staged(batch).Write(rows, 100 * rows, [shard, file, id = next->first](MemoryMoneyState& to) {
        PutBack(to, shard, *file, id);
      });
    }
    restored.done = next == file->packets.end();
    if (restored.done) {
      Staged(batch).Write(1, 20, [key](MemoryMoneyState& to) { to.days.erase(key); });
    }
    return restored;
  });
}

base::Result<void> MemoryDayStore::Reclaim(model::ShardId, int32_t) { return {}; }

}  // namespace hongyan::storage
