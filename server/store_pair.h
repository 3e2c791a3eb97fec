#pragma once

#include <string>

#include "base/result.h"
#include "storage/shard_store.h"

namespace hongyan {

// The two stores of a data directory belong together: one that went missing or was exchanged must
// not be replaced by an empty one, in which nobody has any money and packet ids are given again.
// DATA/STORES names both, once they have been opened together. The Errors are sentences for the
// operator. Main thread.

// Before they are opened: is one of them gone.
base::Result<void> CheckStoresAreThere(const std::string& data);

// Once they are open: are they the two that were opened before. The first time writes the file.
base::Result<void> CheckStorePair(const std::string& data, const storage::StoreIdentity& messages,
                                  const storage::StoreIdentity& money);

}  // namespace hongyan
