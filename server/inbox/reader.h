#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "inbox/online_heads.h"
#include "model/message.h"
#include "storage/inbox_store.h"

namespace hongyan::inbox {

// A user's head as the store has it: max(last entry, floor, generation << 40). Any thread.
base::Result<model::Seq> StoredHead(const storage::InboxStore& store, model::UserId user,
                                    int64_t generation, storage::Reach reach);

// Its part of Sync and of the group list: reads beside the writer. Any thread; see storage::Reach
// for what may be called on a loop.
class Reader {
 public:
  Reader(const storage::InboxStore& store, OnlineHeads& heads, int64_t generation)
      : store_(store), heads_(heads), generation_(generation) {}

  struct Page {
    std::vector<storage::InboxStore::NumberedEntry> entries;
    model::Seq head;         // committed, at least as new as the entries
    bool truncated = false;  // the cursor is below the floor
    bool more = false;       // entries above the last one exist
  };

  // What is above `cursor`, at most `limit` entries. A cursor above the head in the head's
  // generation is an error (kCursorAhead).
  base::Result<Page> ReadPage(model::UserId user, model::Seq cursor, size_t limit,
                              storage::Reach reach) const;

  // The committed head of a user: published if the user is online, else read from the store, and
  // published from then on if the user has a session. Numbers a user without entries has:
  // max(floor, generation << 40).
  base::Result<model::Seq> Head(model::UserId user, storage::Reach reach) const;

  // The groups a user is a member of, by id, from the one after `after`. May read the disk.
  base::Result<std::vector<model::GroupId>> Groups(model::UserId user, model::GroupId after,
                                                   size_t limit) const {
    return store_.ListGroups(user, after, limit);
  }

 private:
  const storage::InboxStore& store_;
  OnlineHeads& heads_;
  int64_t generation_;
};

}  // namespace hongyan::inbox
