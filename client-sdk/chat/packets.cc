#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

#include "client-sdk/chat/chat.h"
#include "client-sdk/chat/words.h"
#include "proto/amount.h"

// The part of the chat that is about red packets, transfers and the wallet.

namespace hongyan::chat {
namespace {

using proto::YuanText;

constexpr size_t kPacketsKept = 1000;                               // of one conversation
constexpr const char* kCustomaryWish = "\u606d\u559c\u53d1\u8d22";  // where a packet has none
constexpr int64_t kStatementMost = 10'000;
constexpr size_t kYearPage = 50;  // postings that /year shows at once
constexpr size_t kIdDigits = 15;  // a number this long is a packet's id, not a message's

const char* KindName(PacketKind kind) {
  switch (kind) {
    case PacketKind::kLucky:
      return "lucky packet";
    case PacketKind::kEqual:
      return "packet";
    case PacketKind::kExclusive:
      return "personal packet";
    case PacketKind::kTransfer:
      return "transfer";
    case PacketKind::kNone:
      break;
  }
  return "packet";
}

std::string Shares(int32_t count) {
  return count == 1 ? "1 share" : std::to_string(count) + " shares";
}

std::string Yuan(int64_t fen) { return YuanText(fen) + " yuan"; }

std::string Seconds(int64_t ms) {
  return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
}

const char* Why(ReturnReason reason) {
  switch (reason) {
    case ReturnReason::kExpired:
      return "its time was over";
    case ReturnReason::kRefused:
      return "the conversation did not take it";
    case ReturnReason::kReturned:
      return "it was given back";
    case ReturnReason::kByAdmin:
      return "the administrator ended it";
    default:
      return "it could not be made";
  }
}

// A whole number above 0, or 0.
int64_t Count(const std::string& word) {
  if (word.empty() || word.size() > 18) return 0;
  if (word.find_first_not_of("0123456789") != std::string::npos) return 0;
  return std::strtoll(word.c_str(), nullptr, 10);
}

std::string What(const StatementRow& row) {
  const std::string kind = KindName(row.packet_kind);
  switch (row.kind) {
    case StatementKind::kDeposit:
      return "paid in: " + row.note;
    case StatementKind::kWithdrawal:
      return "paid out: " + row.note;
    case StatementKind::kSent:
      return kind + " sent";
    case StatementKind::kReceived:
      return (row.packet_kind == PacketKind::kTransfer ? "transfer from "
                                                       : kind + " opened, from ");
    case StatementKind::kRefund:
      return kind + " came back: " + Why(row.reason);
    case StatementKind::kNone:
      break;
  }
  return "?";
}

// Nothing of it is to be had for who asked.
bool NothingLeft(Reason reason) {
  switch (reason) {
    case Reason::kPacketDone:
    case Reason::kPacketExpired:
    case Reason::kPacketReturned:
    case Reason::kPacketRefused:
    case Reason::kNotTheNamedPerson:
    case Reason::kOwnPacket:
      return true;
    default:
      return false;
  }
}

// The server may have taken it. Where it said why it did not, it has not.
bool Unsure(const Error& error) {
  switch (error.reason) {
    case Reason::kFundsPending:
    case Reason::kChannelStopped:
    case Reason::kDiskReserve:
    case Reason::kLimitReached:
      return false;
    default:
      return error.code == Code::kDeadlineExceeded || error.code == Code::kUnavailable ||
             error.code == Code::kResourceExhausted || error.code == Code::kCancelled;
  }
}

}  // namespace

// ---- what messages say ----

void Chat::LearnPacket(const Message& message) {
  if (const auto* notice = std::get_if<PacketNotice>(&message.body)) return Settle(notice->packet);
  SeenPacket packet;
  if (const auto* red = std::get_if<RedPacket>(&message.body)) {
    packet = {red->packet, red->kind, message.sender, red->named, red->shares, red->expires_ms};
  } else if (const auto* transfer = std::get_if<Transfer>(&message.body)) {
    packet = {transfer->packet,    PacketKind::kTransfer, message.sender, transfer->to, 1,
              transfer->expires_ms};
  }
  if (!packet.id) return;
  auto& seen = packets_[message.conversation];
  seen[message.conv_seq] = packet;
  if (seen.size() > kPacketsKept) seen.erase(seen.begin());
}

const Chat::SeenPacket* Chat::FindSeen(const Conversation& conversation, PacketId packet) const {
  const auto seen = packets_.find(conversation);
  if (seen == packets_.end()) return nullptr;
  for (const auto& [number, known] : seen->second) {
    if (known.id == packet) return &known;
  }
  return nullptr;
}

std::string Chat::PacketName(const Conversation& conversation, PacketId packet) const {
  const auto seen = packets_.find(conversation);
  if (seen != packets_.end()) {
    for (const auto& [number, known] : seen->second) {
      if (known.id == packet) return std::to_string(number);
    }
  }
  return "";
}

bool Chat::CanTake(const Conversation& conversation, const SeenPacket& packet) const {
  if (settled_.count(packet.id) > 0) return false;
  if (packet.expires_ms > 0 && packet.expires_ms <= int64_t{std::time(nullptr)} * 1000)
    return false;
  if (packet.named) return packet.named == names_.me();
  return conversation.is_group() || packet.sender != names_.me();
}

void Chat::Settle(PacketId packet) {
  settled_.insert(packet);
  if (settled_.size() > kPacketsKept) settled_.erase(settled_.begin());  // ids rise with the days
}

void Chat::Settle(PacketId packet, const Error& why) {
  if (NothingLeft(why.reason)) Settle(packet);
}

std::string Chat::TextOf(const RedPacket& packet, const Message& message) const {
  std::string text = "[" + std::string(KindName(packet.kind));
  if (packet.kind == PacketKind::kExclusive) {
    text += " for " + (packet.named == names_.me() ? "you" : names_.NameOf(packet.named));
  } else {
    text += ", " + Shares(packet.shares);
  }
  const bool wish = packet.greeting.empty() && style_ == Style::kPerson;
  text += "] " + (wish ? kCustomaryWish : packet.greeting);
  const SeenPacket* seen = FindSeen(message.conversation, packet.packet);
  if (seen == nullptr || !CanTake(message.conversation, *seen)) return text;
  if (text.back() != ' ') text += "  ";
  return text + "(/open " + std::to_string(message.conv_seq) + ")";
}

std::string Chat::TextOf(const Transfer& transfer, const Message& message) const {
  std::string text = "[transfer, " + Yuan(transfer.amount_fen) + "] " + transfer.note;
  const SeenPacket* seen = FindSeen(message.conversation, transfer.packet);
  if (seen != nullptr && CanTake(message.conversation, *seen)) {
    if (!transfer.note.empty()) text += "  ";
    const std::string number = std::to_string(message.conv_seq);
    text += "(/accept " + number + " or /return " + number + ")";
  }
  return text;
}

std::string Chat::TextOf(const PacketNotice& notice, const Message& message) const {
  const std::string number = PacketName(message.conversation, notice.packet);
  const std::string whose =
      notice.sender == names_.me() ? "your" : names_.NameOf(notice.sender) + "'s";
  const std::string packet =
      whose + " " + KindName(notice.kind) + (number.empty() ? "" : " " + number);
  switch (notice.what) {
    case PacketNotice::What::kFinished: {
      const SeenPacket* seen = FindSeen(message.conversation, notice.packet);
      if (notice.kind == PacketKind::kExclusive || (seen != nullptr && seen->shares == 1)) {
        const UserId opener = seen != nullptr && seen->named ? seen->named : notice.user;
        const std::string after = " after " + Seconds(notice.took_ms);
        if (!opener) return packet + " was opened" + after;
        return (opener == names_.me() ? "you" : names_.NameOf(opener)) + " opened " + packet +
               after;
      }
      std::string text = packet + " is empty, after " + Seconds(notice.took_ms);
      if (notice.user) {
        text +=
            "; best luck: " + (notice.user == names_.me() ? "you!" : names_.NameOf(notice.user));
      }
      return text;
    }
    case PacketNotice::What::kRefunded:
      return packet + " is over; " + Yuan(notice.amount_fen) + " went back";
    case PacketNotice::What::kAccepted:
      return names_.NameOf(notice.user) + " accepted " + packet + " of " + Yuan(notice.amount_fen);
    case PacketNotice::What::kReturned:
      return names_.NameOf(notice.user) + " returned " + packet + " of " + Yuan(notice.amount_fen);
    case PacketNotice::What::kNone:
      break;
  }
  return "[something happened to " + packet + "]";
}

void Chat::OnReturned(const PacketReturned& returned) {
  Settle(returned.packet);
  names_.InLine(returned.conversation, {}, [this, returned] {
    const std::string number = PacketName(returned.conversation, returned.packet);
    view_.Note(Yuan(returned.amount_fen) + " of your packet" +
               (number.empty() ? "" : " " + number) + " to " +
               names_.LabelOf(returned.conversation).title + " came back: " + Why(returned.reason));
  });
}

// ---- sending ----

void Chat::SendOrder(const PacketOrder& order, const std::string& what) {
  if (Offline()) return;
  client_->SendPacket(order,
                      Answer<PacketSent>([this, order, what](const Result<PacketSent>& sent) {
                        if (!sent.ok() && Unsure(sent.error()))
                          return SendAgain(order, what, sent.error());
                        OrderAnswered(what, sent);
                      }));
}

void Chat::OrderAnswered(const std::string& what, const Result<PacketSent>& sent) {
  if (!sent.ok()) return Fail(what + " was not sent: " + sent.error().text);
  view_.Note(what + " is on its way");
}

void Chat::SendAgain(PacketOrder order, const std::string& what, const Error& why) {
  if (why.request_id.empty()) return Fail(what + " was not sent: " + why.text);
  order.request_id = why.request_id;
  unsure_[order.request_id] = what;
  view_.Problem(
      "it is not known yet whether " + what + " was sent (" + why.text +
      "); it goes on under the same number until the server says so, and is not sent twice");
  client_->SendPacket(
      order,
      [this, id = order.request_id, what](Result<PacketSent> sent) {
        mailbox_.Put([this, id, what, sent = std::move(sent)] {
          if (!sent.ok() && sent.error().code == Code::kCancelled) return;  // still unsure
          unsure_.erase(id);
          OrderAnswered(what, sent);
        });
      },
      kNoTimeout);
}

std::string Chat::UnsureLeft() const {
  std::string text;
  for (const auto& [id, what] : unsure_) {
    text += "; not known whether it was sent: " + what +
            " (look at /year sent before you send it again)";
  }
  return text;
}

bool Chat::ReadAmount(const std::string& word, PacketOrder* order) {
  const auto fen = proto::ParseYuan(word);
  if (!fen) Fail("'" + word + "' is no amount: yuan, like 8.88");
  order->amount_fen = fen.value_or(0);
  return fen.has_value();
}

void Chat::SendPacket(const std::vector<std::string>& words) {
  static constexpr const char* kUsage =
      "usage: /packet lucky YUAN SHARES [GREETING], /packet equal YUAN SHARES [GREETING], /packet "
      "for NAME YUAN [GREETING]";
  if (!NeedConversation()) return;
  if (words.size() < 4) return Fail(kUsage);
  PacketOrder order;
  order.conversation = *here_;
  order.greeting = Joined(words, 4);
  if (words[1] == "for") {
    order.kind = PacketKind::kExclusive;
    if (!ReadAmount(words[3], &order)) return;
    if (Offline()) return;
    FindAll({words[2]}, [this, order, name = words[2]](const std::vector<UserId>& found) {
      PacketOrder complete = order;
      complete.named = found[0];
      SendOrder(complete, "the packet of " + Yuan(order.amount_fen) + " for " + name);
    });
    return;
  }
  if (words[1] != "lucky" && words[1] != "equal") return Fail(kUsage);
  order.kind = words[1] == "lucky" ? PacketKind::kLucky : PacketKind::kEqual;
  if (!ReadAmount(words[2], &order)) return;
  const int64_t shares = Count(words[3]);
  if (shares < 1 || shares > 1'000'000)
    return Fail("'" + words[3] + "' is no number of shares: 1 to 1000000");
  order.shares = static_cast<int32_t>(shares);
  if (order.kind == PacketKind::kLucky) {
    return SendOrder(order, "the lucky packet of " + Yuan(order.amount_fen));
  }
  std::string what = "the packet of " + Shares(order.shares) + " of " + Yuan(order.amount_fen);
  if (shares > 1 && order.amount_fen <= INT64_MAX / shares) {
    what += ", " + Yuan(order.amount_fen * shares) + " in all,";
  }
  SendOrder(order, what);
}

void Chat::SendTransfer(const std::vector<std::string>& words) {
  if (!here_ || here_->is_group()) {
    return Fail("a transfer goes to one person: /to NAME comes first");
  }
  if (words.size() < 2) return Fail("usage: /transfer YUAN [NOTE]");
  PacketOrder order;
  order.kind = PacketKind::kTransfer;
  order.conversation = *here_;
  if (!ReadAmount(words[1], &order)) return;
  order.greeting = Joined(words, 2);
  SendOrder(order, "the transfer of " + Yuan(order.amount_fen));
}

// ---- taking ----

bool Chat::Offline() {
  if (style_ != Style::kPerson || client_->GetStatus().connected) return false;
  Fail(
      "not connected: packets are sent and taken only while there is a connection; try again then");
  return true;
}

std::optional<PacketId> Chat::Meant(const std::vector<std::string>& words, Wanted wanted) {
  const int64_t number = words.size() > 1 ? Count(words[1].size() > 18 ? "" : words[1]) : 0;
  if (words.size() > 1 && words[1].size() >= kIdDigits) {
    const PacketId id{std::strtoll(words[1].c_str(), nullptr, 10)};
    if (words[1].find_first_not_of("0123456789") == std::string::npos && id) return id;
  }
  if (!NeedConversation()) return {};
  const auto seen = packets_.find(*here_);
  if (seen == packets_.end()) {
    Fail("no packet was seen here; /history shows earlier ones");
    return {};
  }
  const auto fits = [wanted](const SeenPacket& packet) {
    return wanted == Wanted::kAny ||
           (wanted == Wanted::kTransfer) == (packet.kind == PacketKind::kTransfer);
  };
  if (words.size() < 2) {
    for (auto at = seen->second.rbegin(); at != seen->second.rend(); ++at) {
      if (wanted == Wanted::kAny) return at->second.id;
      if (fits(at->second) && CanTake(*here_, at->second)) return at->second.id;
    }
    Fail(std::string(wanted == Wanted::kTransfer ? "no transfer to you waits here"
                                                 : "no packet that you may open was seen here") +
         ": name another by its number, or see /history for earlier ones");
    return {};
  }
  const auto found = seen->second.find(number);
  if (found == seen->second.end()) {
    Fail("message " + words[1] +
         " is no packet; its number stands after /open in the packet's line");
    return {};
  }
  if (!fits(found->second)) {
    Fail("message " + words[1] +
         (wanted == Wanted::kTransfer ? " is no transfer: /open " + words[1] + " opens it"
                                      : " is a transfer: /accept " + words[1] +
                                            " takes it, /return " + words[1] + " gives it back"));
    return {};
  }
  return found->second.id;
}

void Chat::OpenPacket(const std::vector<std::string>& words) {
  if (Offline()) return;
  const auto packet = Meant(words, words[0] == "/accept" ? Wanted::kTransfer : Wanted::kPacket);
  if (!packet) return;
  client_->OpenPacket(*packet, Answer<Opened>([this, id = *packet](const Result<Opened>& opened) {
    if (!opened.ok()) {
      Settle(id, opened.error());
      return Fail(opened.error().text);
    }
    Settle(id);
    DisplayOpened(*opened, id);
  }));
}

void Chat::DisplayOpened(const Opened& opened, PacketId packet) {
  if (opened.already) return view_.Note("you have taken " + Yuan(opened.amount_fen) + " from it");
  const SeenPacket* seen = here_ ? FindSeen(*here_, packet) : nullptr;
  if (seen == nullptr) return view_.Got("you got " + Yuan(opened.amount_fen) + "!");
  names_.InLine(*here_, {seen->sender}, [this, opened, from = *seen] {
    std::string text = "you got " + Yuan(opened.amount_fen) + " from " +
                       (from.sender == names_.me() ? "yourself" : names_.NameOf(from.sender)) + "!";
    if (from.shares > 1) {
      text += " " + std::to_string(from.shares - opened.ordinal) + " of " + Shares(from.shares) +
              " left";
    }
    view_.Got(text);
  });
}

void Chat::ReturnTransfer(const std::vector<std::string>& words) {
  if (Offline()) return;
  const auto packet = Meant(words, Wanted::kTransfer);
  if (!packet) return;
  client_->ReturnTransfer(*packet, Answer<Done>([this, id = *packet](const Result<Done>& done) {
    if (!done.ok()) {
      Settle(id, done.error());
      return Fail(done.error().text);
    }
    Settle(id);
    view_.Note("it goes back to its sender");
  }));
}

void Chat::PacketDetail(const std::vector<std::string>& words) {
  if (const auto packet = Meant(words, Wanted::kAny)) DetailFrom(*packet, nullptr);
}

void Chat::DetailFrom(PacketId packet, std::shared_ptr<Packet> so_far) {
  const int32_t after = so_far == nullptr ? 0 : so_far->claims.back().ordinal;
  client_->GetPacket(
      packet, after, 0, Answer<Packet>([this, packet, so_far](const Result<Packet>& page) {
        if (!page.ok()) return Fail(page.error().text);
        auto all = std::make_shared<Packet>(*page);
        if (so_far != nullptr) {
          all->claims.insert(all->claims.begin(), so_far->claims.begin(), so_far->claims.end());
        }
        if (page->more && !page->claims.empty()) return DetailFrom(packet, all);
        std::vector<UserId> users = {all->sender};
        if (all->named) users.push_back(all->named);
        for (const PacketClaim& claim : all->claims) users.push_back(claim.user);
        names_.InLine(all->conversation, users, [this, all] { DisplayPacket(*all); });
      }));
}

void Chat::DisplayPacket(const Packet& packet) {
  if (packet.closed_ms > 0 || packet.mine_fen > 0) Settle(packet.id);
  ShownPacket shown;
  const std::string number = PacketName(packet.conversation, packet.id);
  shown.title = std::string(KindName(packet.kind)) + (number.empty() ? "" : " " + number) +
                " from " + names_.NameOf(packet.sender);
  if (packet.named) shown.title += " for " + names_.NameOf(packet.named);
  shown.greeting = packet.greeting;
  shown.state = std::to_string(packet.taken) + " of " + Shares(packet.shares) + " taken";
  if (packet.total_fen > 0) {
    shown.state += ", " + YuanText(packet.taken_fen) + " of " + Yuan(packet.total_fen);
  }
  switch (packet.state) {
    case PacketState::kCreated:
      shown.state += ", not open yet";
      break;
    case PacketState::kOpen:
      shown.state += ", open until " + ClockTime(packet.expires_ms);
      break;
    case PacketState::kDone:
      shown.state += ", empty after " + Seconds(packet.closed_ms - packet.created_ms);
      break;
    case PacketState::kExpired:
      shown.state += ", over";
      break;
    case PacketState::kReturned:
      shown.state += ", given back";
      break;
    default:
      shown.state += ", never announced";
      break;
  }
  if (packet.refund_fen > 0) shown.state += ", " + Yuan(packet.refund_fen) + " went back";
  for (const PacketClaim& claim : packet.claims) {
    shown.takers.push_back({names_.NameOf(claim.user), claim.amount_fen, claim.time_ms,
                            claim.best_luck, claim.user == names_.me()});
  }
  view_.Packet(shown);
}

// ---- the wallet ----

void Chat::ShowWallet(const std::vector<std::string>&) {
  client_->GetWallet(Answer<Wallet>([this](const Result<Wallet>& wallet) {
    if (!wallet.ok()) return Fail(wallet.error().text);
    view_.Note("you have " + Yuan(wallet->balance_fen) +
               (wallet->frozen ? "; the wallet is frozen: nothing leaves it" : ""));
  }));
}

void Chat::DisplayPostings(std::vector<StatementRow> rows, const std::string& last) {
  std::vector<UserId> users;
  for (const StatementRow& row : rows) {
    if (row.peer) users.push_back(row.peer);
  }
  names_.InLine(here_.value_or(Conversation{}), users, [this, rows = std::move(rows), last] {
    std::vector<ShownPosting> shown;
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
      std::string what = What(*row);
      if (row->kind == StatementKind::kReceived) what += names_.NameOf(row->peer);
      if (row->kind == StatementKind::kSent && row->peer) what += " to " + names_.NameOf(row->peer);
      shown.push_back({row->time_ms, row->amount_fen, row->balance_fen, what});
    }
    view_.Postings(shown);
    view_.Note(last.empty() ? "nothing has gone in or out of your wallet yet" : last);
  });
}

