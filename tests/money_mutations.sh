#!/bin/bash
# Proof that the tests of money bite: takes each guard away, one at a time, and expects a test to fail: of a
# room, of a store's contract, the simulator, or a power cut under the real server. Works on a copy under
# build/money-mutations; takes an hour on two cores, so it is no part of scripts/test.
#
#   tests/money_mutations.sh            all
#   tests/money_mutations.sh NAME...    only these
#
# Exit code 1: a mutation survived, or no longer fits the source.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/mutate.sh money-mutations "$@"

# -- the rooms of a money shard
money=server/money
by money_test "$tests/money_test" --abort-after=1
mutate own-claim-first $money/judge.cc \
  'if (own != nullptr) return Judged{Judged::Kind::kAlready, ToOpened(*own, true)};' ''
mutate expiry-in-the-commit $money/judge.cc \
  'if (header.expires_ms <= time_ms) return Refusal(Reason::kPacketExpired);' ''
mutate expiry-by-a-millisecond $money/judge.cc 'header.expires_ms <= time_ms' 'header.expires_ms < time_ms'
mutate eligibility-in-the-command $money/judge.cc \
  'if (!eligible->yes) return Refusal(Reason::kNotEligible);' ''
mutate unique-claim $money/packets.cc \
  'own->has_value() ? &**own : nullptr, open.user' 'nullptr, open.user'
mutate close-only-by-close $money/closing.cc \
  'auto closed = Close(work, packet, PacketState::kReturned,
                      admin ? ReturnReason::kByAdmin : ReturnReason::kReturned, command.user);
  if (!closed) return closed.error();' \
  'model::PacketStatus status = packet.status; status.state = PacketState::kReturned; status.left_fen = 0;
  live_.PutStatus(work, packet, status);'
mutate named-person $money/judge.cc 'if (terms.named && terms.named != user)' 'if (false)'
mutate own-packet $money/judge.cc 'if (user == terms.sender && !shared_in_group)' 'if (false)'
mutate send-past-a-stopped-chat $money/wallets.cc \
  'if (auto may = MayEmit(work, routes_.ConversationOf(terms.conversation)); !may) {
    return model::Reply(std::move(may).error());
  }' ''
mutate audit-accuses-unread $money/audit.cc 'if (!shard_read_) return;' ''
mutate unannounced-is-busy $money/judge.cc \
  'if (status.state == model::PacketState::kCreated) return Busy(kUnannouncedRetryMs);' ''
mutate insert-never-upsert $money/packets.cc 'if (*found != nullptr) {
    // An insert' 'if (false) {
    // An insert'
mutate day-window $money/packets.cc 'id->day < today - 1 || id->day > today + 1' 'false'
mutate day-window-narrower $money/packets.cc 'id->day < today - 1' 'id->day < today'
mutate verdict-once $money/packets.cc '(*found)->status.state != PacketState::kCreated' 'false'
mutate announced-is-kept $money/packets.cc 'status.announced = true;' ''
mutate close-once $money/closing.cc \
  'if (model::Closed(packet.status.state)) return Refusal(ReasonOf(packet.status.state));' ''
mutate refund-of-what-is-left $money/closing.cc 'status.refund_fen = refund;' 'status.refund_fen = refund - 1;'
mutate escrow-posting $money/packets.cc \
  'books_.Post(work, Account::kEscrow, Account::kTransitOut, claim.amount_fen)' \
  'books_.Post(work, Account::kEscrow, Account::kSuspense, claim.amount_fen)'
mutate stray-expiry-key $money/closing.cc 'if (packet.header->expires_ms != expiry.expires_ms) {' 'if (false) {'
mutate return-may-emit $money/closing.cc \
  'if (auto may = MayEmit(work, routes_.WalletOf(terms.sender)); !may) return may.error();' ''
mutate parked-may-emit $money/closing.cc \
  'if (auto may = MayEmit(work, routes_.WalletOf(owner)); !may) return may;' ''
mutate split-version $money/proof.cc 'header.split_version != 1 ||' ''
mutate secret-by-number $money/proof.cc 'identity.secrets[header.secret_number]' 'identity.secrets.back()'
mutate sweep-goes-on $money/closing.cc 'if (packet.status.quarantined || model::Closed(packet.status.state)) return true;' \
  'if (packet.status.quarantined || model::Closed(packet.status.state)) return false;'
mutate quarantine-by-sweep $money/closing.cc 'Quarantine(work, packet, flaw->text);
    return true;' 'return false;'
mutate sweep-place-after-drop $money/packets.cc 'live_.Drop();
  sweep_ = committed_sweep_;' 'live_.Drop();'
