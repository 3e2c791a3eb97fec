#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "access/money_wire.h"
#include "account/refusals.h"
#include "admin/errand.h"
#include "admin/service.h"

namespace hongyan::admin {
namespace {

using account::NoSuchUser;
using base::Code;
using model::UserId;

constexpr int kMaxMovesAtOnce = static_cast<int>(money::kMaxMoves);

// Moves on their way through several shards: the answer leaves with the last part.
struct Moving {
  std::shared_ptr<Errand> errand;
  v1::AdminReply reply;
  size_t parts = 0;

  v1::MoveFundsReply::Result& result(int place) {
    return *reply.mutable_move_funds()->mutable_results(place);
  }
  void FinishOne() {
    if (--parts == 0) errand->Answer(reply);
  }
};

// The moves of one shard, and which of the request's they are.
struct Part {
  model::MoveManyFunds command;
  std::vector<int> places;
};

void Fill(const base::Error& error, v1::MoveFundsReply::Result* to) {
  to->set_refused(error.text.empty() ? "refused" : error.text);
  to->set_reason(error.reason);
  to->set_retry_after_ms(error.retry_after_ms);
}

void Fill(const model::MoveOutcome& outcome, v1::MoveFundsReply::Result* to) {
  to->set_amount_fen(outcome.amount_fen);
  to->set_account_seq(outcome.account_seq);
  to->set_balance_fen(outcome.balance_fen);
  to->set_time_ms(outcome.time_ms);
  to->set_already(outcome.already);
}

}  // namespace

void Service::MoveFunds(ErrandPtr errand, const v1::MoveFunds& request) {
  if (request.moves_size() > kMaxMovesAtOnce) {
    return errand->Refuse({Code::kInvalidArgument,
                           "at most " + std::to_string(kMaxMovesAtOnce) + " moves in one request"});
  }
  auto moving = std::make_shared<Moving>();
  moving->errand = std::move(errand);
  for (int i = 0; i < request.moves_size(); ++i) moving->reply.mutable_move_funds()->add_results();
  moving->reply.mutable_move_funds();
  net::Loop* const loop = &desk_.loop();
  const auto submit = [this, moving](std::map<model::ShardId, Part> parts) {
    moving->parts = parts.size() + 1;
    for (auto& [shard, part] : parts) {
      desk_.Submit(model::Priority::kMoney, shard, std::move(part.command),
                   [moving, places = std::move(part.places)](model::Reply reply) {
                     const auto* moved =
                         reply ? &std::get<model::FundsMoved>(reply.value()).outcomes : nullptr;
                     for (size_t i = 0; i < places.size(); ++i) {
                       auto* const result = &moving->result(places[i]);
                       if (moved == nullptr) {
                         Fill(reply.error(), result);
                       } else if (const auto& outcome = (*moved)[i]; outcome.ok()) {
                         Fill(*outcome, result);
                       } else {
                         Fill(outcome.error(), result);
                       }
                     }
                     moving->FinishOne();
                   });
    }
    moving->FinishOne();
  };
  // Users are looked up on the pool: only who exists gets a wallet.
  const bool taken = services().readers.Submit([this, loop, moving, submit, request] {
    std::map<model::ShardId, Part> parts;
    std::vector<std::pair<int, base::Error>> refused;
    for (int i = 0; i < request.moves_size(); ++i) {
      const auto& wire = request.moves(i);
      model::MoveFunds move;
      move.user = services().directory.IdOf(wire.name());
      move.id = wire.id();
      move.amount_fen = wire.amount_fen();
      move.reason = wire.reason();
      if (auto good = money::CheckMove(move); !good) {
        refused.emplace_back(i, good.error());
        continue;
      }
      auto found = services().directory.Find(std::string_view(wire.name()));
      if (!found || !found->has_value()) {
        refused.emplace_back(i, found ? NoSuchUser(wire.name()) : found.error());
        continue;
      }
      Part& part = parts[services().money.routes.WalletOf(move.user)];
      part.command.moves.push_back(std::move(move));
      part.places.push_back(i);
    }
    loop->Post([moving, submit, parts = std::move(parts), refused = std::move(refused)]() mutable {
      for (const auto& [place, error] : refused) Fill(error, &moving->result(place));
      submit(std::move(parts));
    });
  });
  if (!taken) moving->errand->Refuse(services().admission.Busy());
}

void Service::SetFrozen(ErrandPtr errand, const v1::SetFrozen& request) {
  OfUser(
      std::move(errand), request.name(),
      [this](UserId user) { return services().money.routes.WalletOf(user); },
      [frozen = request.frozen()](UserId user) -> model::CommandBody {
        return model::SetFrozen{user, frozen};
      });
}

void Service::ShowWallet(ErrandPtr errand, const v1::ShowWallet& request) {
  const size_t limit = std::min<size_t>(request.limit(), money::Reader::kMaxPage);
  OnPool(services().readers, std::move(errand),
         [this, name = request.name(), before = request.before(),
          limit]() -> base::Result<v1::AdminReply> {
           auto found = services().directory.Find(std::string_view(name));
           if (!found) return std::move(found).error();
           if (!found->has_value()) return NoSuchUser(name);
           const UserId user = (*found)->id;
           const money::Reader& reader = services().money.reader;
           auto wallet = reader.FindWallet(user);
           if (!wallet) return std::move(wallet).error();
           v1::AdminReply reply;
           v1::ShowWalletReply& show = *reply.mutable_show_wallet();
           show.set_user_id(user.value);
           show.set_name(name);
           show.set_shard(services().money.routes.WalletOf(user));
           show.set_balance_fen(wallet->balance_fen);
           show.set_frozen(wallet->frozen);
           show.set_account_seq(wallet->account_seq);
           show.set_exists(wallet->account_seq > 0 || wallet->frozen);
           for (const auto& [year, total] : wallet->years) {
             auto* const of = show.add_years();
             of->set_year(year);
             access::Fill(total, of->mutable_total());
           }
           if (limit == 0) return reply;
           auto page = reader.Statement(user, before, limit);
           if (!page) return std::move(page).error();
           for (const auto& row : page->rows) access::Fill(row, show.add_rows());
           show.set_more(page->next_before != 0);
           return reply;
         });
}

}  // namespace hongyan::admin