void Chat::Statement(const std::vector<std::string>& words) {
  const int64_t count = words.size() > 1 ? Count(words[1]) : 20;
  if (count < 1 || count > kStatementMost) {
    return Fail("usage: /statement [COUNT], at most " + std::to_string(kStatementMost));
  }
  StatementFrom(static_cast<size_t>(count), 0, {});
}

void Chat::StatementFrom(size_t count, int64_t before, std::vector<StatementRow> so_far) {
  const auto page_rows = static_cast<uint32_t>(std::min<size_t>(count - so_far.size(), 200));
  client_->ListStatement(
      before, page_rows,
      Answer<Page<StatementRow>>([this, count, so_far = std::move(so_far)](
                                     const Result<Page<StatementRow>>& page) {
        if (!page.ok()) return Fail(page.error().text);
        std::vector<StatementRow> rows = so_far;
        rows.insert(rows.end(), page->items.begin(), page->items.end());
        if (page->more && !page->items.empty() && rows.size() < count) {
          return StatementFrom(count, page->items.back().account_seq, std::move(rows));
        }
        const std::string last = rows.empty() ? "" : "you have " + Yuan(rows.front().balance_fen);
        DisplayPostings(std::move(rows), last);
      }));
}

void Chat::PacketYear(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[1] == "more") {
    if (!year_left_) return Fail("there are no earlier ones; /year sent|received [YEAR] begins");
    return PacketYearFrom(*year_left_, {});
  }
  const bool sent = words.size() > 1 && words[1] == "sent";
  const int64_t year = words.size() > 2 ? Count(words[2]) : 0;
  if (words.size() < 2 || (!sent && words[1] != "received") || year > 9999 ||
      (words.size() > 2 && year == 0)) {
    return Fail("usage: /year sent|received [YEAR], /year more");
  }
  year_left_.reset();
  PacketYearFrom({sent ? Which::kSent : Which::kReceived, static_cast<int32_t>(year), 0}, {});
}

