#include "opening.h"

#include <algorithm>

#include "hongyan/v1/command.pb.h"
#include "refusal.h"

namespace hongyan::bench {
namespace {

constexpr int64_t kShortestTickNs = 100'000;

}  // namespace

Opening::Opening(Stage& stage, PacketBooks& books, const std::vector<Account>& accounts,
                 size_t openers, uint32_t first_person)
    : stage_(stage), books_(books), first_person_(first_person) {
  stage_.Run([&] {
    openers_.reserve(openers);
    for (size_t i = 0; i < openers; ++i) {
      Opener opener;
      opener.client = std::make_unique<LoadClient>(
          stage_.thread(), *this, accounts[i], stage_.SourceOf(i, openers), LoadClient::Pulls::kNo,
          static_cast<uint32_t>(i));
      opener.asker = std::make_unique<Asker>(stage_.thread(), *opener.client);
      openers_.push_back(std::move(opener));
    }
  });
}

Opening::~Opening() {
  stage_.Run([this] {
    timer_.reset();
    for (Opener& opener : openers_) {
      opener.client->GoOffline();
      opener.asker.reset();
    }
    openers_.clear();
  });
}

bool Opening::Connect() {
  stage_.Run([this] {
    for (Opener& opener : openers_) opener.client->GoOnline();
  });
  return stage_.WaitUntil(
      "all " + std::to_string(openers_.size()) + " who will open are logged in", [this] {
        return std::all_of(openers_.begin(), openers_.end(),
                           [](const Opener& opener) { return opener.client->online(); });
      });
}

// ---- which packet next ----

void Opening::SetPackets(std::vector<uint32_t> packets, size_t at_a_time) {
  packets_ = std::move(packets);
  at_a_time_ = std::max<size_t>(1, std::min(at_a_time, packets_.size()));
  for (Opener& opener : openers_) opener.next = 0;
  ran_out_ = false;
}

// Within each set everybody begins somewhere else, so that at any time all of it is being opened.
bool Opening::Next(uint32_t index, int64_t planned_ns) {
  Opener& opener = openers_[index];
  if (opener.next == packets_.size()) {
    ran_out_ = true;
    return false;
  }
  const size_t begin = opener.next / at_a_time_ * at_a_time_;
  const size_t size = std::min(at_a_time_, packets_.size() - begin);
  const size_t offset = index * size / openers_.size();
  opener.packet = packets_[begin + (opener.next - begin + offset) % size];
  ++opener.next;
  ++asked_;
  if (step_ == Step::kGrabAndOpen) ++grabs_;
  Ask(index, step_ == Step::kGrabAndOpen ? v1::GRAB_PACKET : v1::OPEN_PACKET, planned_ns);
  return true;
}

// A grab and an open look the same: field 1 is the packet.
void Opening::Ask(uint32_t index, uint16_t command, int64_t planned_ns) {
  Opener& opener = openers_[index];
  wire_.set_packet_id(books_.packet(opener.packet).id);
  wire_.SerializeToString(&stage_.thread().payload);
  if (command == v1::GRAB_PACKET) {
    return opener.asker->Ask(command, stage_.thread().payload, planned_ns,
                             [this, index](const Asker::Reply& r) { OnGrabbed(index, r); });
  }
  opener.asker->Ask(command, stage_.thread().payload, planned_ns,
                    [this, index](const Asker::Reply& r) { OnOpened(index, r); });
}

// ---- load ----

void Opening::StartClosed(Step step) {
  step_ = step;
  open_loop_ = false;
  running_ = true;
  for (uint32_t i = 0; i < openers_.size(); ++i) (void)Next(i, NowNs());
}

void Opening::StartOpen(Step step, double rate_per_s) {
  step_ = step;
  open_loop_ = true;
  running_ = true;
  due_ = started_ = 0;
  free_.clear();
  for (uint32_t i = 0; i < openers_.size(); ++i) free_.push_back(i);
  plan_ = OpenLoop(NowNs() + 1'000'000, rate_per_s);
  timer_ = std::make_unique<PreciseTimer>(stage_.thread().runtime, [this] { Tick(); });
  timer_->Arm(plan_.PlannedNs(0));
}

void Opening::Tick() {
  if (!running_) return;
  const int64_t now = NowNs();
  while (plan_.PlannedNs(due_) <= now) ++due_;
  StartDue();
  timer_->Arm(std::max(plan_.PlannedNs(due_), now + kShortestTickNs));
}

void Opening::StartDue() {
  while (running_ && started_ < due_ && !free_.empty()) {
    const uint32_t index = free_.front();
    free_.pop_front();
    if (Next(index, plan_.PlannedNs(started_))) ++started_;
  }
}

void Opening::Stop() {
  running_ = false;
  if (timer_) timer_->Disarm();
}

bool Opening::Idle() const {
  return std::all_of(openers_.begin(), openers_.end(),
                     [](const Opener& opener) { return opener.asker->waiting() == 0; });
}

void Opening::BeginWindow() {
  asked_ = opened_ = grabs_ = 0;
  open_.Clear();
  grab_.Clear();
}

void Opening::Go(uint32_t index) {
  if (!running_) return;
  if (!open_loop_) return (void)Next(index, NowNs());
  free_.push_back(index);
  StartDue();
}

void Opening::OnGrabbed(uint32_t index, const Asker::Reply& reply) {
  grab_.AddNs(reply.now_ns - reply.asked_ns);
  if (reply.refused != nullptr) return Refused(index, reply);
  Ask(index, v1::OPEN_PACKET, open_loop_ ? reply.asked_ns : reply.now_ns);
}

void Opening::OnOpened(uint32_t index, const Asker::Reply& reply) {
  open_.AddNs(reply.now_ns - reply.asked_ns);
  if (reply.refused != nullptr) return Refused(index, reply);
  if (!reply.Read(reply_)) return stage_.tally().Fail("the answer to an open cannot be read");
  books_.ClaimedOnce(openers_[index].packet, first_person_ + index, reply_);
  ++opened_;
  ++total_opened_;
  Go(index);
}

// There is a share for everybody: nobody may be sent away.
void Opening::Refused(uint32_t index, const Asker::Reply& reply) {
  stage_.tally().Fail(openers_[index].client->account().name + ": packet " +
                      std::to_string(books_.packet(openers_[index].packet).id) +
                      " has a share for everybody, but " + Describe(*reply.refused));
}

}  // namespace hongyan::bench
