#include "load_client.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "refusal.h"

namespace hongyan::bench {
namespace {

// An answer that takes longer means that the connection is no good: make another and ask again.
constexpr int kAnswerTimeoutMs = 15'000;
constexpr int kFirstBackOffMs = 20;
constexpr int kLongestBackOffMs = 640;
constexpr int kGenerationShift = 40;  // seq = generation << 40 at least

template <class Message>
bool Parse(Message& into, std::string_view payload) {
  return into.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
}

int64_t WallMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void LoadThread::DrawId(char* id) {
  const int64_t ms = WallMs() + server_ahead_ms;
  for (int i = 0; i < 6; ++i) id[i] = static_cast<char>(ms >> (40 - 8 * i));
  const uint64_t drawn[2] = {random(), random()};
  std::memcpy(id + 6, drawn, 10);
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x70);  // UUID version 7
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
}

LoadClient::LoadClient(LoadThread& thread, Owner& owner, const Account& account, std::string source,
                       Pulls pulls, uint32_t index)
    : thread_(thread),
      owner_(owner),
      account_(account),
      source_(std::move(source)),
      index_(index),
      pulls_(pulls == Pulls::kYes),
      timer_(thread.runtime, [this] { OnTimer(); }) {}

LoadClient::~LoadClient() { GoOffline(); }

// ---- coming and going ----

void LoadClient::GoOnline() {
  if (state_ != State::kOffline) return;
  Connect();
}

void LoadClient::GoOffline() {
  timer_.Disarm();
  link_.reset();
  if (state_ == State::kOnline) --thread_.tally.online;
  state_ = State::kOffline;
  transmitted_ = syncing_ = sync_again_ = false;
}

void LoadClient::Connect() {
  state_ = State::kConnecting;
  sdk::LinkOptions options;
  options.address = thread_.address;
  options.source_address = source_;
  sdk::Link::Events events;
  events.on_up = [this] { SayHello(); };
  events.on_push = [this](uint16_t command, std::string_view payload) { OnPush(command, payload); };
  events.on_down = [this](const sdk::Down&) { OnDown(); };
  link_ = std::make_unique<sdk::Link>(thread_.runtime, std::move(options), std::move(events));
}

void LoadClient::SayHello() {
  v1::Hello hello;
  hello.set_version(1);
  hello.set_client("hongyan-bench");
  hello.SerializeToString(&thread_.payload);
  if (!link_->Request(v1::HELLO, thread_.payload, kAnswerTimeoutMs,
                      [this](const sdk::Answer& answer) { OnHello(answer); })) {
    BreakLink();
  }
}

void LoadClient::OnHello(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kDown) return;  // OnDown follows
  if (!answer.ok()) return OnLoginRefused(answer);
  v1::HelloReply reply;
  if (!Parse(reply, answer.payload)) return Fail("the server's hello cannot be read");
  thread_.server_ahead_ms = reply.server_time_ms() - WallMs();
  v1::LoginToken login;
  login.set_token(account_.token);
  login.set_device_id(account_.device_id);
  login.SerializeToString(&thread_.payload);
  if (!link_->Request(v1::LOGIN_TOKEN, thread_.payload, kAnswerTimeoutMs,
                      [this](const sdk::Answer& a) { OnLogin(a); })) {
    BreakLink();
  }
}

void LoadClient::OnLogin(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kDown) return;
  if (!answer.ok()) return OnLoginRefused(answer);
  v1::LoginReply reply;
  if (!Parse(reply, answer.payload)) return Fail("the server's login reply cannot be read");
  if (was_online_) ++thread_.tally.reconnects;
  was_online_ = true;
  tries_ = 0;
  state_ = State::kOnline;
  ++thread_.tally.online;
  ++thread_.tally.moved;
  if (sending()) Transmit();
  if (reply.head() >= 0 && reply.head() < cursor_) {
    return Fail("the server says head " + std::to_string(reply.head()) +
                " after it gave out entry " + std::to_string(cursor_) +
                ": it has lost what it acknowledged");
  }
  if (pulls_ && reply.head() != cursor_) StartSync();
  owner_.OnOnline(*this);
}

void LoadClient::OnLoginRefused(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kTimedOut) return BreakLink();
  const v1::Error error = ErrorOf(answer);
  if (error.reason() == v1::NO_SUCH_USER) {
    return Fail("the server does not know the user it made: it has lost what it acknowledged");
  }
  if (!MayPass(error)) return Fail("login refused, " + Describe(error));
  ++thread_.tally.busy;
  thread_.tally.NoteRefusal("login: " + Describe(error));
  ReconnectAfter(error.retry_after_ms());
}

