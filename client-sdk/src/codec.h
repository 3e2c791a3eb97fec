#pragma once

#include <string>

#include "hongyan/types.h"
#include "hongyan/v1/group.pb.h"
#include "hongyan/v1/message.pb.h"

// Between the nouns of the API and those of the wire. Any thread.

namespace hongyan::sdk {

std::string EncodeBody(const Body& body);
Body DecodeBody(const std::string& bytes);

v1::ConversationId ToWire(const Conversation& conversation);
Conversation FromWire(const v1::ConversationId& conversation);

Message FromWire(const Conversation& conversation, const v1::Message& message, UserId me);
Group FromWire(const v1::GroupInfo& group);
Member FromWire(const v1::MemberInfo& member);

}  // namespace hongyan::sdk
