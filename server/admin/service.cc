#include "admin/service.h"

#include <utility>

#include "admin/errand.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/error.pb.h"
#include "model/reason.h"
#include "net/timer_wheel.h"

namespace hongyan::admin {
namespace {

constexpr int kErrandsAtOnce = 16;  // of one connection; then it is not read
// Who neither asks nor waits for so long is closed: silent connections keep other administrators
// out. The tools connect again by themselves, or have ended by then.
constexpr int64_t kIdleMs = 5000;

// One administrator's connection.
class Counter final : public net::ConnectionHandler {
 public:
  Counter(Service& service, net::Connection& connection)
      : service_(service), connection_(connection), heard_ms_(connection.loop().now_ms()) {
    idle_.on_fire = [this] { OnIdle(); };
    connection.loop().timers().Arm(idle_, kIdleMs);
  }

  void OnFrame(net::Connection& connection, const proto::Frame& frame) override {
    heard_ms_ = connection.loop().now_ms();
    auto errand =
        std::make_shared<Errand>(connection.loop(), connection.id(), frame.header.request_id);
    v1::AdminRequest request;
    if (frame.header.command != v1::ADMIN) {
      errand->Refuse({base::Code::kUnimplemented,
                      "this is the administrator's socket: it takes ADMIN requests only; clients "
                      "connect to the other address"});
      connection.Close(true);
    } else if (!request.ParseFromArray(frame.payload.data(),
                                       static_cast<int>(frame.payload.size()))) {
      errand->Refuse({base::Code::kInvalidArgument, "the payload is not an AdminRequest"});
    } else {
      // The errand itself counts: when its last holder lets go, there is room for another.
      if (++under_way_ == kErrandsAtOnce) {
        connection.PauseReading(net::Connection::Pause::kInFlight);
      }
      service_.Handle(Watched(connection, std::move(errand)), request);
    }
  }

  void OnClosed(net::Connection&, net::CloseReason) override {}

 private:
  std::shared_ptr<Errand> Watched(net::Connection& connection, std::shared_ptr<Errand> errand) {
    net::Loop* const loop = &connection.loop();
    const uint64_t id = connection.id();
    Errand* const plain = errand.get();
    return {plain, [loop, id, errand = std::move(errand)](Errand*) mutable {
              // The last holder may be a pool's thread.
              loop->Post([loop, id, errand = std::move(errand)] {
                net::Connection* const there = loop->Find(id);
                if (there == nullptr) return;
                static_cast<Counter&>(there->handler()).OneDone();
              });
            }};
  }

  void OneDone() {
    heard_ms_ = connection_.loop().now_ms();
    if (under_way_-- == kErrandsAtOnce) {
      connection_.ResumeReading(net::Connection::Pause::kInFlight);
    }
  }

  void OnIdle() {
    const int64_t idle_ms = connection_.loop().now_ms() - heard_ms_;
    if (under_way_ == 0 && idle_ms >= kIdleMs) return connection_.Close(true);
    connection_.loop().timers().Arm(idle_, under_way_ > 0 ? kIdleMs : kIdleMs - idle_ms);
  }

