#include "hongyan/client.h"

#include <utility>

#include "client-sdk/src/address.h"
#include "client-sdk/src/call_for.h"
#include "client-sdk/src/codec.h"
#include "client-sdk/src/core.h"
#include "hongyan/v1/command.pb.h"
#include "hongyan/v1/group.pb.h"

namespace hongyan {

using sdk::CallFor;
using sdk::Promise;

namespace {

Error Invalid(std::string text) { return {Code::kInvalidArgument, Reason::kNone, std::move(text)}; }

Result<Done> Check(const Options& options) {
  if (!sdk::ParseAddress(options.address)) {
    return Invalid("'" + options.address +
                   "' is not an address: use HOST:PORT, [IPV6]:PORT or unix:/PATH");
  }
  if (!options.store)
    return Invalid("a client needs a store: OpenFileStore, or a MemoryStore for tests");
  if (!options.device_id.empty() && options.device_id.size() != 16) {
    return Invalid("a device id has 16 bytes, this one has " +
                   std::to_string(options.device_id.size()));
  }
  if (options.user_name.size() > 64) return Invalid("a user name has at most 64 bytes");
  if (options.device_class.size() > 32) return Invalid("a device class has at most 32 bytes");
  if (options.program.size() > 128) return Invalid("the program's name has at most 128 bytes");
  if (options.password.size() > 1024) return Invalid("a password has at most 1024 bytes");
  return Done{};
}

// Draws and keeps the device id of a new store.
Result<Saved> LoadDevice(const Options& options) {
  Result<Saved> loaded = options.store->Load();
  if (!loaded.ok()) return loaded;
  Saved saved = *std::move(loaded);
  if (saved.device_id.empty()) {
    saved.device_id = options.device_id.empty() ? sdk::RandomBytes(16) : options.device_id;
    options.store->SetDevice(saved.device_id);
    if (const auto done = options.store->Commit(Store::Durability::kDurable); !done.ok())
      return done.error();
  } else if (!options.device_id.empty() && options.device_id != saved.device_id) {
    return Invalid("the store belongs to another device: use another store");
  }
  if (!saved.user_name.empty() && !options.user_name.empty() &&
      options.user_name != saved.user_name) {
    return Invalid("the store belongs to user " + saved.user_name + ": use another store");
  }
  const bool password = !options.user_name.empty() && !options.password.empty();
  if (saved.token.empty() && options.token.empty() && !password) {
    return Invalid("a first login needs a name and a password, or a token");
  }
  return saved;
}

}  // namespace

Result<std::unique_ptr<Client>> Client::Open(Options options, Events events) {
  if (const auto checked = Check(options); !checked.ok()) return checked.error();
  std::shared_ptr<Runtime> runtime = options.runtime ? options.runtime : NewRuntime();
  options.runtime.reset();  // a core on a private runtime must not own it
  return runtime->Run([&]() -> Result<std::unique_ptr<Client>> {
    Result<Saved> saved = LoadDevice(options);
    if (!saved.ok()) return saved.error();
    const int64_t last_number = saved->unsent.empty() ? 0 : saved->unsent.back().number;
    auto core =
        std::make_unique<Core>(*runtime, std::move(options), std::move(events), *std::move(saved));
    core->Start();
    return std::unique_ptr<Client>(new Client(runtime, std::move(core), last_number));
  });
}

Client::Client(std::shared_ptr<Runtime> runtime, std::unique_ptr<Core> core, int64_t last_number)
    : runtime_(std::move(runtime)), core_(std::move(core)), last_number_(last_number) {}

Client::~Client() {
  runtime_->Run([this] { core_.reset(); });
}

// ---- messages ----

int64_t Client::Send(const Conversation& to, const Body& body, Callback<Sent> done,
                     int timeout_ms) {
  std::string bytes = sdk::EncodeBody(body);
  // One lock for number and place: what has the lower number leaves first, after a restart too.
  std::lock_guard lock(send_mutex_);
  const int64_t number = ++last_number_;
  runtime_->Post([core = core_.get(), number, to, bytes = std::move(bytes), timeout_ms,
                  done = std::move(done)]() mutable {
    core->Send(number, to, std::move(bytes), timeout_ms, std::move(done));
  });
  return number;
}

void Client::History(const HistoryQuery& query, Callback<Page<Message>> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), query, done = std::move(done), timeout_ms] {
    v1::History request;
    *request.mutable_conversation() = sdk::ToWire(query.conversation);
    request.set_before(query.before);
    request.set_after(query.after);
    request.set_limit(query.limit);
    request.set_forward(query.forward);
    core->Call<v1::HistoryReply>(
        v1::HISTORY, "history", [bytes = request.SerializeAsString()] { return bytes; }, timeout_ms,
        [core, conversation = query.conversation, done](Result<v1::HistoryReply> reply) {
          if (!reply.ok()) {
            done(reply.error());
            return;
          }
          Page<Message> page;
          for (const v1::Message& message : reply->messages()) {
            page.items.push_back(sdk::FromWire(conversation, message, core->me()));
          }
          page.more = reply->more();
          done(std::move(page));
        });
  });
}

