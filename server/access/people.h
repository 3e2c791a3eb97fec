#pragma once

#include <cstdint>

#include "model/command.h"
#include "proto/frame.h"

namespace hongyan::access {

class Session;

// Handlers: users and groups.
void FindUser(Session& session, const proto::Frame& frame);
void CreateGroup(Session& session, const proto::Frame& frame);
void ChangeMembers(Session& session, const proto::Frame& frame);
void LeaveGroup(Session& session, const proto::Frame& frame);
void GroupChanged(Session& session, uint16_t command, uint32_t request_id, model::Reply reply);
void ListGroups(Session& session, const proto::Frame& frame);
void GetGroup(Session& session, const proto::Frame& frame);
void ListMembers(Session& session, const proto::Frame& frame);

}  // namespace hongyan::access