void Chat::PacketYearFrom(YearPage page, std::vector<StatementRow> so_far) {
  client_->GetPacketHistory(page.which, page.year, page.before,
                            Answer<PacketHistory>([this, page, so_far = std::move(so_far)](
                                                      const Result<PacketHistory>& history) {
                              if (!history.ok()) return Fail(history.error().text);
                              std::vector<StatementRow> rows = so_far;
                              rows.insert(rows.end(), history->rows.begin(), history->rows.end());
                              const YearPage rest = {page.which, history->year, history->before};
                              if (history->more && rows.size() < kYearPage)
                                return PacketYearFrom(rest, std::move(rows));
                              year_left_ = history->more ? std::optional(rest) : std::nullopt;
                              std::string last = "in " + std::to_string(history->year) + " you ";
                              if (page.which == Which::kSent) {
                                last += "sent " + std::to_string(history->sent_count) + ", " +
                                        Yuan(history->sent_fen) + ", of which " +
                                        YuanText(history->returned_fen) + " came back";
                              } else {
                                last += "received " + std::to_string(history->received_count) +
                                        ", " + Yuan(history->received_fen);
                              }
                              if (history->more) last += "; /year more shows earlier ones";
                              DisplayPostings(std::move(rows), last);
                            }));
}

}  // namespace hongyan::chat
