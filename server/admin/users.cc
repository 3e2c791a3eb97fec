#include <sodium.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "account/directory.h"
#include "account/refusals.h"
#include "admin/errand.h"
#include "admin/service.h"

namespace hongyan::admin {
namespace {

using account::NoSuchUser;
using base::Code;
using model::UserId;

constexpr int kMaxUsersAtOnce = 1000;
constexpr int kMaxPasswordsAtOnce = 10;
constexpr int kMaxTokensAtOnce = 1000;
constexpr uint32_t kMaxListed = 1000;

base::Error Invalid(const std::string& text) { return {Code::kInvalidArgument, text}; }

void Fill(const model::User& from, v1::UserInfo* to) {
  to->set_user_id(from.id.value);
  to->set_name(from.name);
  to->set_disabled(from.disabled);
  to->set_has_password(!from.password_hash.empty());
  to->set_created_ms(from.created_ms);
}

const char* Why(model::Creation outcome) {
  return outcome == model::Creation::kCollision
             ? "another name has the same id: choose another name"
             : "";
}

// An import on its way through several shards: the answer leaves with the last part.
struct Import {
  std::shared_ptr<Errand> errand;
  v1::AdminReply reply;
  size_t parts = 0;

  v1::ImportUsersReply& results() { return *reply.mutable_import_users(); }
};

// The users of one shard, and which of the request's they are.
struct Part {
  model::CreateUsers command;
  std::vector<int> places;
};

void Finish(const std::shared_ptr<Import>& import) {
  if (--import->parts == 0) import->errand->Answer(import->reply);
}

}  // namespace

void Service::ImportUsers(ErrandPtr errand, const v1::ImportUsers& request) {
  const auto with_password =
      std::count_if(request.users().begin(), request.users().end(),
                    [](const v1::ImportUsers::NewUser& user) { return !user.password().empty(); });
  if (request.users_size() > kMaxUsersAtOnce || with_password > kMaxPasswordsAtOnce) {
    return errand->Refuse(
        Invalid("at most 1,000 users in one request, 10 of them with a password"));
  }
  auto import = std::make_shared<Import>();
  import->errand = std::move(errand);
  const auto submit = [this, import](std::vector<model::User> users) {
    std::map<model::ShardId, Part> parts;
    for (size_t i = 0; i < users.size(); ++i) {
      auto* const result = import->results().mutable_results(static_cast<int>(i));
      if (!result->refused().empty()) continue;
      Part& part = parts[services().router.ShardOf(users[i].id)];
      result->set_user_id(users[i].id.value);
      part.command.users.push_back(std::move(users[i]));
      part.places.push_back(static_cast<int>(i));
    }
    import->parts = parts.size() + 1;
    for (auto& [shard, part] : parts) {
      desk_.Submit(
          model::Priority::kMoney, shard, std::move(part.command),
          [import, places = std::move(part.places)](model::Reply reply) {
            const auto* created =
                reply ? &std::get<model::UsersCreated>(reply.value()).outcomes : nullptr;
            for (size_t i = 0; i < places.size(); ++i) {
              auto* const result = import->results().mutable_results(places[i]);
              const char* const why =
                  created == nullptr ? reply.error().text.c_str() : Why((*created)[i]);
              result->set_created(created != nullptr && (*created)[i] == model::Creation::kCreated);
              result->set_refused(why);
              if (*why != '\0') result->set_user_id(0);
            }
            Finish(import);
          });
    }
    Finish(import);
  };

  std::vector<model::User> users(static_cast<size_t>(request.users_size()));
  for (int i = 0; i < request.users_size(); ++i) {
    model::User& user = users[static_cast<size_t>(i)];
    user.name = request.users(i).name();
    user.id = services().directory.IdOf(user.name);
    auto* const result = import->results().add_results();
    if (auto name = account::CheckUserName(user.name); !name) {
      result->set_refused(name.error().text);
    } else if (const auto size = request.users(i).password().size();
               size > account::kMaxPasswordBytes) {
      result->set_refused("a password has 1 to 256 bytes");
    } else {
      user.password_hash = request.users(i).password();  // hashed below
    }
  }
  if (with_password == 0) return submit(std::move(users));
  net::Loop* const loop = &desk_.loop();
  const bool taken =
      services().hashers.Submit([this, loop, import, submit, users = std::move(users)]() mutable {
        std::vector<std::string> failures(users.size());
        for (size_t i = 0; i < users.size(); ++i) {
          if (users[i].password_hash.empty()) continue;
          auto hash = services().passwords.Hash(users[i].password_hash);
          failures[i] = hash ? "" : hash.error().text;
          users[i].password_hash = hash ? *hash : "";
        }
        loop->Post([import, submit, users = std::move(users), failures = std::move(failures)] {
          for (size_t i = 0; i < failures.size(); ++i) {
            if (failures[i].empty()) continue;
            import->results().mutable_results(static_cast<int>(i))->set_refused(failures[i]);
          }
          submit(users);
        });
      });
  if (!taken) import->errand->Refuse(services().admission.Busy());
}

void Service::SetPassword(ErrandPtr errand, const v1::SetPassword& request) {
  const auto shard_and_command = [this](const std::string& name, std::string hash) {
    const UserId user = services().directory.IdOf(name);
    return std::pair(services().router.ShardOf(user), model::SetPassword{user, std::move(hash)});
  };
  net::Loop* const loop = &desk_.loop();
  const bool taken =
      services().hashers.Submit([this, loop, errand, shard_and_command, name = request.name(),
                                 password = request.password()] {
        auto found = services().directory.Find(std::string_view(name));
        base::Result<std::string> hash = std::string();
        if (found && found->has_value() && !password.empty())
          hash = services().passwords.Hash(password);
        loop->Post([this, errand, shard_and_command, name, found = std::move(found),
                    hash = std::move(hash)] {
          if (!found) return errand->Refuse(found.error());
          if (!found->has_value()) return errand->Refuse(NoSuchUser(name));
          if (!hash) return errand->Refuse(hash.error());
          auto [shard, command] = shard_and_command(name, *hash);
          SubmitDone(errand, shard, std::move(command));
        });
      });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::OfUser(ErrandPtr errand, const std::string& name,
                     std::function<model::CommandBody(UserId)> make) {
  OfUser(
      std::move(errand), name, [this](UserId user) { return services().router.ShardOf(user); },
      std::move(make));
}

void Service::OfUser(ErrandPtr errand, const std::string& name,
                     std::function<model::ShardId(UserId)> shard_of,
                     std::function<model::CommandBody(UserId)> make) {
  net::Loop* const loop = &desk_.loop();
  const bool taken = services().readers.Submit([this, loop, errand, name, shard_of, make] {
    auto found = services().directory.Find(std::string_view(name));
    loop->Post([this, errand, name, shard_of, make, found = std::move(found)] {
      if (!found) return errand->Refuse(found.error());
      if (!found->has_value()) return errand->Refuse(NoSuchUser(name));
      const UserId user = (*found)->id;
      SubmitDone(errand, shard_of(user), make(user));
    });
  });
  if (!taken) errand->Refuse(services().admission.Busy());
}

void Service::SetDisabled(ErrandPtr errand, const v1::SetDisabled& request) {
  OfUser(std::move(errand), request.name(),
         [disabled = request.disabled()](UserId user) -> model::CommandBody {
           return model::SetDisabled{user, disabled};
         });
}

void Service::RevokeTokens(ErrandPtr errand, const v1::RevokeTokens& request) {
  model::DeviceId device;
  if (!request.device_id().empty() && !device.Assign(request.device_id())) {
    return errand->Refuse(Invalid("a device id is 16 bytes"));
  }
  OfUser(std::move(errand), request.name(), [device](UserId user) -> model::CommandBody {
    return model::RevokeTokens{user, device};
  });
}

void Service::ListUsers(ErrandPtr errand, const v1::ListUsers& request) {
  const size_t limit = std::min(request.limit() == 0 ? 100 : request.limit(), kMaxListed);
  OnPool(services().readers, std::move(errand),
         [this, after = UserId(request.after()), limit]() -> base::Result<v1::AdminReply> {
           auto users = services().directory.List(after, limit + 1);
           if (!users) return std::move(users).error();
           v1::AdminReply reply;
           reply.mutable_list_users()->set_more(users->size() > limit);
           users->resize(std::min(users->size(), limit));
           for (const model::User& user : *users) {
             Fill(user, reply.mutable_list_users()->add_users());
           }
           return reply;
         });
}

void Service::ShowUser(ErrandPtr errand, const v1::ShowUser& request) {
  OnPool(services().readers, std::move(errand),
         [this, name = request.name(),
          id = UserId(request.user_id())]() -> base::Result<v1::AdminReply> {
           const auto& directory = services().directory;
           auto found = name.empty() ? directory.Find(id) : directory.Find(std::string_view(name));
           if (!found) return std::move(found).error();
           if (!found->has_value()) {
             return name.empty() ? NoSuchUser(id) : NoSuchUser(name);
           }
           const model::User& user = **found;
           auto devices = services().directory.Devices(user.id);
           if (!devices) return std::move(devices).error();
           auto head = services().inboxes.Head(user.id, storage::Reach::kDisk);
           if (!head) return std::move(head).error();
           auto floor = store_.inboxes().Floor(user.id, storage::Reach::kDisk);
           if (!floor) return std::move(floor).error();
           const auto online = door_.OnlineDevices(user.id);
           v1::AdminReply reply;
           v1::ShowUserReply& show = *reply.mutable_show_user();
           Fill(user, show.mutable_user());
           show.set_head(head->value);
           show.set_floor(floor->value);
           for (const model::Device& device : *devices) {
             v1::DeviceInfo* const info = show.add_devices();
             info->set_device_id(std::string(device.id.view()));
             info->set_device_class(device.device_class);
             info->set_last_login_ms(device.last_login_ms);
             info->set_cursor(device.cursor.value);
             info->set_online(std::find(online.begin(), online.end(), device.id) != online.end());
           }
           return reply;
         });
}

void Service::IssueTokens(ErrandPtr errand, const v1::IssueTokens& request) {
  if (request.tokens_size() > kMaxTokensAtOnce) {
    return errand->Refuse(Invalid("at most 1,000 tokens in one request"));
  }
  struct Issue {
    ErrandPtr errand;
    v1::AdminReply reply;
    int left = 0;
  };
  auto issue = std::make_shared<Issue>();
  issue->errand = std::move(errand);
  issue->left = request.tokens_size() + 1;
  const auto finish_one = [issue] {
    if (--issue->left == 0) issue->errand->Answer(issue->reply);
  };
  issue->reply.mutable_issue_tokens();
  for (const auto& wanted : request.tokens()) {
    auto* const result = issue->reply.mutable_issue_tokens()->add_results();
    model::OpenSession open;
    open.only_token = true;
    open.device_class = wanted.device_class();
    if (wanted.device_id().empty()) {
      randombytes_buf(open.device.bytes.data(), open.device.bytes.size());
    } else if (!open.device.Assign(wanted.device_id()) || open.device.is_zero()) {
      result->set_refused("a device id is 16 bytes, not all zero");
      finish_one();
      continue;
    }
    if (auto label = account::CheckDeviceClass(wanted.device_class()); !label) {
      result->set_refused(label.error().text);
      finish_one();
      continue;
    }
    open.user = services().directory.IdOf(wanted.name());
    desk_.Submit(model::Priority::kMoney, services().router.ShardOf(open.user), open,
                 [this, issue, finish_one, result, user = open.user, device = open.device,
                  name = wanted.name()](model::Reply reply) {
                   const auto* opened =
                       reply ? &std::get<model::SessionOpened>(reply.value()) : nullptr;
                   const base::Error nobody = NoSuchUser(name);
                   if (opened == nullptr) {
                     const bool unknown = reply.error().reason == nobody.reason;
                     result->set_refused(unknown ? nobody.text : reply.error().text);
                   } else if (opened->user_name != name) {
                     result->set_refused(nobody.text);  // another name has this id
                   } else {
                     account::Token token;
                     token.user = user;
                     token.device = device;
                     token.number = opened->token_number;
                     result->set_user_id(user.value);
                     result->set_device_id(std::string(device.view()));
                     result->set_token(services().tokens.Issue(token, services().clock.WallMs()));
                   }
                   finish_one();
                 });
  }
  finish_one();
}

}  // namespace hongyan::admin
