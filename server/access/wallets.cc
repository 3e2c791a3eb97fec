#include "access/wallets.h"

#include <algorithm>

#include "access/from_pool.h"
#include "access/money_wire.h"
#include "money/calendar.h"

namespace hongyan::access {
namespace {

constexpr size_t kListed = 50;

size_t LimitOf(uint32_t asked) {
  return asked == 0 ? kListed : std::min<size_t>(asked, money::Reader::kMaxPage);
}

base::Error Invalid(const char* text) { return {base::Code::kInvalidArgument, text}; }

}  // namespace

void GetWallet(Session& session, const proto::Frame& frame) {
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, user = session.user()]() -> base::Result<v1::GetWalletReply> {
                   auto wallet = services.money.reader.FindWallet(user);
                   if (!wallet) return std::move(wallet).error();
                   v1::GetWalletReply reply;
                   reply.set_balance_fen(wallet->balance_fen);
                   reply.set_frozen(wallet->frozen);
                   reply.set_account_seq(wallet->account_seq);
                   return reply;
                 });
}

void ListStatement(Session& session, const proto::Frame& frame) {
  v1::ListStatement wire;
  if (!session.Parse(frame, wire)) return;
  if (wire.before() < 0) {
    return session.Refuse(frame.header.command, frame.header.request_id,
                          Invalid("`before` is an account_seq, or 0 for the newest"));
  }
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, user = session.user(), before = wire.before(),
                  limit = LimitOf(wire.limit())]() -> base::Result<v1::ListStatementReply> {
                   auto page = services.money.reader.Statement(user, before, limit);
                   if (!page) return std::move(page).error();
                   v1::ListStatementReply reply;
                   for (const auto& row : page->rows) Fill(row, reply.add_rows());
                   reply.set_more(page->next_before != 0);
                   return reply;
                 });
}

void PacketHistory(Session& session, const proto::Frame& frame) {
  v1::PacketHistory wire;
  if (!session.Parse(frame, wire)) return;
  const bool sent = wire.which() == v1::PacketHistory::SENT;
  if ((!sent && wire.which() != v1::PacketHistory::RECEIVED) || wire.before() < 0 ||
      wire.year() < 0) {
    return session.Refuse(
        frame.header.command, frame.header.request_id,
        Invalid("ask for what was SENT or RECEIVED, of a year or 0 for this one, before an "
                "account_seq or 0 for the newest"));
  }
  const int32_t year =
      wire.year() > 0 ? wire.year() : money::YearOf(session.desk().server_time_ms());
  const Services& services = session.desk().services();
  AnswerFromPool(session, frame,
                 [&services, user = session.user(), sent, year, before = wire.before(),
                  limit = LimitOf(wire.limit())]() -> base::Result<v1::PacketHistoryReply> {
                   const money::Reader& reader = services.money.reader;
                   auto wallet = reader.FindWallet(user);
                   if (!wallet) return std::move(wallet).error();
                   auto page = reader.History(
                       user, sent ? money::Reader::Side::kSent : money::Reader::Side::kReceived,
                       year, before, limit);
                   if (!page) return std::move(page).error();
                   v1::PacketHistoryReply reply;
                   reply.set_year(year);
                   const auto total = wallet->years.find(year);
                   Fill(total == wallet->years.end() ? model::YearTotal() : total->second,
                        reply.mutable_total());
                   for (const model::StatementRow& row : page->rows) Fill(row, reply.add_rows());
                   reply.set_more(page->next_before != 0);
                   reply.set_before(page->next_before);
                   return reply;
                 });
}

}  // namespace hongyan::access
