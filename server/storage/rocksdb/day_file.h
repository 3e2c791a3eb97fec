#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/money.h"

namespace hongyan::storage {

// One archived day: packets and claims sorted by id in a table file of RocksDB, which brings
// checksums, compression and an index. Drawn in schema/rocksdb/README.md.

// Which rows a file holds: BLAKE2b-256 over them, in their order.
using RowsHash = std::array<uint8_t, 32>;
class RowsHasher;

// Writes one. The file has its name only once it is whole, durable and was read back. One thread.
class DayFileWriter {
 public:
  // `env`: null = the system's.
  static base::Result<std::unique_ptr<DayFileWriter>> Create(const std::string& path,
                                                             rocksdb::Env* env);
  ~DayFileWriter();

  base::Result<void> Add(const model::Packet& packet, const std::vector<model::Claim>& claims);
  // REQUIRES at least one packet added.
  base::Result<RowsHash> Finish();

 private:
  DayFileWriter(std::string path, rocksdb::Env* env);
  base::Result<void> Put(const rocksdb::Slice& key, const std::string& value);

  const std::string path_;
  const std::string unfinished_;  // its name until then
  rocksdb::Env* const env_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::unique_ptr<RowsHasher> hasher_;
};

// Reads one. Errors name the file and say what to do. Any thread.
class DayFile {
 public:
  static base::Result<std::shared_ptr<const DayFile>> Open(
      const std::string& path, const std::shared_ptr<rocksdb::Cache>& cache, rocksdb::Env* env);

  base::Result<std::optional<model::Packet>> FindPacket(model::PacketId packet) const;
  base::Result<std::optional<model::Claim>> FindClaim(model::PacketId packet,
                                                      model::UserId user) const;
  base::Result<std::vector<model::Claim>> ListClaims(model::PacketId packet) const;  // by ordinal
  // By id, from the one after `after`.
  base::Result<std::vector<model::Packet>> ListPackets(model::PacketId after, size_t limit) const;
  // Reads all of it.
  base::Result<RowsHash> Hash() const;

 private:
  DayFile(std::string path, std::unique_ptr<rocksdb::SstFileReader> reader)
      : path_(std::move(path)), reader_(std::move(reader)) {}
  base::Error Damaged(const std::string& why) const;
  std::unique_ptr<rocksdb::Iterator> Rows() const;
  base::Result<model::Packet> ReadPacket(rocksdb::Iterator& rows) const;

  const std::string path_;
  const std::unique_ptr<rocksdb::SstFileReader> reader_;
};

}  // namespace hongyan::storage
