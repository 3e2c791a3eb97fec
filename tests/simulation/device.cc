#include "simulation/device.h"

#include <algorithm>
#include <utility>

#include "model/reason.h"

namespace hongyan::simulation {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kTimeoutMs = 8000;   // of a request: then the connection counts as dead
constexpr int64_t kIdleSyncMs = 1000;  // after one's own send the SDK syncs at the latest then
constexpr size_t kUnsentAtMost = 4;    // per conversation: its user waits

}  // namespace

Device::Device(int index, model::UserId user, Ground ground)
    : index_(index), user_(user), ground_(ground) {
  ground_.random.Fill(id_.bytes);
}

std::string Device::Describe() const {
  return fmt::format(
      "device {} of user {}: online {} cursor {} head {} conversations unsent {} requests {}",
      index_, user_.value, logged_in_, cursor_.value, witness().StoredHead(user_).value,
      unsent_.size(), group_requests_.size());
}

bool Device::knows_all() const {
  for (model::Seq seq(cursor_.value + 1); seq <= witness().StoredHead(user_); ++seq.value) {
    if (!acked_.contains(witness().EntryAt(user_, seq).client_msg_id)) return false;
  }
  return true;
}

// -- life
// ------------------------------------------------------------------------------------------------

void Device::Act(FrontDoor* door, bool busy) {
  if (removed_) return;
  if (busy) ThinkOfSomething();
  if (door == nullptr) return;
  if (connection_ == 0) {
    if (wants_online_ && now() >= retry_at_ns_) GoOnline(*door);
    return;
  }
  const bool waits = login_ != 0 || asked_at_ns_ != 0;
  if (!wants_online_ || (waits && now() - asked_at_ns_ > kTimeoutMs * kNsPerMs)) {
    // The network may be gone without a word: then the server still sees a session, until the next
    // login.
    const uint64_t connection = connection_;
    if (ground_.random.Chance(0.5))
      OnGone(connection);
    else
      door->HangUp(connection);
    return;
  }
  if (!logged_in_) return;
  KeepUp(*door);
  SendUnsent(*door);
}

void Device::Die(FrontDoor* door) {
  if (connection_ != 0 && door != nullptr) door->HangUp(connection_);
  sync_first_ = want_sync_ = true;
  known_head_ = {};
  retry_at_ns_ = 0;
}

void Device::Remove(FrontDoor* door) {
  Die(door);
  removed_ = true;
  unsent_.clear();
  group_requests_.clear();
}

void Device::OnGone(uint64_t connection) {
  if (connection != connection_) return;
  connection_ = login_ = sync_ = 0;
  asked_at_ns_ = 0;
  logged_in_ = false;
  want_sync_ = true;
  for (auto& [id, queue] : unsent_) {
    for (auto& unsent : queue) unsent.request = 0;
  }
  for (auto& request : group_requests_) request.request = 0;
  retry_at_ns_ = now() + ground_.random.Below(300) * kNsPerMs;  // full jitter
}

void Device::GoOnline(FrontDoor& door) {
  connection_ = door.Connect(*this);
  last_beat_ns_ = now();
  login_ = Ask(door, Login{user_, id_});
}

uint64_t Device::Ask(FrontDoor& door, decltype(Request::body) body) {
  const uint64_t number = next_request_++;
  if (asked_at_ns_ == 0) asked_at_ns_ = now();
  door.Send(connection_, {number, std::move(body)});
  return number;
}

// One sync in flight; the cursor confirms.
void Device::KeepUp(FrontDoor& door) {
  if (now() - last_beat_ns_ >= ground_.plan.heartbeat_ms * kNsPerMs) {
    last_beat_ns_ = now();
    Ask(door, Heartbeat{});
  }
  const bool due =
      want_sync_ || known_head_ > cursor_ || (sync_at_ns_ != 0 && now() >= sync_at_ns_);
  if (sync_ != 0 || !due || now() < retry_at_ns_) return;
  sync_at_ns_ = 0;
  want_sync_ = false;
  sync_ = Ask(door, Sync{cursor_, static_cast<size_t>(ground_.random.Between(1, 30))});
}

// One unacknowledged send per conversation; after a start it syncs first and sends again only what
// did not come back.
void Device::SendUnsent(FrontDoor& door) {
  if (sync_first_) return;
  for (auto& [id, queue] : unsent_) {
    Unsent& first = queue.front();
    if (first.request != 0 || now() < first.not_before_ns) continue;
    first.request = Ask(door, first.send);
  }
  if (group_requests_.empty()) return;
  GroupRequest& first = group_requests_.front();
  if (first.request != 0 || now() < first.not_before_ns) return;
  first.request = std::visit([&](const auto& body) { return Ask(door, body); }, first.body);
}

// -- answers
// ---------------------------------------------------------------------------------------------

