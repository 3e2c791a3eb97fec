#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/rocksdb/durable_file.h"

namespace hongyan::storage {

// The high-water mark on disk: per shard the last batch that was known durable when it was written.
// It lets an opening store notice that its log has lost its end. Two slots are
// written in turn, so that a write cut short leaves the other one; both exist from the start, so
// that no write needs space. One thread at a time.
class MarkFile {
 public:
  // Writes a new file, in place of any old one.
  static base::Result<MarkFile> Create(const std::string& path, uint64_t incarnation,
                                       const std::vector<int64_t>& batches);

  // None = there is no file, or neither slot is a mark of this incarnation.
  static base::Result<std::optional<MarkFile>> Open(const std::string& path, uint64_t incarnation);

  // As last read or written, by shard.
  const std::vector<int64_t>& batches() const { return batches_; }

  // Durable when it returns. A failed write may be repeated: it goes to the same slot.
  base::Result<void> Write(const std::vector<int64_t>& batches);

 private:
  MarkFile(std::string path, Descriptor file, uint64_t incarnation)
      : path_(std::move(path)), file_(std::move(file)), incarnation_(incarnation) {}
  bool ReadSlot(int slot, uint64_t* counter, std::vector<int64_t>* batches) const;
  std::string EncodeSlot(uint64_t counter, const std::vector<int64_t>& batches) const;

  std::string path_;
  Descriptor file_;
  uint64_t incarnation_;
  uint64_t counter_ = 0;  // of the newest good slot; slot = counter % 2
  std::vector<int64_t> batches_;
};

}  // namespace hongyan::storage
