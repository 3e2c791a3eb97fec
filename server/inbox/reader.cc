#include "inbox/reader.h"

#include <algorithm>
#include <string>

#include "model/reason.h"

namespace hongyan::inbox {

base::Result<model::Seq> Reader::Head(model::UserId user) const {
  if (const auto published = heads_.Head(user)) return *published;
  return StoredHead(store_, user, generation_);
}

base::Result<model::Seq> StoredHead(const storage::InboxStore& store, model::UserId user,
                                    int64_t generation) {
  auto last = store.LastSeq(user);
  if (!last) return last.error();
  auto floor = store.Floor(user);
  if (!floor) return floor.error();
  return std::max({*last, *floor, model::Seq(generation << model::kGenerationShift)});
}

base::Result<Reader::Page> Reader::ReadPage(model::UserId user, model::Seq cursor, size_t limit,
                                            storage::Reach reach) const {
  // The head first: entries up to a committed head are there.
  auto head = Head(user);
  if (!head) return head.error();
  Page page;
  page.head = *head;
  if (cursor > *head) {
    return model::Refuse(base::Code::kOutOfRange, model::Reason::kCursorAhead,
                         "the cursor " + std::to_string(cursor.value) + " is above the head " +
                             std::to_string(head->value) + ": sync again from 0");
  }
  if (cursor == *head) return page;
  auto entries = store_.ReadEntries(user, cursor, *head, limit, reach);
  if (!entries) return entries.error();
  page.entries = std::move(entries).value();
  const model::Seq last = page.entries.empty() ? cursor : page.entries.back().seq;
  page.more = page.entries.size() == limit && last < *head;
  // Trim leaves no holes, it raises one floor; only where the first entry does not follow is it
  // worth asking.
  if (page.entries.empty() || !storage::FollowsInInbox(cursor, page.entries.front().seq)) {
    auto floor = store_.Floor(user);
    if (!floor) return floor.error();
    page.truncated = cursor < *floor;
  }
  return page;
}

}  // namespace hongyan::inbox