void LoadClient::OnDown() {
  if (state_ == State::kOnline) --thread_.tally.online;
  transmitted_ = syncing_ = sync_again_ = false;
  ReconnectAfter(0);
}

// Full jitter: everybody comes back after a restart, not all at once.
void LoadClient::ReconnectAfter(int64_t delay_ms) {
  link_.reset();
  state_ = State::kWaiting;
  const int limit = std::min(kFirstBackOffMs << std::min<int>(tries_, 6), kLongestBackOffMs);
  if (tries_ < 100) ++tries_;
  timer_.Arm(delay_ms + std::uniform_int_distribution<>(1, limit)(thread_.random));
}

void LoadClient::OnTimer() {
  if (state_ == State::kWaiting) return Connect();
  if (state_ != State::kOnline) return;
  if (sending() && !transmitted_) Transmit();
  if (sync_again_ && !syncing_) StartSync();
}

void LoadClient::BreakLink() {
  if (link_) link_->Fail(sdk::DownReason::kIoError, "no answer in time");
}

void LoadClient::Fail(const std::string& what) {
  thread_.tally.Fail(account_.name + ": " + what);
  GoOffline();
}

// ---- told ----

void LoadClient::OnPush(uint16_t command, std::string_view payload) {
  if (command == v1::NOTIFY) {
    if (!pulls_) return;
    if (!syncing_ && pull_pause_ms_ > 0) {
      sync_again_ = true;
      if (!timer_.armed()) timer_.Arm(pull_pause_ms_);
      return;
    }
    if (!syncing_) return StartSync();
    // The reply on its way may not know of it yet.
    if (Parse(thread_.notify, payload) && thread_.notify.head() > cursor_) sync_again_ = true;
    return;
  }
  if (command != v1::SESSION_ENDED) return;  // WALLET_CHANGED is a hint for people
  v1::SessionEnded ended;
  if (!Parse(ended, payload)) return Fail("the end of the session cannot be read");
  if (ended.reason() == v1::END_DRAINING || ended.reason() == v1::END_IDLE) {
    if (state_ == State::kOnline) --thread_.tally.online;
    state_ = State::kConnecting;
    transmitted_ = syncing_ = sync_again_ = false;
    return ReconnectAfter(ended.retry_after_ms());
  }
  Fail("the server ended the session: " + v1::EndReason_Name(ended.reason()));
}

void LoadClient::Heartbeat() {
  if (state_ != State::kOnline) return;
  const bool asked =
      link_->Request(v1::HEARTBEAT, {}, kAnswerTimeoutMs, [this](const sdk::Answer& a) {
        if (a.kind == sdk::Answer::Kind::kTimedOut) return BreakLink();
        if (!a.ok()) return;
        v1::HeartbeatReply reply;
        if (!Parse(reply, a.payload)) return Fail("a heartbeat's reply cannot be read");
        owner_.OnHead(*this, reply.head());
      });
  if (!asked) BreakLink();
}

// ---- sending ----

void LoadClient::Send(const Conversation& to, std::string_view body) {
  to_ = to;
  body_.assign(body);
  thread_.DrawId(message_id_);
  transmitted_ = false;
  if (state_ == State::kOnline) Transmit();
}

void LoadClient::Transmit() {
  v1::SendMessage& message = thread_.send;
  message.mutable_conversation()->set_a(to_.a);
  message.mutable_conversation()->set_b(to_.b);
  message.mutable_client_msg_id()->assign(message_id_, sizeof message_id_);
  message.mutable_body()->assign(body_);
  message.SerializeToString(&thread_.payload);
  transmitted_ = link_->Request(v1::SEND_MESSAGE, thread_.payload, kAnswerTimeoutMs,
                                [this](const sdk::Answer& answer) { OnSent(answer); });
  if (!transmitted_) return BreakLink();
  if (!in_flight_) ++thread_.tally.unacked;
  in_flight_ = true;
}

void LoadClient::Finished() {
  body_.clear();
  transmitted_ = false;
  in_flight_ = false;
  --thread_.tally.unacked;
}

void LoadClient::OnSent(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kDown) {
    ++thread_.tally.resent;  // after the next login
    return;
  }
  if (!answer.ok()) return OnSendRefused(answer);
  if (!Parse(thread_.sent, answer.payload)) return Fail("an ack cannot be read");
  Finished();
  thread_.tally.moved.fetch_add(1, std::memory_order_relaxed);
  owner_.OnAcked(*this, thread_.sent.conv_seq(), NowNs());
}