// ---- people and groups ----

namespace {

template <class Core>
void Find(Core* core, const std::string& name, UserId id, Callback<User> done, int timeout_ms) {
  v1::FindUser request;
  request.set_name(name);
  request.set_user_id(id.value);
  CallFor<v1::FindUserReply, User>(
      core, v1::FIND_USER, "find user", [bytes = request.SerializeAsString()] { return bytes; },
      timeout_ms, std::move(done),
      [](const v1::FindUserReply& reply) {
        return User{{reply.user_id()}, reply.name()};
      });
}

GroupChange ReadChange(const v1::GroupReply& reply) {
  return {{reply.group_id()}, reply.conv_seq(), reply.time_ms()};
}

}  // namespace

void Client::FindUser(const std::string& name, Callback<User> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), name, done = std::move(done), timeout_ms] {
    if (name.empty()) {
      done(Invalid("find user: the name is empty"));
      return;
    }
    Find(core, name, {}, done, timeout_ms);
  });
}

void Client::FindUser(UserId id, Callback<User> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), id, done = std::move(done), timeout_ms] {
    Find(core, {}, id, done, timeout_ms);
  });
}

void Client::CreateGroup(const std::string& name, const std::vector<UserId>& members,
                         Callback<GroupChange> done, int timeout_ms) {
  v1::CreateGroup request;
  request.set_name(name);
  for (const UserId member : members) request.add_members(member.value);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::GroupReply, GroupChange>(
        core, v1::CREATE_GROUP, "create group",
        [core, request]() mutable {
          request.set_request_id(core->NewRequestId());
          return request.SerializeAsString();
        },
        timeout_ms, done, ReadChange);
  });
}

void Client::ChangeMembers(GroupId group, const std::vector<UserId>& add,
                           const std::vector<UserId>& remove, Callback<GroupChange> done,
                           int timeout_ms) {
  v1::ChangeMembers request;
  request.set_group_id(group.value);
  for (const UserId member : add) request.add_add(member.value);
  for (const UserId member : remove) request.add_remove(member.value);
  runtime_->Post([core = core_.get(), request, done = std::move(done), timeout_ms] {
    CallFor<v1::GroupReply, GroupChange>(
        core, v1::CHANGE_MEMBERS, "change members",
        [core, request]() mutable {
          request.set_request_id(core->NewRequestId());
          return request.SerializeAsString();
        },
        timeout_ms, done, ReadChange);
  });
}

void Client::LeaveGroup(GroupId group, Callback<GroupChange> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), group, done = std::move(done), timeout_ms] {
    CallFor<v1::GroupReply, GroupChange>(
        core, v1::LEAVE_GROUP, "leave group",
        [core, group] {
          v1::LeaveGroup request;
          request.set_group_id(group.value);
          request.set_request_id(core->NewRequestId());
          return request.SerializeAsString();
        },
        timeout_ms, done, ReadChange);
  });
}

void Client::ListGroups(GroupId after, uint32_t limit, Callback<Page<Group>> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), after, limit, done = std::move(done), timeout_ms] {
    v1::ListGroups request;
    request.set_after(after.value);
    request.set_limit(limit);
    CallFor<v1::ListGroupsReply, Page<Group>>(
        core, v1::LIST_GROUPS, "list groups",
        [bytes = request.SerializeAsString()] { return bytes; }, timeout_ms, done,
        [](const v1::ListGroupsReply& reply) {
          Page<Group> page;
          for (const v1::GroupInfo& group : reply.groups())
            page.items.push_back(sdk::FromWire(group));
          page.more = reply.more();
          return page;
        });
  });
}

