#pragma once

#include <rocksdb/slice.h>

#include <string>

#include "model/money.h"
#include "storage/money_store.h"

namespace hongyan::storage {

// Values of the rows of money, as protobuf (schema/rocksdb/rows.proto). What the key says is not
// repeated: it is filled in by the caller. Decoders answer false for bytes that no encoder wrote.
// Values; any thread.

std::string EncodeWallet(const model::Wallet& wallet);
bool DecodeWallet(rocksdb::Slice value, model::Wallet* wallet);

std::string EncodeStatement(const model::StatementRow& row);
bool DecodeStatement(rocksdb::Slice value, model::StatementRow* row);

std::string EncodeSend(const model::SendOutcome& outcome);
bool DecodeSend(rocksdb::Slice value, model::SendOutcome* outcome);

std::string EncodeMove(const model::MoveOutcome& outcome);
bool DecodeMove(rocksdb::Slice value, model::MoveOutcome* outcome);

std::string EncodeBooks(const model::Books& books);
bool DecodeBooks(rocksdb::Slice value, model::Books* books);

std::string EncodePacket(const model::PacketHeader& header);
bool DecodePacket(rocksdb::Slice value, model::PacketHeader* header);

std::string EncodeStatus(const model::PacketStatus& status);
bool DecodeStatus(rocksdb::Slice value, model::PacketStatus* status);

std::string EncodeClaim(const model::Claim& claim);
bool DecodeClaim(rocksdb::Slice value, model::Claim* claim);

std::string EncodeDay(const model::ArchivedDay& day);
bool DecodeDay(rocksdb::Slice value, model::ArchivedDay* day);

std::string EncodeCells(const MoneyIdentity& identity);
bool DecodeCells(const std::string& bytes, const StoreIdentity& of, MoneyIdentity* identity);

std::string EncodeSecrets(const MoneyIdentity& identity);
bool DecodeSecrets(const std::string& bytes, MoneyIdentity* identity);

}  // namespace hongyan::storage