void LoadClient::OnSendRefused(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kTimedOut) return BreakLink();
  const v1::Error error = ErrorOf(answer);
  if (!MayPass(error)) {
    Finished();
    return Fail("send refused, " + Describe(error));
  }
  ++thread_.tally.busy;
  thread_.tally.NoteRefusal(Describe(error));
  transmitted_ = false;
  timer_.Arm(std::max<int64_t>(error.retry_after_ms(), 5));
}

// ---- pulling ----

void LoadClient::Pull() {
  if (state_ != State::kOnline || syncing_) return;
  StartSync();
}

void LoadClient::StartSync() {
  sync_again_ = false;
  asked_ = cursor_;
  thread_.sync.set_cursor(cursor_);
  thread_.sync.SerializeToString(&thread_.payload);
  syncing_ = link_->Request(v1::SYNC, thread_.payload, kAnswerTimeoutMs,
                            [this](const sdk::Answer& answer) { OnSynced(answer); });
  if (!syncing_) BreakLink();
}

void LoadClient::OnSynced(const sdk::Answer& answer) {
  if (answer.kind == sdk::Answer::Kind::kDown) return;
  if (answer.kind == sdk::Answer::Kind::kTimedOut) return BreakLink();
  syncing_ = false;
  if (!answer.ok()) {
    const v1::Error error = ErrorOf(answer);
    if (!MayPass(error)) {
      return Fail("sync from " + std::to_string(asked_) + " refused, " + Describe(error));
    }
    thread_.tally.NoteRefusal("sync: " + Describe(error));
    sync_again_ = true;
    timer_.Arm(std::max<int64_t>(error.retry_after_ms(), 5));
    return;
  }
  v1::SyncReply& reply = thread_.synced;
  if (!Parse(reply, answer.payload)) return Fail("a sync reply cannot be read");
  if (reply.truncated()) return Fail("sync truncated: entries above the cursor are no longer kept");
  const int64_t now_ns = NowNs();
  const int64_t head = reply.head();
  const bool more = reply.more();
  const bool empty = reply.entries().empty();
  if (!empty) thread_.tally.moved.fetch_add(1, std::memory_order_relaxed);
  for (const v1::Entry& entry : reply.entries()) TakeEntry(entry, now_ns);
  if (state_ != State::kOnline || syncing_) return;
  if (!more && head <= cursor_ && !sync_again_) return;
  if (!empty) return StartSync();
  sync_again_ = true;  // an empty page below the head: do not spin
  timer_.Arm(10);
}

void LoadClient::TakeEntry(const v1::Entry& entry, int64_t now_ns) {
  if (entry.seq() <= cursor_) {  // cursor_ starts as the cursor asked with
    ++thread_.tally.duplicated;
    return;
  }
  if (entry.seq() != cursor_ + 1 &&
      entry.seq() >> kGenerationShift == cursor_ >> kGenerationShift) {
    ++thread_.tally.gaps;
  }
  cursor_ = entry.seq();
  if (entry.kind() == v1::ENTRY_PACKET_RETURNED) owner_.OnReturned(*this, entry);
  if (entry.kind() != v1::ENTRY_MESSAGE) return;
  if (!NewInConversation(entry)) return;
  if (entry.gone()) {
    thread_.tally.Fail(account_.name + ": the body of entry " + std::to_string(entry.seq()) +
                       " is gone");
    return;
  }
  owner_.OnEntry(*this, entry, now_ns);
}

bool LoadClient::NewInConversation(const v1::Entry& entry) {
  const int64_t a = entry.conversation().a();
  const int64_t b = entry.conversation().b();
  auto it = std::find_if(followed_.begin(), followed_.end(),
                         [a, b](const Followed& f) { return f.a == a && f.b == b; });
  if (it == followed_.end()) it = followed_.insert(it, Followed{a, b, {}, entry.conv_seq()});
  if (entry.conv_seq() < it->first) {
    ++thread_.tally.out_of_order;
    return true;
  }
  switch (it->places.Add(static_cast<uint32_t>(entry.conv_seq() - it->first))) {
    case OrderCheck::Seen::kNext:
    case OrderCheck::Seen::kAhead:
      return true;
    case OrderCheck::Seen::kLate:
      ++thread_.tally.out_of_order;
      return true;
    case OrderCheck::Seen::kAgain:
      ++thread_.tally.duplicated;
      return false;
  }
  return true;
}

}  // namespace hongyan::bench
