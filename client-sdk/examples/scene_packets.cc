#include "client-sdk/examples/scene.h"

namespace scene {
namespace {

using hongyan::PacketKind;
using hongyan::PacketOrder;

}  // namespace

void Packets(const Stage& stage) {
  Conversation talk, group;
  {
    std::ifstream ids(stage.stores + "/scene");
    if (!(ids >> talk.a >> talk.b >> group.b)) Fail("play `talk` first");
  }
  auto anna = stage.Make("anna", "phone");
  auto bert = stage.Make("bert", "phone");
  auto carl = stage.Make("carl", "tablet");
  for (auto* device : {anna.get(), bert.get(), carl.get()}) device->GoOnline();
  const int64_t anna_had = anna->Balance(), bert_had = bert->Balance(), carl_had = carl->Balance();

  Say("\n4. A lucky packet in the group: 10.00 yuan in 3 shares. Every share is fair, none is "
      "alike.");
  PacketOrder lucky;
  lucky.conversation = group;
  lucky.amount_fen = 1000;
  lucky.shares = 3;
  lucky.greeting = "一路顺风, a good journey south!";
  const auto first = anna->SendPacket(lucky, "🧧 10.00 yuan in 3 shares");
  carl->Expect(group, {"🧧 " + lucky.greeting});
  const int64_t carl_got = carl->Open(first);
  const int64_t bert_got = bert->Open(first);
  const int64_t anna_got = anna->Open(first);
  if (carl_got + bert_got + anna_got != 1000) Fail("the shares do not add up");
  carl->OpenAgain(first, carl_got);
  for (const auto& claim : anna->Detail(first).claims) {
    if (claim.best_luck) Say("   Best luck: the one with " + Yuan(claim.amount_fen) + " yuan.");
  }
  bert->Expect(group, {"(the packet is empty)"});

  Say("\n5. Another one, which only Bert opens in time. (In this demo a packet lives for "
      "seconds.)");
  lucky.amount_fen = 600;
  lucky.greeting = "who is awake?";
  const auto second = anna->SendPacket(lucky, "🧧 6.00 yuan in 3 shares");
  bert->Expect(group, {"🧧 who is awake?"});
  const int64_t bert_more = bert->Open(second);
  Say("  · nobody else comes; the rest waits for the packet's end");
  const int64_t back = anna->AwaitReturned(second);
  if (back + bert_more != 600) Fail("what was taken and what came back is not 6.00 yuan");
  Say("  " + Coloured("anna", "Anna's phone: " + Yuan(back) + " yuan came back, to the fen"));
  Breathe(600);

  Say("\n6. A transfer: it is Bert's money until Anna accepts it.");
  PacketOrder transfer;
  transfer.kind = PacketKind::kTransfer;
  transfer.conversation = talk;
  transfer.amount_fen = 888;
  transfer.greeting = "for the seeds";
  const auto third = bert->SendPacket(transfer, "💴 8.88 yuan");
  anna->Expect(talk, {"💴 8.88 yuan: for the seeds"});
  if (anna->Open(third) != 888) Fail("the transfer is not whole");
  bert->Expect(talk, {"(the transfer is accepted)"});

  anna->ExpectBalance(anna_had - 1000 + anna_got - 600 + back + 888);
  bert->ExpectBalance(bert_had + bert_got + bert_more - 888);
  carl->ExpectBalance(carl_had + carl_got);
  Say("   Wallets now: Anna " + Yuan(anna->Balance()) + ", Bert " + Yuan(bert->Balance()) +
      ", Carl " + Yuan(carl->Balance()) + " yuan.");

  // The notice of the refund comes by its own way.
  bert->Expect(group, {"(the packet is over, " + Yuan(back) + " yuan went back)"});
  std::ofstream ids(stage.stores + "/scene");
  ids << talk.a << ' ' << talk.b << ' ' << group.b << ' ' << bert->History(talk).size() << ' '
      << bert->History(group).size() << '\n';
  if (!ids.flush()) Fail("cannot write to " + stage.stores);
}

}  // namespace scene
