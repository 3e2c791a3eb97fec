#pragma once

#include <cstdint>
#include <vector>

#include "account/directory.h"
#include "account/login_limits.h"
#include "account/passwords.h"
#include "account/tokens.h"
#include "base/clock.h"
#include "base/worker_pool.h"
#include "conversation/reader.h"
#include "inbox/online_heads.h"
#include "inbox/reader.h"
#include "money/board.h"
#include "money/eligibility.h"
#include "money/limits.h"
#include "money/reader.h"
#include "money/routes.h"
#include "overload/admission.h"
#include "shard/executor.h"
#include "shard/router.h"

namespace hongyan::access {

// What of money the front door stands on.
struct MoneyServices {
  const money::Routes& routes;
  money::Board& board;
  const money::Reader& reader;
  const money::Eligibility& eligibility;
  const money::Limits limits;
  // Of its own: money is not refused because chat is overloaded, nor the other way.
  overload::Admission& admission;
};

// The parts of the house that the front door stands on; all outlive it. The composition root fills
// it in. Each may be used on any thread.
struct Services {
  // Which queue a request's class is admitted to.
  overload::Admission& AdmissionOf(model::Priority priority) const {
    return priority == model::Priority::kMoney ? money.admission : admission;
  }

  const base::Clock& clock;
  const shard::Router& router;
  inbox::OnlineHeads& online;
  const inbox::Reader& inboxes;
  const conversation::Reader& conversations;
  const account::Directory& directory;
  const account::Tokens& tokens;
  const account::Passwords& passwords;
  account::LoginLimits& login_limits;
  overload::Admission& admission;
  MoneyServices money;
  base::WorkerPool& readers;  // what may read the disk
  base::WorkerPool& hashers;  // passwords
};

struct Limits {
  size_t frame_bytes = 1 << 20;
  size_t body_bytes = 64 << 10;
  int requests_in_flight = 64;
  int64_t hello_timeout_ms = 10'000;
  int64_t login_timeout_ms = 10'000;
  int64_t idle_timeout_ms = 660'000;
  size_t group_members = 10'000;
  size_t group_changes = 200;     // users added or removed by one request
  size_t groups_per_user = 5000;  // that a user made and is still in
};

}  // namespace hongyan::access