void Device::OnAnswer(uint64_t connection, const Answer& answer) {
  if (connection != connection_ || removed_) return;
  asked_at_ns_ = 0;
  if (const auto* in = std::get_if<LoggedIn>(&answer.body)) {
    login_ = 0;
    logged_in_ = true;
    clock_offset_ms_ = in->time_ms - ground_.clock.BootNs() / kNsPerMs;
    Learn(in->head);
  } else if (const auto* beat = std::get_if<Beat>(&answer.body)) {
    if (beat->head.has_value()) Learn(*beat->head);
  } else if (const auto* page = std::get_if<SyncPage>(&answer.body)) {
    if (answer.number == sync_) OnPage(*page);
  } else if (const auto* reply = std::get_if<model::ReplyBody>(&answer.body)) {
    OnReply(answer.number, *reply);
  } else if (const auto* failed = std::get_if<Failed>(&answer.body)) {
    OnFailed(answer.number, failed->error);
  } else {
    Learn(std::get<Notify>(answer.body).head);
    want_sync_ = true;  // the sync answers the notify, even where there is nothing new
  }
}

void Device::Learn(model::Seq head) {
  witness().HeadShown(user_, head);
  known_head_ = std::max(known_head_, head);
}

void Device::OnPage(const SyncPage& page) {
  sync_ = 0;
  Learn(page.head);
  for (size_t i = 0; i < page.entries.size(); ++i) OnEntry(page.entries[i], page.messages[i]);
  if (page.entries.empty()) {
    INVARIANT(cursor_ >= page.head, "device {} at {} got an empty page although the head is {}",
              index_, cursor_.value, page.head.value);
  }
  if (cursor_ >= page.head) sync_first_ = false;
}

void Device::OnEntry(const storage::InboxStore::NumberedEntry& numbered,
                     const model::Message& message) {
  INVARIANT(storage::FollowsInInbox(cursor_, numbered.seq), "device {} at {} was given entry {}",
            index_, cursor_.value, numbered.seq.value);
  const model::Entry& entry = numbered.entry;
  const model::Entry& stored = witness().EntryAt(user_, numbered.seq);
  if (entry.kind == model::EntryKind::kPacketReturned) {
    INVARIANT(stored.kind == entry.kind && stored.packet == entry.packet &&
                  stored.returned_fen == entry.returned_fen,
              "device {} was told of another return than is stored", index_);
    cursor_ = numbered.seq;
    return;
  }
  INVARIANT(stored.conversation == entry.conversation && stored.conv_seq == entry.conv_seq,
            "device {} was given another entry {} than is stored", index_, numbered.seq.value);
  INVARIANT(message.body == witness().MessageAt(entry.conversation, entry.conv_seq).body,
            "device {} was given another body than was sent", index_);
  model::ConvSeq& newest = transcript_[entry.conversation];
  INVARIANT(entry.conv_seq > newest, "device {} got message {} of a conversation after {}", index_,
            entry.conv_seq.value, newest.value);
  newest = entry.conv_seq;
  cursor_ = numbered.seq;
  // What came back needs no ack.
  const auto queue = unsent_.find(entry.conversation);
  if (entry.client_msg_id.is_zero() || queue == unsent_.end()) return;
  std::erase_if(queue->second, [&](const Unsent& unsent) {
    return unsent.send.client_msg_id == entry.client_msg_id;
  });
  if (queue->second.empty()) unsent_.erase(queue);
}

void Device::OnReply(uint64_t request, const model::ReplyBody& reply) {
  if (std::holds_alternative<model::Sent>(reply)) {
    for (auto& [id, queue] : unsent_) {
      if (queue.front().request != request) continue;
      last_sent_[id] = queue.front().send.client_msg_id;
      acked_.insert(last_sent_[id]);
      queue.pop_front();
      sync_at_ns_ = now() + kIdleSyncMs * kNsPerMs;
      if (queue.empty()) unsent_.erase(id);
      return;
    }
  } else if (!group_requests_.empty() && group_requests_.front().request == request) {
    group_requests_.pop_front();
    sync_at_ns_ = now() + kIdleSyncMs * kNsPerMs;
  }
}

void Device::OnFailed(uint64_t request, const base::Error& error) {
  const bool again = error.code == base::Code::kUnavailable ||
                     error.code == base::Code::kInternal ||
                     error.code == base::Code::kResourceExhausted;
  const int64_t not_before = now() + (error.retry_after_ms + ground_.random.Below(200)) * kNsPerMs;
  // Ids are made by the time the server told: only one that has waited for days may be too old.
  INVARIANT(ground_.plan.faults.days > 0 ||
                error.reason != static_cast<uint16_t>(model::Reason::kStaleId),
            "an id that device {} has just made by the server's time is stale", index_);
  if (request == login_) {
    INVARIANT(again, "device {} was not let in: {}", index_, error.text);
    login_ = next_request_++;  // never answered: the timeout hangs up and tries again
    asked_at_ns_ = now() - (kTimeoutMs - 500) * kNsPerMs;
    return;
  }
  if (request == sync_) {
    sync_ = 0;
    want_sync_ = true;
    retry_at_ns_ = now() + ground_.random.Below(500) * kNsPerMs;
    return;
  }
  for (auto& [id, queue] : unsent_) {
    if (queue.front().request != request) continue;
    queue.front().request = 0;
    queue.front().not_before_ns = not_before;
    if (!again) queue.pop_front();  // its user is told that it failed
    if (queue.empty()) unsent_.erase(id);
    return;
  }
  if (!group_requests_.empty() && group_requests_.front().request == request) {
    group_requests_.front().request = 0;
    group_requests_.front().not_before_ns = not_before;
    if (!again) group_requests_.pop_front();
  }
}