mutate sweep-sees-new-packets $money/packets.cc \
  'sweep_.next_ms = std::min(sweep_.next_ms, made.header->expires_ms);' ''
mutate quarantine-to-suspense $money/closing.cc 'status.held_fen = held;' ''
mutate return-no-more-than-agreed $money/closing.cc 'std::min(status.left_fen, derived)' \
  'status.left_fen'
mutate return-while-views-differ $money/closing.cc '|| rest != derived;' ';'
mutate payload-hash $money/wallets.cc \
  'if ((*outcome)->hash != hash) return Refusal(Reason::kConflict);' ''
mutate hash-of-greeting $money/wallets.cc 'meaning.append(terms.greeting);' ''
mutate outcome-in-the-batch $money/wallets.cc 'outcomes_[key] = outcome;' ''
mutate refusal-remembered $money/wallets.cc 'PutOutcome(work, key, {hash, {}, refusal.reason' \
  'if (false) PutOutcome(work, key, {hash, {}, refusal.reason'
mutate busy-not-remembered $money/wallets.cc 'if (!place) return model::Reply(std::move(place).error());' \
  'if (!place) return Remember(work, key, hash, std::move(place).error());'
mutate pending-not-remembered $money/wallets.cc \
  'if (work.arrivals_missing()) return Refusal(Reason::kFundsPending);' ''
mutate forced-credit $money/wallets.cc 'if (!work.waited()) {' 'if (false) {'
mutate freeze $money/wallets.cc 'if (wallet.frozen)' 'if (false)'
mutate balance $money/wallets.cc 'if (wallet.balance_fen < terms.total_fen)' 'if (false)'
mutate request-age $money/wallets.cc 'if (age_ms > model::kMaxRequestAgeMs) return Refusal(Reason::kRequestTooOld);' ''
mutate edge-verdict-remembered $money/wallets.cc 'if (send.no) return Remember(work, key, hash, *send.no);' \
  'if (send.no) return *send.no;'
mutate told-after-recovery $money/wallets.cc \
  'for (const model::UserId user : dropped_) effects.push_back(model::WalletChanged{user});' ''
mutate parked-money-posted $money/closing.cc \
  'books_.Post(work, Account::kSuspense, Account::kTransitOut, fen)' \
  'books_.Post(work, Account::kEscrow, Account::kTransitOut, fen)'
mutate audit-ended $money/audit.cc 'ended_ = ended_ || (options_.ended && options_.ended());' ''
mutate returned-outcome $money/wallets.cc 'outcome->returned = item.reason;' ''
mutate move-once $money/moves.cc 'return **known;' ';'
mutate withdrawal-balance $money/moves.cc 'if (wallet.balance_fen < -move.amount_fen) {' 'if (false) {'
mutate counter-in-the-books $money/books.cc 'now_.id_counter = parts.counter + 1;' ''
mutate day-never-falls $money/books.cc 'std::max(now_.id_day, DayOf(work.time_ms()))' 'DayOf(work.time_ms())'
mutate generation-raises $money/books.cc 'if (generation_ > now_.generation) {' 'if (false) {'
mutate world-bound $money/books.cc \
  'if (next.world_fen < -kMaxFen || next.world_fen > kMaxFen) {' 'if (false) {'
mutate books-dropped $money/books.cc 'if (changed_) now_ = *committed_;' ''
mutate claims-dropped $money/live_packets.cc \
  'for (const model::Claim& claim : packet.new_claims) packet.claims.erase(claim.user);' ''
mutate status-dropped $money/live_packets.cc 'packet.status = packet.committed;' ''
mutate claims-with-the-packet $money/live_packets.cc 'live->claims.emplace(claim.user, claim)' '(void)claim'
mutate claims-counted $money/packets.cc 'if (static_cast<int64_t>(packet.claims.size()) == taken)' 'if (true)'
mutate board-has-all-claims $money/board.cc 'if (posted.claims->size() > shown.claims.size())' 'if (false)'
mutate board-by-no-clock $money/board.cc 'user, eligible, kNoClock' 'user, eligible, time_ms'
mutate board-in-flight $money/board.cc 'if (in_flight >= shown.status.left + kSlack)' 'if (false)'
mutate announced-when-let-go $money/closing.cc 'Announce(work, *packet.header);' ''
mutate unreadable-tried-again $money/closing.cc \
  'sweep_.again_ms = std::min(sweep_.again_ms, work.time_ms() + kBrokenRetryMs);' ''
mutate best-luck-earliest $money/packets.cc 'claim.amount_fen > status.best_fen' \
  'claim.amount_fen >= status.best_fen'
