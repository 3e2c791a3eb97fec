#include "storage/rocksdb/money_rows.h"

#include <algorithm>
#include <limits>

#include "schema/rocksdb/rows.pb.h"

namespace hongyan::storage {

namespace {

namespace pb = ::hongyan::store::v1;

template <class Row>
bool Parse(rocksdb::Slice value, Row* row) {
  return value.size() <= std::numeric_limits<int>::max() &&
         row->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

// An enum whose last value is `last`.
template <class Enum>
bool Take(int32_t stored, Enum last, Enum* value) {
  if (stored < 0 || stored > static_cast<int32_t>(last)) return false;
  *value = static_cast<Enum>(stored);
  return true;
}

bool Fits16(int32_t value) { return value >= 0 && value <= UINT16_MAX; }

}  // namespace

std::string EncodeWallet(const model::Wallet& wallet) {
  pb::WalletRow row;
  row.set_balance_fen(wallet.balance_fen);
  row.set_account_seq(wallet.account_seq);
  row.set_frozen(wallet.frozen);
  for (const auto& [number, total] : wallet.years) {
    auto* year = row.add_years();
    year->set_year(number);
    year->set_sent_count(total.sent_count);
    year->set_sent_fen(total.sent_fen);
    year->set_returned_fen(total.returned_fen);
    year->set_received_count(total.received_count);
    year->set_received_fen(total.received_fen);
  }
  return row.SerializeAsString();
}

bool DecodeWallet(rocksdb::Slice value, model::Wallet* wallet) {
  pb::WalletRow row;
  if (!Parse(value, &row)) return false;
  wallet->balance_fen = row.balance_fen();
  wallet->account_seq = row.account_seq();
  wallet->frozen = row.frozen();
  for (const auto& year : row.years()) {
    wallet->years[year.year()] = {year.sent_count(), year.sent_fen(), year.returned_fen(),
                                  year.received_count(), year.received_fen()};
  }
  return true;
}

std::string EncodeStatement(const model::StatementRow& row) {
  pb::StatementRowValue value;
  value.set_kind(static_cast<int32_t>(row.kind));
  value.set_amount_fen(row.amount_fen);
  value.set_balance_fen(row.balance_fen);
  value.set_time_ms(row.time_ms);
  value.set_packet(row.packet.value);
  value.set_packet_kind(static_cast<int32_t>(row.packet_kind));
  value.set_peer(row.peer.value);
  value.set_reason(static_cast<int32_t>(row.reason));
  value.set_note(row.note);
  return value.SerializeAsString();
}

bool DecodeStatement(rocksdb::Slice value, model::StatementRow* row) {
  pb::StatementRowValue parsed;
  if (!Parse(value, &parsed)) return false;
  row->amount_fen = parsed.amount_fen();
  row->balance_fen = parsed.balance_fen();
  row->time_ms = parsed.time_ms();
  row->packet = model::PacketId(parsed.packet());
  row->peer = model::UserId(parsed.peer());
  row->note = parsed.note();
  return Take(parsed.kind(), model::StatementKind::kRefund, &row->kind) &&
         Take(parsed.packet_kind(), model::PacketKind::kTransfer, &row->packet_kind) &&
         Take(parsed.reason(), model::ReturnReason::kByAdmin, &row->reason);
}

std::string EncodeSend(const model::SendOutcome& outcome) {
  pb::SendRow row;
  row.set_hash(outcome.hash);
  row.set_packet(outcome.packet.value);
  row.set_rule(outcome.rule);
  row.set_time_ms(outcome.time_ms);
  row.set_returned(static_cast<int32_t>(outcome.returned));
  return row.SerializeAsString();
}

bool DecodeSend(rocksdb::Slice value, model::SendOutcome* outcome) {
  pb::SendRow row;
  if (!Parse(value, &row) || !Fits16(row.rule())) return false;
  outcome->hash = row.hash();
  outcome->packet = model::PacketId(row.packet());
  outcome->rule = static_cast<uint16_t>(row.rule());
  outcome->time_ms = row.time_ms();
  return Take(row.returned(), model::ReturnReason::kByAdmin, &outcome->returned);
}

std::string EncodeMove(const model::MoveOutcome& outcome) {
  pb::MoveRow row;
  row.set_amount_fen(outcome.amount_fen);
  row.set_account_seq(outcome.account_seq);
  row.set_balance_fen(outcome.balance_fen);
  row.set_time_ms(outcome.time_ms);
  return row.SerializeAsString();
}

bool DecodeMove(rocksdb::Slice value, model::MoveOutcome* outcome) {
  pb::MoveRow row;
  if (!Parse(value, &row)) return false;
  *outcome = {row.amount_fen(), row.account_seq(), row.balance_fen(), row.time_ms()};
  return true;
}

std::string EncodeBooks(const model::Books& books) {
  pb::BooksRow row;
  row.set_wallets_fen(books.wallets_fen);
  row.set_escrow_fen(books.escrow_fen);
  row.set_suspense_fen(books.suspense_fen);
  row.set_world_fen(books.world_fen);
  row.set_transit_out_fen(books.transit_out_fen);
  row.set_transit_in_fen(books.transit_in_fen);
  row.set_id_day(books.id_day);
  row.set_id_counter(books.id_counter);
  row.set_generation(books.generation);
  return row.SerializeAsString();
}

bool DecodeBooks(rocksdb::Slice value, model::Books* books) {
  pb::BooksRow row;
  if (!Parse(value, &row)) return false;
  books->wallets_fen = row.wallets_fen();
  books->escrow_fen = row.escrow_fen();
  books->suspense_fen = row.suspense_fen();
  books->world_fen = row.world_fen();
  books->transit_out_fen = row.transit_out_fen();
  books->transit_in_fen = row.transit_in_fen();
  books->id_day = row.id_day();
  books->id_counter = row.id_counter();
  books->generation = row.generation();
  return true;
}

std::string EncodePacket(const model::PacketHeader& header) {
  const model::PacketTerms& terms = header.terms;
  pb::PacketRow row;
  row.set_kind(static_cast<int32_t>(terms.kind));
  row.set_conversation_a(terms.conversation.a);
  row.set_conversation_b(terms.conversation.b);
  row.set_sender(terms.sender.value);
  row.set_request_id(std::string(terms.request_id.view()));
  row.set_named(terms.named.value);
  row.set_total_fen(terms.total_fen);
  row.set_shares(terms.shares);
  row.set_share_cap_fen(terms.share_cap_fen);
  row.set_greeting(terms.greeting);
  row.set_created_ms(header.created_ms);
  row.set_expires_ms(header.expires_ms);
  row.set_split_version(header.split_version);
  row.set_secret_number(header.secret_number);
  return row.SerializeAsString();
}

bool DecodePacket(rocksdb::Slice value, model::PacketHeader* header) {
  pb::PacketRow row;
  if (!Parse(value, &row)) return false;
  model::PacketTerms& terms = header->terms;
  terms.conversation = {row.conversation_a(), row.conversation_b()};
  terms.sender = model::UserId(row.sender());
  terms.named = model::UserId(row.named());
  terms.total_fen = row.total_fen();
  terms.shares = row.shares();
  terms.share_cap_fen = row.share_cap_fen();
  terms.greeting = row.greeting();
  header->created_ms = row.created_ms();
  header->expires_ms = row.expires_ms();
  if (!Fits16(row.split_version()) || !Fits16(row.secret_number())) return false;
  header->split_version = static_cast<uint16_t>(row.split_version());
  header->secret_number = static_cast<uint16_t>(row.secret_number());
  return Take(row.kind(), model::PacketKind::kTransfer, &terms.kind) &&
         terms.request_id.Assign(row.request_id());
}

std::string EncodeStatus(const model::PacketStatus& status) {
  pb::StatusRow row;
  row.set_state(static_cast<int32_t>(status.state));
  row.set_left(status.left);
  row.set_left_fen(status.left_fen);
  row.set_refund_fen(status.refund_fen);
  row.set_closed_ms(status.closed_ms);
  row.set_best_ordinal(status.best_ordinal);
  row.set_best_fen(status.best_fen);
  row.set_quarantined(status.quarantined);
  row.set_held_fen(status.held_fen);
  row.set_announced(status.announced);
  return row.SerializeAsString();
}

bool DecodeStatus(rocksdb::Slice value, model::PacketStatus* status) {
  pb::StatusRow row;
  if (!Parse(value, &row)) return false;
  status->left = row.left();
  status->left_fen = row.left_fen();
  status->refund_fen = row.refund_fen();
  status->closed_ms = row.closed_ms();
  status->best_ordinal = row.best_ordinal();
  status->best_fen = row.best_fen();
  status->quarantined = row.quarantined();
  status->held_fen = row.held_fen();
  status->announced = row.announced();
  return Take(row.state(), model::PacketState::kRefused, &status->state);
}

std::string EncodeClaim(const model::Claim& claim) {
  pb::ClaimRow row;
  row.set_ordinal(claim.ordinal);
  row.set_amount_fen(claim.amount_fen);
  row.set_time_ms(claim.time_ms);
  row.set_member_version(claim.member_version);
  return row.SerializeAsString();
}

bool DecodeClaim(rocksdb::Slice value, model::Claim* claim) {
  pb::ClaimRow row;
  if (!Parse(value, &row)) return false;
  claim->ordinal = row.ordinal();
  claim->amount_fen = row.amount_fen();
  claim->time_ms = row.time_ms();
  claim->member_version = row.member_version();
  return true;
}

std::string EncodeDay(const model::ArchivedDay& day) {
  pb::ArchivedDayRow row;
  row.set_archived_ms(day.archived_ms);
  row.set_packets(day.totals.packets);
  row.set_claims(day.totals.claims);
  row.set_created_fen(day.totals.created_fen);
  row.set_claimed_fen(day.totals.claimed_fen);
  row.set_refunded_fen(day.totals.refunded_fen);
  for (const auto& [target, number] : day.acknowledged) {
    (*row.mutable_acknowledged())[target] = number;
  }
  row.set_file(day.file);
  row.set_hash(day.hash.data(), day.hash.size());
  return row.SerializeAsString();
}

bool DecodeDay(rocksdb::Slice value, model::ArchivedDay* day) {
  pb::ArchivedDayRow row;
  if (!Parse(value, &row) || row.hash().size() != day->hash.size()) return false;
  // It names a file of ours, not a way to somebody else's.
  if (row.file().empty() || row.file().find('/') != std::string::npos) return false;
  day->archived_ms = row.archived_ms();
  day->totals = {row.packets(), row.claims(), row.created_fen(), row.claimed_fen(),
                 row.refunded_fen()};
  for (const auto& [target, number] : row.acknowledged()) {
    if (!Fits16(target)) return false;
    day->acknowledged[static_cast<model::ShardId>(target)] = number;
  }
  day->file = row.file();
  std::copy(row.hash().begin(), row.hash().end(), day->hash.begin());
  return true;
}

std::string EncodeCells(const MoneyIdentity& identity) {
  pb::CellsFile file;
  for (const model::ShardId shard : identity.cells) file.add_cells(shard);
  return file.SerializeAsString();
}

bool DecodeCells(const std::string& bytes, const StoreIdentity& of, MoneyIdentity* identity) {
  pb::CellsFile file;
  if (!file.ParseFromString(bytes) || file.cells_size() != kCells) return false;
  for (int cell = 0; cell < kCells; ++cell) {
    const int32_t shard = file.cells(cell);
    if (shard < of.first_shard || shard >= of.first_shard + of.shards) return false;
    identity->cells[static_cast<size_t>(cell)] = static_cast<model::ShardId>(shard);
  }
  return true;
}

std::string EncodeSecrets(const MoneyIdentity& identity) {
  pb::SecretsFile file;
  for (const auto& secret : identity.secrets) file.add_secrets(secret.data(), secret.size());
  return file.SerializeAsString();
}

bool DecodeSecrets(const std::string& bytes, MoneyIdentity* identity) {
  pb::SecretsFile file;
  if (!file.ParseFromString(bytes) || file.secrets_size() == 0) return false;
  for (const std::string& secret : file.secrets()) {
    auto& into = identity->secrets.emplace_back();
    if (secret.size() != into.size()) return false;
    std::copy(secret.begin(), secret.end(), into.begin());
  }
  return true;
}

}  // namespace hongyan::storage
