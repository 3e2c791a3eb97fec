#pragma once

#include <rocksdb/slice.h>

#include <string>

#include "model/account.h"
#include "model/group.h"
#include "storage/channel_store.h"
#include "storage/shard_store.h"

namespace hongyan::storage {

// Values of the rarer rows, as protobuf (schema/rocksdb/rows.proto). What the key says is not
// repeated: it is filled in by the caller. Decoders answer false for bytes that no encoder wrote.
// Values; any thread.

std::string EncodeUser(const model::User& user);
bool DecodeUser(rocksdb::Slice value, model::User* user);

std::string EncodeDevice(const model::Device& device);
bool DecodeDevice(rocksdb::Slice value, model::Device* device);

std::string EncodeGroup(const model::Group& group);
bool DecodeGroup(rocksdb::Slice value, model::Group* group);

std::string EncodeMember(const model::Member& member);
bool DecodeMember(rocksdb::Slice value, model::Member* member);

std::string EncodeSlice(const model::FollowerSlice& slice);
bool DecodeSlice(rocksdb::Slice value, model::FollowerSlice* slice);

std::string EncodeFollower(const model::Follower& follower);
bool DecodeFollower(rocksdb::Slice value, model::Follower* follower);

std::string EncodeHead(const ShardHead& head);
bool DecodeHead(rocksdb::Slice value, ShardHead* head);

std::string EncodeMark(const ChannelMark& mark);
bool DecodeMark(rocksdb::Slice value, ChannelMark* mark);

std::string EncodeOutboxRow(const OutboxRow& row);
// `last` is what the key says: a row that holds another number of items is broken.
bool DecodeOutboxRow(rocksdb::Slice value, int64_t last, OutboxRow* row);

std::string EncodeParked(const ParkedItem& item);
bool DecodeParked(rocksdb::Slice value, ParkedItem* item);

std::string EncodeIdentity(const StoreIdentity& identity);
bool DecodeIdentity(const std::string& bytes, StoreIdentity* identity);

}  // namespace hongyan::storage