mutate refusals-of-a-lost-batch server/shard/recover.cc \
  'for (auto& reply : replies) reply.reply = StoreStopped("not stored; send the same request again");' \
  'for (auto& reply : replies) if (reply.reply.ok()) reply.reply = StoreStopped("not stored");'
mutate who-may-see $money/reader.cc 'if (!member && !own->has_value()' 'if (false && !own->has_value()'
mutate own-claim-read-again $money/reader.cc \
  'own = packets_.FindClaim(*shard, packet, user);  // it may' '// it may'

mutate history-year-end $money/reader.cc 'if (!later(*row)) return before;' 'return before;'
mutate history-year-begin $money/reader.cc 'if (YearOf(row.time_ms) < year) return page;' ''
mutate move-done-before $money/moves.cc '(*known)->already = true;' ''
mutate day-over $money/days.cc 'if (DayOf(work.time_ms()) < day.day + 2) {' 'if (DayOf(work.time_ms()) < day.day + 1) {'
mutate day-closed $money/days.cc 'if (!model::Closed(packet.status.state)) return' 'if (false) return'
mutate day-without-quarantine $money/days.cc 'if (packet.status.quarantined) return' 'if (false) return'
mutate day-adds-up $money/days.cc 'return NotDrained(shard, day, name + " does not add up: " + flaw->text);' ''
mutate audit-reads-day-files $money/audit.cc 'ReadDays(shard);' ''
mutate day-ends-with-the-server $money/days.cc 'if (!ended || !ended()) return {};' 'return {};'
mutate day-acknowledged $money/days.cc 'if (auto complete = CheckAcknowledged(day); !complete) return complete.error();' ''
mutate day-acknowledged-to-the-last $money/days.cc '**oldest > number' '**oldest >= number'
mutate day-archived-once $money/days.cc 'if (again && (*found)->hash != day.hash) return Refusal(model::Reason::kDayDrained);' ''
mutate day-archived-with-its-file $money/days.cc \
  'if (auto good = store.days().Verify(shard, **found); !good) return good.error();' ''
mutate day-half-restored-goes-again $money/days.cc 'return **std::move(found);' 'return ArchivedDay();'
mutate day-restored-whole $money/days.cc \
  'if (auto good = store.days().Verify(shard, archived); !good) return good;' ''


# -- both ends of a channel
by shard_test "$tests/shard_test" --abort-after=1
mutate running-total server/shard/arrivals.cc \
  'if (item.item == nullptr ? given >= 0 : given == model::FenOf(*item.item)) return given;' 'return given;'
mutate totals-not-compared server/shard/courier.cc \
  '} else if (progress.applied == head_ && progress.total_fen != head_total_fen_) {' '} else if (false) {'
mutate channel-number server/shard/arrivals.cc \
  'if (item.number < expected) continue;' ''
mutate share-of-closes server/shard/executor.cc \
  'due ? all.records - all.records / kDueShare : all.records' 'all.records'
mutate put-aside-for-ever server/shard/put_aside.cc 'if (!complete && !all && now_ns < it->until_ns) continue;' \
  'if (!complete && !all) continue;' 'now_ns >= waiting.until_ns ||' ''
mutate set-apart server/shard/alone.cc 'apart = run.SetApart(command);' 'apart = false;'
mutate suspects-wait server/shard/alone.cc 'suspects.Add(command, clock.BootNs());' ''
mutate refused-item-parked server/shard/alone.cc \
  'run.ParkNext(arrivals, channel, "the store refused what it writes, alone in a batch");' ''
mutate refused-due-set-apart server/shard/alone.cc 'run.SetApartDue(shard);' ''
mutate parked-once server/shard/parked.cc 'Unpark(*parked);' ''
mutate retry-bounded server/shard/parked.cc 'if (answer.more) return false;' ''
mutate accepted-is-parked server/shard/batch_run.cc \
  'PutParked({channel, *place, {}, time_ms_, why, {}, 0, fen});' ''
mutate parked-beside-parked server/shard/parked.cc 'if (!taken) return number;' 'return number;'
mutate rolled-back-source server/shard/arrivals.cc 'if (committed_.applied > source_head_) {' \
  'if (committed_.applied > source_head_ && committed_.incarnation == incarnation_) {'

# -- what the stores promise
by contract_test "$tests/contract_test" --abort-after=1
mutate expiry-key-with-the-packet server/storage/rocksdb/rocksdb_packets.cc \
  'Staged(batch).Put(Table::kExpiries, ExpiryKey(shard, header.expires_ms, header.id), {});' ''
