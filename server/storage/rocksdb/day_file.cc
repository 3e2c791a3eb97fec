#include "storage/rocksdb/day_file.h"

#include <rocksdb/table.h>
#include <sodium.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "model/reason.h"
#include "storage/rocksdb/durable_file.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/money_rows.h"

namespace hongyan::storage {

// Rows as they come, each with the sizes of its parts, so that no two sequences look alike.
class RowsHasher {
 public:
  RowsHasher() {
    CHECK(sodium_init() >= 0);
    crypto_generichash_init(&state_, nullptr, 0, RowsHash().size());
  }
  void Add(const rocksdb::Slice& key, const rocksdb::Slice& value) {
    for (const rocksdb::Slice& part : {key, value}) {
      std::string size;
      base::AppendBe32(size, static_cast<uint32_t>(part.size()));
      Update(size);
      Update(part);
    }
  }
  RowsHash Done() {
    RowsHash hash;
    crypto_generichash_final(&state_, hash.data(), hash.size());
    return hash;
  }

  static base::Result<RowsHash> Of(rocksdb::Iterator& rows) {
    RowsHasher hasher;
    for (rows.SeekToFirst(); rows.Valid(); rows.Next()) hasher.Add(rows.key(), rows.value());
    return hasher.Done();
  }

 private:
  void Update(const rocksdb::Slice& bytes) {
    crypto_generichash_update(&state_, reinterpret_cast<const uint8_t*>(bytes.data()),
                              bytes.size());
  }
  crypto_generichash_state state_;
};

namespace {

constexpr char kStatusTag = 's';
constexpr char kClaimTag = 't';
constexpr size_t kPacketBytes = 8;
constexpr size_t kStatusBytes = kPacketBytes + 1;
constexpr size_t kClaimBytes = kPacketBytes + 1 + 8;

Key HeaderRow(model::PacketId packet) { return Key().Add(packet); }
Key StatusRow(model::PacketId packet) { return HeaderRow(packet).Byte(kStatusTag); }
Key ClaimRow(model::PacketId packet, model::UserId user) {
  return HeaderRow(packet).Byte(kClaimTag).Add(user);
}

bool IsHeader(const rocksdb::Slice& key) { return key.size() == kPacketBytes; }

// It follows the row of this packet's header or status.
bool IsClaimOf(const rocksdb::Slice& key, model::PacketId packet) {
  return key.size() == kClaimBytes && key[kPacketBytes] == kClaimTag &&
         key.starts_with(HeaderRow(packet).slice());
}

rocksdb::Options FileOptions(const std::shared_ptr<rocksdb::Cache>& cache, rocksdb::Env* env) {
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_size = 8 << 10;
  blocks.format_version = 5;
  blocks.block_cache = cache;
  blocks.no_block_cache = cache == nullptr;
  blocks.cache_index_and_filter_blocks = cache != nullptr;
  rocksdb::Options options;
  if (env != nullptr) options.env = env;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  options.compression = rocksdb::kLZ4Compression;
  return options;
}

base::Error WriteError(const std::string& path, const rocksdb::Status& status) {
  return {status.IsNoSpace() ? base::Code::kResourceExhausted : base::Code::kUnavailable,
          "the file of the day, " + path + ", cannot be written (" + status.ToString() +
              "); nothing was changed: mend it and do the same again"};
}

}  // namespace

DayFileWriter::DayFileWriter(std::string path, rocksdb::Env* env)
    : path_(std::move(path)),
      unfinished_(path_ + ".unfinished"),
      env_(env),
      writer_(std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(),
                                                       FileOptions(nullptr, env))),
      hasher_(std::make_unique<RowsHasher>()) {}

DayFileWriter::~DayFileWriter() {
  if (writer_ == nullptr) return;
  writer_.reset();
  (void)RemoveDurably(unfinished_);
}

base::Result<std::unique_ptr<DayFileWriter>> DayFileWriter::Create(const std::string& path,
                                                                   rocksdb::Env* env) {
  std::unique_ptr<DayFileWriter> writer(new DayFileWriter(path, env));
  if (auto removed = RemoveDurably(writer->unfinished_); !removed) return removed.error();
  if (const auto status = writer->writer_->Open(writer->unfinished_); !status.ok()) {
    return WriteError(path, status);
  }
  return writer;
}

base::Result<void> DayFileWriter::Put(const rocksdb::Slice& key, const std::string& value) {
  if (const auto status = writer_->Put(key, value); !status.ok()) return WriteError(path_, status);
  hasher_->Add(key, value);
  return {};
}

base::Result<void> DayFileWriter::Add(const model::Packet& packet,
                                      const std::vector<model::Claim>& claims) {
  const model::PacketId id = packet.header.id;
  if (auto put = Put(HeaderRow(id).slice(), EncodePacket(packet.header)); !put) return put;
  if (auto put = Put(StatusRow(id).slice(), EncodeStatus(packet.status)); !put) return put;
  std::vector<const model::Claim*> by_user;
  for (const model::Claim& claim : claims) by_user.push_back(&claim);
  std::sort(by_user.begin(), by_user.end(), [](const auto* a, const auto* b) {
    return static_cast<uint64_t>(a->user.value) < static_cast<uint64_t>(b->user.value);
  });
  for (const model::Claim* claim : by_user) {
    if (auto put = Put(ClaimRow(id, claim->user).slice(), EncodeClaim(*claim)); !put) return put;
  }
  return {};
}