// -- what its user does
// ----------------------------------------------------------------------------------

model::RequestId Device::NewId() {
  model::RequestId id;
  ground_.random.Fill(id.bytes);
  const int64_t ms = clock_offset_ms_ + ground_.clock.BootNs() / kNsPerMs;
  for (int i = 0; i < 6; ++i)
    id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = static_cast<uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  return id;
}

std::vector<model::UserId> Device::SomeUsers(int64_t most) const {
  std::vector<model::UserId> some;
  const int64_t want = ground_.random.Between(1, most);
  for (int64_t i = 0; i < want; ++i) {
    const auto user = ground_.random.Pick(witness().users());
    if (std::find(some.begin(), some.end(), user) == some.end()) some.push_back(user);
  }
  return some;
}

void Device::ThinkOfSomething() {
  const auto dice = ground_.random.Below(100);
  if (dice < 3) {
    wants_online_ = !wants_online_ || !logged_in_;
  } else if (clock_offset_ms_ == 0) {
    return;  // never logged in: it does not know the time
  } else if (dice < 85) {
    WriteMessage();
  } else {
    ThinkOfGroups();
  }
}

void Device::WriteMessage() {
  Random& random = ground_.random;
  model::SendMessage send;
  const auto groups = witness().GroupsOf(user_);
  if (!groups.empty() && random.Chance(0.6)) {
    send.conversation = model::ConversationId::Group(random.Pick(groups));
  } else if (random.Chance(0.03) && !witness().groups().empty()) {
    send.conversation =
        model::ConversationId::Group(random.Pick(witness().groups()));  // perhaps not ours
  } else {
    const auto peer = random.Chance(0.1) ? user_ : random.Pick(witness().users());
    send.conversation = model::ConversationId::Direct(user_, peer);
  }
  auto& queue = unsent_[send.conversation];
  if (queue.size() >= kUnsentAtMost) return;
  send.sender = user_;
  send.sender_device = id_;
  send.client_msg_id = NewId();
  send.kind = model::BodyKind::kText;
  send.body = fmt::format("{}.{} {}", index_, ++counter_,
                          std::string(static_cast<size_t>(random.Below(40)), 'x'));
  const auto last = last_sent_.find(send.conversation);
  if (queue.empty() && last != last_sent_.end() && random.Chance(0.1)) send.after = last->second;
  witness().Asked(send, index_, counter_);
  queue.push_back({std::move(send), 0, 0});
}

void Device::ThinkOfGroups() {
  Random& random = ground_.random;
  if (group_requests_.size() >= 2) return;
  const auto groups = witness().GroupsOf(user_);
  if (groups.empty() || random.Chance(0.25)) {
    if (witness().groups().size() > 8) return;
    model::CreateGroup create;
    create.creator = user_;
    create.request_id = NewId();
    create.id = ground_.router.GroupIdOf(user_, create.request_id);
    create.name = "a group";
    create.members =
        SomeUsers(random.Chance(0.4) ? 4 : static_cast<int64_t>(witness().users().size()));
    std::erase(create.members, user_);
    witness().Asked(create);
    group_requests_.push_back({create, 0, 0});
    return;
  }
  model::ChangeMembers change;
  change.group = random.Pick(groups);
  change.actor = user_;
  change.request_id = NewId();
  const auto members = witness().MembersOf(change.group);
  const bool owner = witness().OwnerOf(change.group) == user_;
  if (random.Chance(0.15)) {
    change.remove = {user_};  // leaves
  } else if (random.Chance(0.5) && (owner || random.Chance(0.1))) {
    const int64_t count = random.Chance(0.8) ? random.Between(1, 3) : random.Between(1, 20);
    for (int64_t i = 0; i < count; ++i) {
      const auto user = random.Pick(members);
      if (std::find(change.remove.begin(), change.remove.end(), user) == change.remove.end() &&
          (user != user_ || random.Chance(0.1))) {
        change.remove.push_back(user);
      }
    }
  } else {
    change.add = SomeUsers(random.Chance(0.7) ? 3 : ground_.plan.max_changes / 2);
    if (owner && random.Chance(0.2)) change.remove = {random.Pick(members)};
  }
  // One user both added and removed has no meaning here: which of the two wins is the server's
  // business.
  std::erase_if(change.add, [&](model::UserId user) {
    return std::find(change.remove.begin(), change.remove.end(), user) != change.remove.end();
  });
  witness().Asked(change);
  group_requests_.push_back({change, 0, 0});
}

}  // namespace hongyan::simulation