void Client::GetGroup(GroupId group, Callback<Group> done, int timeout_ms) {
  runtime_->Post([core = core_.get(), group, done = std::move(done), timeout_ms] {
    v1::GetGroup request;
    request.set_group_id(group.value);
    CallFor<v1::GetGroupReply, Group>(
        core, v1::GET_GROUP, "get group", [bytes = request.SerializeAsString()] { return bytes; },
        timeout_ms, done,
        [](const v1::GetGroupReply& reply) { return sdk::FromWire(reply.group()); });
  });
}

void Client::ListMembers(GroupId group, UserId after, uint32_t limit, Callback<Page<Member>> done,
                         int timeout_ms) {
  runtime_->Post([core = core_.get(), group, after, limit, done = std::move(done), timeout_ms] {
    v1::ListMembers request;
    request.set_group_id(group.value);
    request.set_after(after.value);
    request.set_limit(limit);
    CallFor<v1::ListMembersReply, Page<Member>>(
        core, v1::LIST_MEMBERS, "list members",
        [bytes = request.SerializeAsString()] { return bytes; }, timeout_ms, done,
        [](const v1::ListMembersReply& reply) {
          Page<Member> page;
          for (const v1::MemberInfo& member : reply.members())
            page.items.push_back(sdk::FromWire(member));
          page.more = reply.more();
          return page;
        });
  });
}

// ---- the device ----

void Client::Logout(Callback<Done> done, int timeout_ms) {
  runtime_->Post(
      [core = core_.get(), done = std::move(done), timeout_ms] { core->Logout(timeout_ms, done); });
}

void Client::GetStatus(Callback<Status> done) {
  runtime_->Post([core = core_.get(), done = std::move(done)] { done(core->GetStatus()); });
}

Status Client::GetStatus() {
  return runtime_->Run([this] { return core_->GetStatus(); });
}

void Client::SetBackground(bool background) {
  runtime_->Post([core = core_.get(), background] { core->SetBackground(background); });
}

// ---- the same with futures ----

std::future<Result<Sent>> Client::Send(const Conversation& to, const Body& body, int timeout_ms) {
  auto [done, future] = Promise<Sent>();
  Send(to, body, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Page<Message>>> Client::History(const HistoryQuery& query, int timeout_ms) {
  auto [done, future] = Promise<Page<Message>>();
  History(query, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<User>> Client::FindUser(const std::string& name, int timeout_ms) {
  auto [done, future] = Promise<User>();
  FindUser(name, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<User>> Client::FindUser(UserId id, int timeout_ms) {
  auto [done, future] = Promise<User>();
  FindUser(id, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<GroupChange>> Client::CreateGroup(const std::string& name,
                                                     const std::vector<UserId>& members,
                                                     int timeout_ms) {
  auto [done, future] = Promise<GroupChange>();
  CreateGroup(name, members, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<GroupChange>> Client::ChangeMembers(GroupId group,
                                                       const std::vector<UserId>& add,
                                                       const std::vector<UserId>& remove,
                                                       int timeout_ms) {
  auto [done, future] = Promise<GroupChange>();
  ChangeMembers(group, add, remove, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<GroupChange>> Client::LeaveGroup(GroupId group, int timeout_ms) {
  auto [done, future] = Promise<GroupChange>();
  LeaveGroup(group, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Page<Group>>> Client::ListGroups(GroupId after, uint32_t limit, int timeout_ms) {
  auto [done, future] = Promise<Page<Group>>();
  ListGroups(after, limit, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Group>> Client::GetGroup(GroupId group, int timeout_ms) {
  auto [done, future] = Promise<Group>();
  GetGroup(group, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Page<Member>>> Client::ListMembers(GroupId group, UserId after, uint32_t limit,
                                                      int timeout_ms) {
  auto [done, future] = Promise<Page<Member>>();
  ListMembers(group, after, limit, std::move(done), timeout_ms);
  return std::move(future);
}
std::future<Result<Done>> Client::Logout(int timeout_ms) {
  auto [done, future] = Promise<Done>();
  Logout(std::move(done), timeout_ms);
  return std::move(future);
}

}  // namespace hongyan
