#pragma once

#include <string>
#include <utility>

#include "access/session.h"

namespace hongyan::access {

// Runs `read` on the reader pool and answers with the message it returns, or its error.
template <class Read>
void AnswerFromPool(Session& session, const proto::Frame& frame, Read read) {
  const uint16_t command = frame.header.command;
  const uint32_t request_id = frame.header.request_id;
  session.OnPool(
      session.desk().services().readers, command, request_id,
      [read = std::move(read)]() -> base::Result<std::string> {
        auto reply = read();
        if (!reply) return std::move(reply).error();
        return reply->SerializeAsString();
      },
      [command, request_id](Session& it, base::Result<std::string> encoded) {
        if (!encoded) return it.Refuse(command, request_id, encoded.error());
        it.Answer(command, request_id, *encoded);
      });
}

}  // namespace hongyan::access
