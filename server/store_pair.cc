#include "store_pair.h"

#include <cstdio>
#include <filesystem>

#include "storage/rocksdb/durable_file.h"

namespace hongyan {
namespace {

std::string PairFile(const std::string& data) { return data + "/STORES"; }

base::Error Refused(const std::string& what, const std::string& data) {
  return base::Error(base::Code::kFailedPrecondition,
                     what +
                         ": put back the two that belong together; to go on with what is there "
                         "and give up the rest for good, remove " +
                         PairFile(data));
}

std::string Name(const storage::StoreIdentity& messages, const storage::StoreIdentity& money) {
  char text[64];
  std::snprintf(text, sizeof text, "messages %016llx\nmoney %016llx\n",
                static_cast<unsigned long long>(messages.incarnation),
                static_cast<unsigned long long>(money.incarnation));
  return text;
}

}  // namespace

base::Result<void> CheckStoresAreThere(const std::string& data) {
  auto known = storage::ReadSmallFile(PairFile(data));
  if (!known) return known.error();
  if (!known->has_value()) return {};
  for (const char* store : {"messages", "money"}) {
    const std::string path = data + "/" + store;
    std::error_code ignored;
    if (!std::filesystem::exists(path + "/FORMAT", ignored)) {
      return Refused("the store " + path + " is gone, which this server has worked with", data);
    }
  }
  return {};
}

base::Result<void> CheckStorePair(const std::string& data, const storage::StoreIdentity& messages,
                                  const storage::StoreIdentity& money) {
  auto known = storage::ReadSmallFile(PairFile(data));
  if (!known) return known.error();
  const std::string pair = Name(messages, money);
  if (!known->has_value()) return storage::WriteFileDurably(PairFile(data), pair);
  if (**known == pair) return {};
  return Refused("the stores " + data + "/messages and " + data +
                     "/money are not the two that have worked together here",
                 data);
}

}  // namespace hongyan
