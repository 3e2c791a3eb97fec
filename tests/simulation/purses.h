#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "simulation/front_door.h"
#include "simulation/money_witness.h"
#include "simulation/plan.h"
#include "simulation/random.h"
#include "simulation/witness.h"

namespace hongyan::simulation {

// What people and an administrator do with money: deposits and withdrawals, sends of all kinds,
// grabs and opens, returns, freezes. What was asked for is asked again until it is answered for
// good, as a client does that lost the answer: sometimes in two copies, sometimes again after the
// answer, sometimes under the same id with another meaning; a client may also lose it all. An open
// carries an answer about membership that may be old by then. One thread.
class Purses {
 public:
  struct Ground {
    Random& random;
    const base::ManualClock& clock;
    const Plan& plan;
    const Faults& faults;
    Trace& trace;
    Witness& witness;
    MoneyWitness& money;
  };

  explicit Purses(Ground ground) : ground_(ground) {}

  // Everybody gets something to begin with.
  void Endow();

  // A moment passes; `door` is null while no server can be reached. `busy`: somebody does
  // something.
  void Act(FrontDoor* door, bool busy);

  bool idle() const { return asked_.empty(); }
  std::string Describe() const;

 private:
  struct Asked {
    model::CommandBody body;
    int64_t not_before_ns = 0;
    int64_t sent_ns = 0;  // in flight since; 0 = not
    bool echo = false;    // what was answered before, again
  };

  int64_t now() const { return ground_.clock.BootNs(); }
  model::RequestId NewId(const FrontDoor& door, int64_t ago_ms = 0);
  model::UserId SomebodyIn(const model::ConversationId& conversation);
  void Ask(model::CommandBody body, int64_t after_ms = 0, bool echo = false);
  void Send(FrontDoor& door, uint64_t number);
  // `had_claim`: the opener had opened it before this was sent.
  void OnReply(FrontDoor& door, uint64_t number, bool had_claim, const model::Reply& reply);
  void AskAgain(const model::CommandBody& body);

  void Think(FrontDoor& door);
  void MoveSomething();
  void SendSomething(FrontDoor& door);
  model::PacketTerms SomeTerms(FrontDoor& door);
  void OpenSomething(FrontDoor& door);
  void ReturnSomething();

  const Ground ground_;
  std::map<uint64_t, Asked> asked_;
  uint64_t next_ = 1;
  int64_t next_move_ = 1;
};

}  // namespace hongyan::simulation