mutate expiry-key-stays server/storage/rocksdb/rocksdb_packets.cc \
  'Staged(batch).Delete(Table::kExpiries, ExpiryKey(shard, header.expires_ms, header.id));' ''
mutate day-rows-go server/storage/rocksdb/rocksdb_days.cc \
  'for (const Table table : kTablesOfDays) staged.DeleteRange(table, first, end);' ''
mutate day-row-with-the-rows server/storage/rocksdb/rocksdb_days.cc \
  'staged.Put(Table::kRest, DayKey(shard, day.day), EncodeDay(day));' ''
mutate day-known-after-restart server/storage/rocksdb/rocksdb_money_store.cc \
  'if (auto loaded = impl->files.Load(); !loaded) return loaded.error();' ''
mutate day-archived-until-restored server/storage/rocksdb/rocksdb_days.cc \
  'if (restored.done) staged.Delete(Table::kRest, DayKey(shard, day));' \
  'staged.Delete(Table::kRest, DayKey(shard, day));'
mutate day-file-by-its-hash server/storage/rocksdb/rocksdb_days.cc \
  'if (*hash == day.hash) {' 'if (true) {'
mutate reclaim-can-be-stopped server/storage/rocksdb/database.cc 'options.canceled = &stop_compacting_;' ''
mutate close-stops-reclaiming server/storage/rocksdb/database.cc 'StopCompacting(); const bool had_failed' 'const bool had_failed'
mutate too-many-files server/storage/rocksdb/small_files.cc '&& files.size() < kTooManyFiles' ''
mutate mark-after-sync server/storage/rocksdb/store_core.cc \
  'channels_.StageTrims(&writes);' \
  'channels_.StageTrims(&writes); if (!options_.unsafe_no_sync) keeper_->Durable(staged.heads());'
mutate commit-without-sync server/storage/rocksdb/database.cc 'options.sync = options_.sync;' 'options.sync = false;'

# -- the rooms of a message shard, where money speaks
by messaging_test "$tests/messaging_test" --abort-after=1
mutate announced-twice server/conversation/packet_messages.cc \
  'if (before->has_value()) return model::VerdictItem{packet.id, true, (*before)->seq, 0};' ''

# -- the front door and the back door
by front_door_test "$tests/front_door_test" --abort-after=1
mutate total-for-its-sender server/access/money_wire.cc \
  'if (show == Show::kAll || model::Closed(status.state)) {' '{'
mutate open-asks-the-shard server/access/packets.cc \
  'if (!look && wish == Wish::kOpen && ShardMustSay(look.error())) {' 'if (false) {'
mutate admission-of-its-own server/access/services.h 'model::Priority::kMoney ? money.admission :' \
  'model::Priority::kMoney ? admission :'
mutate wallet-changed-is-told server/access/session.cc 'header.command = v1::WALLET_CHANGED;
  connection_.Send(header, {});' 'header.command = v1::WALLET_CHANGED;'
mutate audit-waits server/admin/packets.cc 'return wait && !ending_' 'return false && wait && !ending_'
mutate audit-of-transit server/admin/packets.cc 'if (wait && report.in_transit_fen != 0) {' 'if (false) {'
mutate credit-awaited server/admin/channels.cc \
  'if (auto arrived = AwaitArrivals(packet, (*user)->id, back.target); !arrived) {' \
  'if (base::Result<void> arrived; !arrived) {'

# -- the simulator, which knows nothing of how the books are kept
by simulation "$bin/simulation" --seeds 1..500
mutate sim-reply-before-commit server/shard/executor.cc \
  'const CommitOutcome outcome = store.Commit(run.Seal());
  ++counts.batches;' \
  'outlet.Replies(run.replies); run.replies.clear();
  const CommitOutcome outcome = store.Commit(run.Seal());
  ++counts.batches;'
mutate sim-own-claim-first $money/judge.cc \
  'if (own != nullptr) return Judged{Judged::Kind::kAlready, ToOpened(*own, true)};' \
  'if (own != nullptr && !model::Closed(status.state)) return Judged{Judged::Kind::kAlready, ToOpened(*own, true)};'
mutate sim-unique-claim $money/packets.cc \
  'own->has_value() ? &**own : nullptr, open.user' 'nullptr, open.user'
mutate sim-expiry-in-the-commit $money/judge.cc \
  'if (header.expires_ms <= time_ms) return Refusal(Reason::kPacketExpired);' ''
mutate sim-eligibility $money/judge.cc 'if (!eligible->yes) return Refusal(Reason::kNotEligible);' ''
mutate sim-payload-hash $money/wallets.cc \
  'if ((*outcome)->hash != hash) return Refusal(Reason::kConflict);' ''
