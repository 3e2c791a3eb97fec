#include "inbox/reader.h"

#include <algorithm>
#include <string>

#include "model/reason.h"

namespace hongyan::inbox {

base::Result<model::Seq> Reader::Head(model::UserId user, storage::Reach reach) const {
  if (const auto published = heads_.Head(user)) return *published;
  auto head = StoredHead(store_, user, generation_, reach);
  // Commits since the read have raised it, or will: whichever is higher stays.
  if (head) heads_.Prime(user, *head);
  return head;
}

base::Result<model::Seq> StoredHead(const storage::InboxStore& store, model::UserId user,
                                    int64_t generation, storage::Reach reach) {
  auto last = store.LastSeq(user, reach);
  if (!last) return last.error();
  auto floor = store.Floor(user, reach);
  if (!floor) return floor.error();
  return std::max({*last, *floor, model::Seq(generation << model::kGenerationShift)});
}

base::Result<Reader::Page> Reader::ReadPage(model::UserId user, model::Seq cursor, size_t limit,
                                            storage::Reach reach) const {
  // The head first: entries up to a committed head are there.
  auto head = Head(user, reach);
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
    auto floor = store_.Floor(user, reach);
    if (!floor) return floor.error();
    page.truncated = cursor < *floor;
  }
  return page;
}

}  // namespace hongyan::inbox