  Service& service_;
  net::Connection& connection_;
  net::TimerNode idle_;
  int64_t heard_ms_;
  int under_way_ = 0;
};

}  // namespace

base::Error GoingDown() {
  return model::Refuse(base::Code::kUnavailable, model::Reason::kDraining,
                       "the server is going down: ask again when it is up");
}

// -- errand

void Errand::Answer(const v1::AdminReply& reply) {
  Send(proto::kFlagAnswer, reply.SerializeAsString());
}

void Errand::Refuse(const base::Error& error) {
  v1::Error refusal;
  refusal.set_code(static_cast<v1::Code>(error.code));
  refusal.set_reason(static_cast<v1::Reason>(error.reason));
  refusal.set_text(error.text);
  refusal.set_retry_after_ms(error.retry_after_ms);
  Send(proto::kFlagAnswer | proto::kFlagError, refusal.SerializeAsString());
}

void Errand::Done() {
  v1::AdminReply reply;
  reply.mutable_done();
  Answer(reply);
}

void Errand::Send(uint16_t flags, const std::string& payload) {
  if (std::exchange(answered_, true)) return;
  net::Connection* const connection = loop_.Find(connection_);
  if (connection == nullptr) return;
  proto::FrameHeader header;
  header.command = v1::ADMIN;
  header.flags = flags;
  header.request_id = request_id_;
  connection->Send(header, payload);
}

// -- service

Service::Service(access::FrontDoor& door, access::Desk& desk, storage::MessageStore& store,
                 storage::MoneyStore& money_store, std::vector<shard::Executor*> executors,
                 Stats stats, std::chrono::milliseconds drain_patience)
    : door_(door),
      desk_(desk),
      store_(store),
      money_store_(money_store),
      executors_(std::move(executors)),
      stats_(std::move(stats)),
      drain_patience_(drain_patience),
      auditor_("auditor", 1, 4) {}

net::Listener::Factory Service::factory() {
  return [this](net::Connection& connection) -> std::unique_ptr<net::ConnectionHandler> {
    connection.LoggedIn();
    return std::make_unique<Counter>(*this, connection);
  };
}

void Service::Handle(ErrandPtr errand, const v1::AdminRequest& request) {
  using What = v1::AdminRequest;
  switch (request.what_case()) {
    case What::kImportUsers:
      return ImportUsers(std::move(errand), request.import_users());
    case What::kSetPassword:
      return SetPassword(std::move(errand), request.set_password());
    case What::kSetDisabled:
      return SetDisabled(std::move(errand), request.set_disabled());
    case What::kListUsers:
      return ListUsers(std::move(errand), request.list_users());
    case What::kShowUser:
      return ShowUser(std::move(errand), request.show_user());
    case What::kIssueTokens:
      return IssueTokens(std::move(errand), request.issue_tokens());
    case What::kRevokeTokens:
      return RevokeTokens(std::move(errand), request.revoke_tokens());
    case What::kCreateGroup:
      return CreateGroup(std::move(errand), request.create_group());
    case What::kChangeMembers:
      return ChangeMembers(std::move(errand), request.change_members());
    case What::kShowGroup:
      return ShowGroup(std::move(errand), request.show_group());
    case What::kStats:
      return ShowStats(std::move(errand));
    case What::kListChannels:
      return ListChannels(std::move(errand));
    case What::kListParked:
      return ListParked(std::move(errand), request.list_parked());
    case What::kRetryParked:
      return RetryParked(std::move(errand), request.retry_parked());
    case What::kReturnParked:
      return ReturnParked(std::move(errand), request.return_parked());
    case What::kAcceptChannel:
      return AcceptChannel(std::move(errand), request.accept_channel());
    case What::kMoveFunds:
      return MoveFunds(std::move(errand), request.move_funds());
    case What::kSetFrozen:
      return SetFrozen(std::move(errand), request.set_frozen());
    case What::kShowWallet:
      return ShowWallet(std::move(errand), request.show_wallet());
    case What::kShowPacket:
      return ShowPacket(std::move(errand), request.show_packet());
    case What::kShowDay:
      return ShowDay(std::move(errand), request.show_day());
    case What::kArchiveDay:
      return ArchiveDay(std::move(errand), request.archive_day());
    case What::kRestoreDay:
      return RestoreDay(std::move(errand), request.restore_day());
    case What::kEndPacket:
      return EndPacket(std::move(errand), request.end_packet());
    case What::kListQuarantine:
      return ListQuarantine(std::move(errand));
    case What::kMendPacket:
      return MendPacket(std::move(errand), request.mend_packet());
    case What::kAudit:
      return Audit(std::move(errand), request.audit());
    case What::WHAT_NOT_SET:
      break;
  }
  errand->Refuse({base::Code::kUnimplemented,
                  "this server does not know the request: is hongyan-admin newer than hongyand?"});
}

void Service::OnPool(base::WorkerPool& pool, ErrandPtr errand, Read read) {
  net::Loop* const loop = &desk_.loop();
  const bool taken = pool.Submit([loop, errand, read = std::move(read)] {
    loop->Post([errand, reply = read()] {
      if (!reply) return errand->Refuse(reply.error());
      errand->Answer(*reply);
    });
  });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::ReadLong(ErrandPtr errand, Read read) {
  net::Loop* const loop = &desk_.loop();
  ++long_readings_;
  const bool taken = !ending_ && auditor_.Submit([this, loop, errand, read = std::move(read)] {
    loop->Post([this, errand, reply = read()] {
      if (ending_ && reply && !reply->has_audit()) {
        errand->Refuse(GoingDown());
      } else if (reply) {
        errand->Answer(*reply);
      } else {
        errand->Refuse(reply.error());
      }
      --long_readings_;
    });
  });
  if (taken) return;
  --long_readings_;
  errand->Refuse(ending_ ? GoingDown() : services().admission.Busy());
}

void Service::SubmitDone(ErrandPtr errand, model::ShardId shard, model::CommandBody body) {
  desk_.Submit(model::Priority::kMoney, shard, std::move(body),
               [errand = std::move(errand)](model::Reply reply) {
                 if (!reply) return errand->Refuse(reply.error());
                 errand->Done();
               });
}

}  // namespace hongyan::admin