base::Result<RowsHash> DayFileWriter::Finish() {
  if (const auto status = writer_->Finish(); !status.ok()) return WriteError(path_, status);
  const RowsHash written = hasher_->Done();
  {
    auto file = DayFile::Open(unfinished_, nullptr, env_);
    if (!file) return file.error();
    auto read = (*file)->Hash();
    if (!read) return read.error();
    if (*read != written) {
      return WriteError(path_, rocksdb::Status::Corruption("it reads back as something else"));
    }
  }
  rocksdb::Env* const env = env_ == nullptr ? rocksdb::Env::Default() : env_;
  if (const auto status = env->RenameFile(unfinished_, path_); !status.ok()) {
    return WriteError(path_, status);
  }
  writer_.reset();
  if (auto synced = SyncDirectory(path_.substr(0, path_.rfind('/'))); !synced) {
    return synced.error();
  }
  return written;
}

base::Result<std::shared_ptr<const DayFile>> DayFile::Open(
    const std::string& path, const std::shared_ptr<rocksdb::Cache>& cache, rocksdb::Env* env) {
  auto reader = std::make_unique<rocksdb::SstFileReader>(FileOptions(cache, env));
  const rocksdb::Status status = reader->Open(path);
  std::shared_ptr<const DayFile> file(new DayFile(path, std::move(reader)));
  if (!status.ok()) return file->Damaged(status.ToString());
  return file;
}

base::Error DayFile::Damaged(const std::string& why) const {
  return model::Refuse(base::Code::kDataLoss, model::Reason::kBroken,
                       "the file of an archived day, " + path_ +
                           ", is missing or damaged: put it back from a backup (" + why + ")");
}

std::unique_ptr<rocksdb::Iterator> DayFile::Rows() const {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  return std::unique_ptr<rocksdb::Iterator>(reader_->NewIterator(options));
}

// At a header; ends at the status.
base::Result<model::Packet> DayFile::ReadPacket(rocksdb::Iterator& rows) const {
  model::Packet packet;
  packet.header.id = model::PacketId(LastId(rows.key()));
  if (!DecodePacket(rows.value(), &packet.header)) return Damaged("a packet of it");
  rows.Next();
  if (!rows.Valid() || rows.key() != StatusRow(packet.header.id).slice() ||
      !DecodeStatus(rows.value(), &packet.status)) {
    return Damaged("the state of packet " + std::to_string(packet.header.id.value));
  }
  return packet;
}

base::Result<std::optional<model::Packet>> DayFile::FindPacket(model::PacketId packet) const {
  const auto rows = Rows();
  const Key key = HeaderRow(packet);
  rows->Seek(key.slice());
  if (!rows->status().ok()) return Damaged(rows->status().ToString());
  if (!rows->Valid() || rows->key() != key.slice()) return std::optional<model::Packet>();
  auto read = ReadPacket(*rows);
  if (!read) return std::move(read).error();
  return std::optional(*std::move(read));
}

base::Result<std::optional<model::Claim>> DayFile::FindClaim(model::PacketId packet,
                                                             model::UserId user) const {
  const auto rows = Rows();
  const Key key = ClaimRow(packet, user);
  rows->Seek(key.slice());
  if (!rows->status().ok()) return Damaged(rows->status().ToString());
  if (!rows->Valid() || rows->key() != key.slice()) return std::optional<model::Claim>();
  model::Claim claim;
  claim.user = user;
  if (!DecodeClaim(rows->value(), &claim)) return Damaged("a claim of it");
  return std::optional(claim);
}

base::Result<std::vector<model::Claim>> DayFile::ListClaims(model::PacketId packet) const {
  const auto rows = Rows();
  std::vector<model::Claim> claims;
  for (rows->Seek(ClaimRow(packet, model::UserId(0)).slice());
       rows->Valid() && IsClaimOf(rows->key(), packet); rows->Next()) {
    model::Claim& claim = claims.emplace_back();
    claim.user = model::UserId(LastId(rows->key()));
    if (!DecodeClaim(rows->value(), &claim)) return Damaged("a claim of it");
  }
  if (!rows->status().ok()) return Damaged(rows->status().ToString());
  std::sort(claims.begin(), claims.end(),
            [](const model::Claim& a, const model::Claim& b) { return a.ordinal < b.ordinal; });
  return claims;
}

base::Result<std::vector<model::Packet>> DayFile::ListPackets(model::PacketId after,
                                                              size_t limit) const {
  const auto rows = Rows();
  std::vector<model::Packet> packets;
  for (rows->Seek(HeaderRow(model::PacketId(after.value + 1)).slice());
       rows->Valid() && packets.size() < limit; rows->Next()) {
    if (!IsHeader(rows->key())) continue;  // a claim
    auto packet = ReadPacket(*rows);
    if (!packet) return std::move(packet).error();
    packets.push_back(*std::move(packet));
  }
  if (!rows->status().ok()) return Damaged(rows->status().ToString());
  return packets;
}

base::Result<RowsHash> DayFile::Hash() const {
  const auto rows = Rows();
  auto hash = RowsHasher::Of(*rows);
  if (!rows->status().ok()) return Damaged(rows->status().ToString());
  return hash;
}

}  // namespace hongyan::storage
