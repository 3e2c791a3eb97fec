#include "traffic.h"

#include <algorithm>

namespace hongyan::bench {
namespace {

// The loop is not woken more often than this for planned messages; what it adds to a latency is
// counted.
constexpr int64_t kShortestTickNs = 100'000;

// How many entries an inbox with this head has had, in a store of one generation.
int64_t PlaceOf(int64_t seq) { return seq & ((int64_t{1} << 40) - 1); }

}  // namespace

Traffic::~Traffic() {
  stage_.Run([this] {
    timer_.reset();
    people_.clear();
  });
}

// ---- who talks to whom ----

size_t Traffic::AddConversation(LoadClient::Conversation id, int64_t members) {
  conversations_.push_back({id, members, 0, {}, {}});
  return conversations_.size() - 1;
}

void Traffic::AddClient(size_t conversation, const Account& account, uint8_t parts,
                        const std::string& source) {
  wanted_.push_back({&account, static_cast<uint32_t>(conversation), parts, source});
}

bool Traffic::Connect(const std::string& what) {
  stage_.Run([this] {
    people_.reserve(wanted_.size());
    for (const Wanted& one : wanted_) {
      const auto index = static_cast<uint32_t>(people_.size());
      Person person;
      person.talk = one.talk;
      person.late = (one.parts & kReadsAtEnd) != 0;
      person.reads = person.late || (one.parts & kReads) != 0;
      person.client = std::make_unique<LoadClient>(
          stage_.thread(), *this, *one.account, one.source,
          person.reads ? LoadClient::Pulls::kYes : LoadClient::Pulls::kNo, index);
      if ((one.parts & kWrites) != 0) {
        Talk& talk = conversations_[one.talk];
        Writer writer;
        writer.client = index;
        writer.talk = one.talk;
        writer.slot = static_cast<uint32_t>(talk.writers.size());
        person.writer = static_cast<int32_t>(writers_.size());
        talk.writers.push_back(static_cast<uint32_t>(writers_.size()));
        writers_.push_back(writer);
      }
      people_.push_back(std::move(person));
    }
    for (Person& person : people_) {
      person.seen.resize(conversations_[person.talk].writers.size());
      if (!person.late) person.client->GoOnline();
    }
  });
  return stage_.WaitUntil(what, [this] {
    return std::all_of(people_.begin(), people_.end(),
                       [](const Person& person) { return person.late || person.client->online(); });
  });
}

// ---- writing ----

void Traffic::Begin(Writer& writer, int64_t planned_ns) {
  writer.planned_ns = planned_ns;
  const Stamp stamp{people_[writer.client].client->index(), writer.started, planned_ns};
  WriteStampedBody(stamp, text_bytes_, body_);
  ++writer.started;
  ++writing_;
  ++counts_.sent;
  ++total_.sent;
  people_[writer.client].client->Send(conversations_[writer.talk].id, body_);
}

void Traffic::StartClosed() {
  open_ = false;
  running_ = true;
  for (Writer& writer : writers_) {
    if (!people_[writer.client].client->sending()) Begin(writer, NowNs());
  }
}

void Traffic::StartOpen(double rate_per_s) {
  open_ = true;
  running_ = true;
  next_planned_ = 0;
  plan_ = OpenLoop(NowNs() + 1'000'000, rate_per_s);
  open_base_.clear();
  for (Writer& writer : writers_) {
    writer.due = writer.started;
    open_base_.push_back(writer.started);
  }
  if (!timer_) timer_ = std::make_unique<PreciseTimer>(stage_.thread().runtime, [this] { Tick(); });
  timer_->Arm(plan_.PlannedNs(0));
}

// Makes due what is planned by now; whoever is free starts.
void Traffic::Tick() {
  if (!running_) return;
  const int64_t now = NowNs();
  const auto writers = static_cast<int64_t>(writers_.size());
  for (; plan_.PlannedNs(next_planned_) <= now; ++next_planned_) {
    const auto i = static_cast<size_t>(next_planned_ % writers);
    Writer& writer = writers_[i];
    ++writer.due;
    if (!people_[writer.client].client->sending()) StartDue(i);
  }
  timer_->Arm(std::max(plan_.PlannedNs(next_planned_), now + kShortestTickNs));
}

// The k-th message of writer i in this open loop is message k * writers + i of the plan.
void Traffic::StartDue(size_t i) {
  Writer& writer = writers_[i];
  const int64_t k = writer.started - open_base_[i];
  Begin(writer,
        plan_.PlannedNs(k * static_cast<int64_t>(writers_.size()) + static_cast<int64_t>(i)));
}

void Traffic::Stop() {
  running_ = false;
  if (timer_) timer_->Disarm();
}

void Traffic::OnAcked(LoadClient& client, int64_t conv_seq, int64_t now_ns) {
  const auto index = static_cast<size_t>(people_[client.index()].writer);
  Writer& writer = writers_[index];
  Talk& talk = conversations_[writer.talk];
  if (talk.places.Add(static_cast<uint32_t>(conv_seq)) == OrderCheck::Seen::kAgain) {
    stage_.tally().Fail(client.account().name + ": a message was acknowledged at place " +
                        std::to_string(conv_seq) + ", which was given out before");
  }
  ++writer.acked;
  ++talk.acked;
  --writing_;
  ++counts_.acked;
  ++total_.acked;
  counts_.entries += talk.members;
  total_.entries += talk.members;
  ack_.AddNs(now_ns - writer.planned_ns);
  if (on_acked) on_acked({writer.client, writer.acked - 1, writer.planned_ns}, now_ns);
  if (!running_) return;
  if (!open_) {
    Begin(writer, now_ns);
  } else if (writer.due > writer.started) {
    StartDue(index);
  }
}

// ---- reading ----

void Traffic::OnEntry(LoadClient& client, const v1::Entry& entry, int64_t now_ns) {
  Person& person = people_[client.index()];
  const Talk& talk = conversations_[person.talk];
  const v1::Message& message = entry.message();
  if (message.kind() == v1::BODY_SYSTEM) return;
  Stamp stamp;
  const bool ours =
      entry.conversation().a() == talk.id.a && entry.conversation().b() == talk.id.b &&
      ReadStampedBody(message.body(), text_bytes_, &stamp) && stamp.writer < people_.size() &&
      people_[stamp.writer].writer >= 0 && people_[stamp.writer].talk == person.talk;
  if (!ours) {
    stage_.tally().Fail(client.account().name + ": entry " + std::to_string(entry.seq()) +
                        " holds something nobody wrote");
    return;
  }
  const Writer& writer = writers_[static_cast<size_t>(people_[stamp.writer].writer)];
  if (stamp.number >= writer.started) {
    stage_.tally().Fail(client.account().name + ": a message arrived before it was written");
    return;
  }
  switch (person.seen[writer.slot].Add(stamp.number)) {
    case OrderCheck::Seen::kNext:
    case OrderCheck::Seen::kAhead:
      break;
    case OrderCheck::Seen::kLate:
      ++content_out_of_order_;
      break;
    case OrderCheck::Seen::kAgain:
      ++content_duplicated_;
      return;
  }
  ++person.delivered;
  ++counts_.delivered;
  ++total_.delivered;
  if (stamp.writer == client.index() || person.late) return;
  deliver_.AddNs(now_ns - stamp.planned_ns);
  if (on_read) on_read(stamp, now_ns);
}

bool Traffic::AllRead() const {
  return std::all_of(people_.begin(), people_.end(), [this](const Person& person) {
    return !person.reads || person.delivered >= conversations_[person.talk].acked;
  });
}

void Traffic::PullAll() {
  for (Person& person : people_) {
    if (person.reads) person.client->Pull();
  }
}

bool Traffic::NobodySyncs() const {
  return std::none_of(people_.begin(), people_.end(), [](const Person& person) {
    return person.reads && (person.client->syncing() || !person.client->online());
  });
}

// ---- the window and the end ----

void Traffic::BeginWindow() {
  counts_ = {};
  ack_.Clear();
  deliver_.Clear();
}

bool Traffic::Drain(const std::string& what) {
  stage_.Run([this] { Stop(); });
  bool ok = stage_.WaitUntil(what + " is acknowledged", [this] { return AllAcked(); });
  stage_.Run([this] {
    for (Person& person : people_) person.client->GoOnline();
  });
  int64_t asked_ns = NowNs();
  const auto patience_ns =
      static_cast<int64_t>(std::min(1.0, stage_.options().deadline_s / 4) * 1e9);
  const auto all_read = [this, &asked_ns, patience_ns] {
    if (AllRead()) return true;
    if (NowNs() - asked_ns > patience_ns) {  // a lost hint heals with the next question
      asked_ns = NowNs();
      PullAll();
    }
    return false;
  };
  ok = ok && stage_.WaitUntil(what + " is pulled by its readers", all_read);
  if (ok) {
    stage_.Run([this] { PullAll(); });
    ok = stage_.WaitUntil("the last pull of " + what, [this] { return NobodySyncs(); });
  }
  stage_.Run([this] {
    for (const Person& person : people_) {
      if (!person.reads) continue;
      const Talk& talk = conversations_[person.talk];
      for (const uint32_t w : talk.writers) {
        const Writer& writer = writers_[w];
        lost_ += std::max<int64_t>(0, int64_t{writer.acked} - person.seen[writer.slot].seen());
      }
    }
  });
  return ok;
}

void Traffic::OnHead(LoadClient& client, int64_t head) {
  people_[client.index()].head = head;
  ++stage_.tally().moved;
}

bool Traffic::CheckOwnCopies() {
  int64_t asked_ns = 0;
  const auto missing = [this](const Person& person) {
    if (person.reads) return int64_t{0};
    const int64_t wanted = writers_[static_cast<size_t>(person.writer)].acked;
    return person.head < 0 ? wanted : wanted - PlaceOf(person.head);
  };
  const bool ok = stage_.WaitUntil("every writer has the own copies", [&] {
    const bool all = std::none_of(people_.begin(), people_.end(),
                                  [&](const Person& person) { return missing(person) > 0; });
    if (all) return true;
    if (NowNs() - asked_ns > 200'000'000) {
      asked_ns = NowNs();
      for (Person& person : people_) {
        if (missing(person) > 0) person.client->Heartbeat();
      }
    }
    return false;
  });
  stage_.Run([&] {
    for (const Person& person : people_) {
      lost_ += std::max<int64_t>(missing(person), 0);
      content_duplicated_ += std::max<int64_t>(-missing(person), 0);
    }
  });
  return ok;
}

int64_t Traffic::other_entries(size_t conversation) const {
  for (const Person& person : people_) {
    if (person.reads && person.talk == conversation) {
      return PlaceOf(person.client->cursor()) - person.delivered;
    }
  }
  return 1;  // the group's own beginning
}

}  // namespace hongyan::bench
