#include "storage/rocksdb/mark_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"

namespace hongyan::storage {

namespace {

constexpr std::string_view kMagic = "HYMARK01";
constexpr size_t kSlotBytes = 4096;
constexpr size_t kHeadBytes = 8 + 8 + 8 + 4;
constexpr size_t kCrcAt = kSlotBytes - 4;
constexpr size_t kMaxShards = (kCrcAt - kHeadBytes) / 8;

uint32_t CrcOf(const char* slot) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(slot), static_cast<uInt>(kCrcAt)));
}

}  // namespace

std::string MarkFile::EncodeSlot(uint64_t counter, const std::vector<int64_t>& batches) const {
  CHECK(batches.size() <= kMaxShards);
  std::string slot(kMagic);
  slot.reserve(kSlotBytes);
  base::AppendBe64(slot, counter);
  base::AppendBe64(slot, incarnation_);
  base::AppendBe32(slot, static_cast<uint32_t>(batches.size()));
  for (const int64_t batch : batches) base::AppendBe64(slot, static_cast<uint64_t>(batch));
  slot.resize(kCrcAt, '\0');
  base::AppendBe32(slot, CrcOf(slot.data()));
  return slot;
}

bool MarkFile::ReadSlot(int slot, uint64_t* counter, std::vector<int64_t>* batches) const {
  char bytes[kSlotBytes];
  const ssize_t n =
      ::pread(file_.get(), bytes, sizeof bytes, slot * static_cast<off_t>(kSlotBytes));
  if (n != static_cast<ssize_t>(sizeof bytes)) return false;
  if (std::string_view(bytes, kMagic.size()) != kMagic) return false;
  if (base::ReadBe32(bytes + kCrcAt) != CrcOf(bytes)) return false;
  const char* at = bytes + kMagic.size();
  *counter = base::ReadBe64(at);
  if (base::ReadBe64(at + 8) != incarnation_) return false;
  const uint32_t shards = base::ReadBe32(at + 16);
  if (shards > kMaxShards) return false;
  batches->clear();
  for (uint32_t i = 0; i < shards; ++i) {
    batches->push_back(static_cast<int64_t>(base::ReadBe64(bytes + kHeadBytes + 8 * i)));
  }
  return true;
}

base::Result<MarkFile> MarkFile::Create(const std::string& path, uint64_t incarnation,
                                        const std::vector<int64_t>& batches) {
  MarkFile mark(path, Descriptor(), incarnation);
  const std::string slots = mark.EncodeSlot(0, batches) + mark.EncodeSlot(1, batches);
  if (auto written = WriteFileDurably(path, slots); !written) return written.error();
  mark.file_ = Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!mark.file_.valid()) return SystemError("open", path, errno);
  mark.counter_ = 1;
  mark.batches_ = batches;
  return mark;
}

base::Result<std::optional<MarkFile>> MarkFile::Open(const std::string& path,
                                                     uint64_t incarnation) {
  MarkFile mark(path, Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC)), incarnation);
  if (!mark.file_.valid() && errno == ENOENT) return std::optional<MarkFile>();
  if (!mark.file_.valid()) return SystemError("open", path, errno);
  bool found = false;
  for (int slot = 0; slot < 2; ++slot) {
    uint64_t counter = 0;
    std::vector<int64_t> batches;
    if (!mark.ReadSlot(slot, &counter, &batches) || (found && counter < mark.counter_)) continue;
    mark.counter_ = counter;
    mark.batches_ = std::move(batches);
    found = true;
  }
  if (!found) return std::optional<MarkFile>();
  return std::optional(std::move(mark));
}

base::Result<void> MarkFile::Write(const std::vector<int64_t>& batches) {
  const uint64_t counter = counter_ + 1;
  const std::string slot = EncodeSlot(counter, batches);
  const auto offset = static_cast<off_t>(counter % 2 * kSlotBytes);
  if (::pwrite(file_.get(), slot.data(), slot.size(), offset) !=
      static_cast<ssize_t>(slot.size())) {
    return SystemError("write", path_, errno);
  }
  if (::fdatasync(file_.get()) != 0) return SystemError("sync", path_, errno);
  counter_ = counter;
  batches_ = batches;
  return {};
}

}  // namespace hongyan::storage
