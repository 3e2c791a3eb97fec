#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "hongyan/v1/group.pb.h"
#include "hongyan/v1/message.pb.h"
#include "hongyan/v1/session.pb.h"
#include "proto/frame.h"
#include "spawned_server.h"

namespace hongyan::integration {

// A whole frame with its own payload.
struct Received {
  proto::FrameHeader header;
  std::string payload;
};

// An answer: the message, or the error.
template <class Reply>
struct Answer {
  bool ok = false;
  Reply reply;
  v1::Error error;
};

// A blocking client that speaks frames and nothing else, so that tests can also misbehave. Waits at
// most ten seconds for anything; then the test fails. One thread.
class RawClient {
 public:
  explicit RawClient(const SpawnedServer& server) : RawClient(server.port()) {}
  explicit RawClient(int port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void SendBytes(std::string_view bytes);
  // The request id.
  uint32_t Send(uint16_t command, const google::protobuf::MessageLite& message);
  uint32_t SendPayload(uint16_t command, std::string_view payload);

  // The next frame; none = the server has closed.
  std::optional<Received> Next();
  // The next push; pushes seen while waiting for answers come first.
  std::optional<Received> NextPush();
  // The answer to this request; pushes before it are kept for NextPush.
  Received AnswerTo(uint32_t request_id);
  // All bytes to the end.
  std::string ReadToEnd();
  // Reads to the end; what came before it is lost.
  bool ClosedByServer();
  // Something has arrived already, or does so within the time.
  bool Readable(int wait_ms);

  template <class Reply>
  Answer<Reply> Ask(uint16_t command, const google::protobuf::MessageLite& request) {
    return Decode<Reply>(AnswerTo(Send(command, request)));
  }
  template <class Reply>
  static Answer<Reply> Decode(const Received& frame) {
    Answer<Reply> answer;
    answer.ok = !frame.header.is_error();
    if (answer.ok) {
      answer.reply.ParseFromString(frame.payload);
    } else {
      answer.error.ParseFromString(frame.payload);
    }
    return answer;
  }

  // Verbs of the protocol.
  void Hello();
  Answer<v1::LoginReply> LogIn(const std::string& name, const std::string& password,
                               const std::string& device, const std::string& device_class = "test");
  Answer<v1::LoginReply> LogInByToken(const std::string& token, const std::string& device);
  Answer<v1::SendMessageReply> SendText(const v1::ConversationId& to, const std::string& text,
                                        const std::string& client_msg_id = "");
  v1::SyncReply Sync(int64_t cursor);
  int64_t Heartbeat();
  // The head of the next push, which must be a notify.
  int64_t Notified();
  // The next push is SESSION_ENDED for this reason, and then the connection ends.
  bool EndedBecause(v1::EndReason reason);

 private:
  bool ReadExactly(void* to, size_t bytes);

  int fd_;
  uint32_t last_id_ = 0;
  std::deque<Received> pushes_;
};

// Sixteen bytes made of a number.
std::string Device(int n);
// A new UUIDv7; `ahead_ms` moves its time.
std::string NewRequestId(int64_t ahead_ms = 0);
v1::ConversationId Direct(int64_t a, int64_t b);
v1::ConversationId Group(int64_t group);
std::string TextBody(const std::string& text);

// Users with tokens, made through hongyan-admin.
struct Account {
  int64_t id = 0;
  std::string device;
  std::string token;
};
Account NewUser(const SpawnedServer& server, const std::string& name);
// Greeted and logged in; the reply must be good.
v1::LoginReply Enter(RawClient& client, const Account& account);

}  // namespace hongyan::integration
