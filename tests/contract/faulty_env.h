#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace hongyan::storage {

// A file system that fails on demand: the log's syncs, one table, or all new space.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  std::atomic<bool> fail_log_syncs{false};
  std::atomic<bool> disk_full{false};
  std::atomic<int> log_syncs{0};
  std::atomic<bool> fail_next_table{false};
  std::atomic<int> failed_tables{0};
  std::function<void()> on_table;  // before each new table, on any thread; set before there is one

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (disk_full) return rocksdb::IOStatus::NoSpace("injected");
    if (on_table && name.ends_with(".sst")) on_table();
    if (name.ends_with(".sst") && fail_next_table.exchange(false)) {
      ++failed_tables;
      return rocksdb::IOStatus::IOError("injected");
    }
    auto status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok())
      *file = std::make_unique<File>(std::move(*file), *this, name.ends_with(".log"));
    return status;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, FaultyFileSystem& files, bool is_log)
        : FSWritableFileOwnerWrapper(std::move(file)), files_(files), is_log_(is_log) {}

    using FSWritableFileOwnerWrapper::Append;
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      if (files_.disk_full) return rocksdb::IOStatus::NoSpace("injected");
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      if (is_log_) ++files_.log_syncs;
      if (is_log_ && files_.fail_log_syncs) return rocksdb::IOStatus::IOError("injected");
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    FaultyFileSystem& files_;
    const bool is_log_;
  };
};

}  // namespace hongyan::storage