mutate sim-busy-remembered $money/wallets.cc 'if (!place) return model::Reply(std::move(place).error());' \
  'if (!place) return Remember(work, key, hash, std::move(place).error());'
mutate sim-pending-remembered $money/wallets.cc \
  'if (work.arrivals_missing()) return Refusal(Reason::kFundsPending);' \
  'if (work.arrivals_missing()) return Remember(work, key, hash, Refusal(Reason::kFundsPending));'
mutate sim-refusal-forgotten $money/wallets.cc 'PutOutcome(work, key, {hash, {}, refusal.reason' \
  'if (false) PutOutcome(work, key, {hash, {}, refusal.reason'
mutate sim-batch-forgets-outcome $money/wallets.cc 'outcomes_[key] = outcome;' ''
mutate sim-move-twice $money/moves.cc 'return **known;' ';'
mutate sim-counter-not-kept $money/books.cc 'now_.id_counter = parts.counter + 1;' ''
mutate sim-books-not-dropped $money/books.cc 'if (changed_) now_ = *committed_;' ''
mutate sim-status-not-dropped $money/live_packets.cc 'packet.status = packet.committed;' ''
mutate sim-claims-not-dropped $money/live_packets.cc \
  'for (const model::Claim& claim : packet.new_claims) packet.claims.erase(claim.user);' ''
mutate sim-unknown-keeps-packets $money/packets.cc 'live_.Forget();' ''
mutate sim-unknown-keeps-wallets $money/wallets.cc 'wallets_.Forget();' ''
mutate sim-unannounced-opens $money/judge.cc \
  'if (status.state == model::PacketState::kCreated) return Busy(kUnannouncedRetryMs);' ''
mutate sim-verdict-reopens $money/packets.cc '(*found)->status.state != PacketState::kCreated' 'false'
mutate sim-close-twice $money/closing.cc \
  'if (model::Closed(packet.status.state)) return Refusal(ReasonOf(packet.status.state));' ''
mutate sim-refund-of-the-total $money/closing.cc 'const int64_t refund = status.left_fen;' \
  'const int64_t refund = header.terms.total_fen;'
mutate sim-sweep-forgets $money/packets.cc \
  'sweep_.next_ms = std::min(sweep_.next_ms, made.header->expires_ms);' ''
mutate sim-sweep-place-kept $money/packets.cc 'live_.Drop();
  sweep_ = committed_sweep_;' 'live_.Drop();'
mutate sim-reverse-dropped $money/packets.cc \
  'return Reverse(work, item, model::ReturnReason::kTooLate);' 'return shard::ItemOutcome::Applied();'
mutate sim-credit-dropped $money/wallets.cc \
  'Book(work, std::move(wallet), std::move(row));
  ++tally_.credits;' '++tally_.credits;'
mutate sim-return-not-told $money/wallets.cc 'work.Emit(routes_.InboxOf(item.sender),' \
  'if (item.created) work.Emit(routes_.InboxOf(item.sender),'
mutate sim-strangers-announce server/conversation/packet_messages.cc \
  'if (!may) return Refused(packet.id, may.error());' ''
mutate sim-notice-before-message $money/closing.cc 'if (!announced) return {};' ''
mutate sim-board-by-no-clock $money/board.cc 'user, eligible, kNoClock' 'user, eligible, time_ms'
mutate sim-half-restored-stays $money/days.cc 'return **std::move(found);' 'return ArchivedDay();'
mutate sim-board-shows-before $money/live_packets.cc \
  'Touch(packet);
  packet.status = status;' 'Touch(packet); packet.status = packet.committed = status;'
mutate sim-doubled-items server/shard/arrivals.cc \
  'if (item.number < expected) continue;' '' \
  'if (message.items.back().number <= committed_.applied) return Progress();' ''
mutate sim-mark-not-stored server/shard/batch_run.cc \
  'channels.PutMark(*batch_, channel, arrivals.mark());' ''
mutate sim-lost-tail-guessed server/shard/courier.cc \
  '} else if (progress.applied > shown_) {' '} else if (false) {'
mutate sim-lost-target-guessed server/shard/courier.cc \
  '} else if (progress.applied < oldest_kept_ - 1) {' '} else if (false) {'

# -- a power cut under the real server
by "hongyand hongyan-bench hongyan_fault" "$bin/hongyan-bench" redpacket --spawn --groups 4 --members 20 \
  --packets 10 --life 2 --quiet --seed 1 --kill-every 0.3 --min-kills 4 --lose-unsynced
mutate power-cut-without-sync server/storage/rocksdb/database.cc 'options.sync = options_.sync;' \
  'options.sync = false;'

verdict
