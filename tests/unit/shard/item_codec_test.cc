#include <string>
#include <vector>

#include "shard/item_codec.h"
#include "tests/doctest_last.h"

namespace hongyan::shard {
namespace {

model::PacketTerms MakeTerms() {
  model::PacketTerms terms;
  terms.kind = model::PacketKind::kExclusive;
  terms.conversation = {0, 77};
  terms.sender = model::UserId(5);
  terms.request_id.bytes.fill(9);
  terms.named = model::UserId(6);
  terms.total_fen = 12'345;
  terms.shares = 3;
  terms.share_cap_fen = 20'000;
  terms.greeting = std::string("be \0 well \xff", 11);
  return terms;
}

std::vector<model::Item> MoneyItems() {
  const model::PacketId packet(2'071'700'000'000'000'011);
  model::RefundItem refund;
  refund.packet = packet;
  refund.sender = model::UserId(5);
  refund.request_id.bytes.fill(9);
  refund.conversation = {5, 6};
  refund.kind = model::PacketKind::kTransfer;
  refund.amount_fen = 700;
  refund.reason = model::ReturnReason::kTooLate;
  refund.created = false;
  model::PacketReturnedItem returned;
  returned.user = model::UserId(5);
  returned.request_id.bytes.fill(9);
  returned.packet = packet;
  returned.conversation = {0, 77};
  returned.amount_fen = 700;
  returned.reason = model::ReturnReason::kExpired;
  returned.time_ms = 1'790;
  return {model::FundItem{packet, MakeTerms()},
          model::AnnounceItem{{packet, MakeTerms(), 1'790, 1'900, 1, 3}},
          model::VerdictItem{packet, false, model::ConvSeq(0), 5},
          model::CreditItem{packet, model::UserId(8), 99, model::PacketKind::kLucky,
                            model::UserId(5), 1'791},
          refund,
          model::PacketNoticeItem{model::PacketNoticeItem::What::kAccepted,
                                  packet,
                                  model::PacketKind::kTransfer,
                                  {5, 6},
                                  model::UserId(5),
                                  model::UserId(6),
                                  700,
                                  1'234},
          returned};
}

}  // namespace

TEST_CASE("every item of money is read as it was written") {
  for (const model::Item& item : MoneyItems()) {
    CAPTURE(item.index());
    const std::string bytes = EncodeItem(item);
    const auto read = DecodeItem(bytes);
    REQUIRE(read.ok());
    CHECK(read->index() == item.index());
    CHECK(EncodeItem(*read) == bytes);
    CHECK(model::FenOf(*read) == model::FenOf(item));
  }
  const auto fund = std::get<model::FundItem>(*DecodeItem(EncodeItem(MoneyItems()[0])));
  CHECK(fund.terms.greeting == MakeTerms().greeting);
  CHECK(fund.terms.named == model::UserId(6));
  CHECK(fund.terms.share_cap_fen == 20'000);
  CHECK_FALSE(std::get<model::RefundItem>(*DecodeItem(EncodeItem(MoneyItems()[4]))).created);
}

TEST_CASE("funds that nobody knows the conversation of are read, a packet's refund is not") {
  auto refund = std::get<model::RefundItem>(MoneyItems()[4]);
  refund.conversation = {};
  CHECK(DecodeItem(EncodeItem(refund)).ok());
  refund.created = true;
  CHECK_FALSE(DecodeItem(EncodeItem(refund)).ok());
}

TEST_CASE("an item of money that no shard can have sent is broken") {
  auto items = MoneyItems();
  std::get<model::FundItem>(items[0]).terms.total_fen = 0;
  std::get<model::AnnounceItem>(items[1]).packet.terms.kind = model::PacketKind::kNone;
  std::get<model::VerdictItem>(items[2]).packet = model::PacketId(0);
  std::get<model::CreditItem>(items[3]).amount_fen = -1;
  std::get<model::RefundItem>(items[4]).reason = model::ReturnReason::kNone;
  std::get<model::PacketNoticeItem>(items[5]).what = static_cast<model::PacketNoticeItem::What>(9);
  std::get<model::PacketReturnedItem>(items[6]).user = model::UserId(0);
  for (const model::Item& item : items) {
    CAPTURE(item.index());
    CHECK_FALSE(DecodeItem(EncodeItem(item)).ok());
  }
}

}  // namespace hongyan::shard
