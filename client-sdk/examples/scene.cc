// The scene `scripts/quickstart` plays: real clients on real connections, shown on screen. It is
// also a longer example of the SDK than hello.cc.
//
//   scene HOST:PORT STORES PASSWORD talk      two people, a device that goes and comes back, a
//                                             group
//   scene HOST:PORT STORES PASSWORD packets   red packets and a transfer
//   scene HOST:PORT STORES PASSWORD after     after the server was killed: was anything lost?
//
// STORES is a directory for the clients' stores. The accounts anna, bert and carl exist with
// PASSWORD.

#include "client-sdk/examples/scene.h"

namespace scene {
namespace {

void Talk(const Stage& stage) {
  Say("\n1. Two people talk. ✓ comes after fsync, not before.");
  auto anna = stage.Make("anna", "phone");
  auto bert = stage.Make("bert", "phone");
  anna->GoOnline();
  bert->GoOnline();
  const auto anna_id = bert->Find("anna");
  const auto bert_id = anna->Find("bert");
  const auto carl_id = anna->Find("carl");
  const auto talk = Conversation::Between(anna_id, bert_id);
  anna->Send(talk, "鸿雁 - did the letter arrive?");
  bert->Expect(talk, {"鸿雁 - did the letter arrive?"});
  bert->Send(talk, "It did. The goose is resting.");
  anna->Expect(talk, {"It did. The goose is resting."});

  Say("\n2. Bert's phone goes offline; Anna goes on writing. Nothing is pushed into the void: it "
      "is stored.");
  bert->GoOffline();
  const std::vector<std::string> letters{"First thing while you are away.", "Second.",
                                         "Third and last."};
  for (const auto& letter : letters) anna->Send(talk, letter);
  Breathe(600);
  Say("   Back again: the phone pulls from its cursor - these three, in this order, each once.");
  bert->GoOnline();
  bert->Expect(talk, letters);
  Breathe(800);

  Say("\n3. A group, and a second device that knows nothing yet.");
  auto carl = stage.Make("carl", "tablet");
  carl->GoOnline();
  const auto group = Conversation::Of(anna->CreateGroup("wild geese", {bert_id, carl_id}));
  anna->Send(group, "Who flies south this week?");
  carl->Expect(group, {"Who flies south this week?"});
  bert->Expect(group, {"Who flies south this week?"});
  carl->Send(group, "Me!");
  bert->Send(group, "After the goose has rested.");
  anna->Expect(group, {"After the goose has rested."});
  Say("   Bert opens his desktop for the first time: it syncs everything from the start.");
  auto desktop = stage.Make("bert", "desktop");
  desktop->ShowOwn();
  desktop->GoOnline();
  desktop->Expect(group, {"Who flies south this week?", "Me!", "After the goose has rested."});
  desktop->Expect(talk, letters);

  std::ofstream ids(stage.stores + "/scene");
  ids << talk.a << ' ' << talk.b << ' ' << group.b << '\n';
  if (!ids.flush()) Fail("cannot write to " + stage.stores);
}

void After(const Stage& stage) {
  Conversation talk, group;
  size_t letters_before = 0, flight_before = 0;
  std::ifstream ids(stage.stores + "/scene");
  if (!(ids >> talk.a >> talk.b >> group.b >> letters_before >> flight_before)) {
    Fail("play `talk` and `packets` first");
  }
  auto bert = stage.Make("bert", "phone");
  bert->GoOnline();
  const auto letters = bert->History(talk);
  const auto flight = bert->History(group);
  const std::string before =
      std::to_string(letters_before) + " and " + std::to_string(flight_before);
  if (letters.size() != letters_before || flight.size() != flight_before) {
    Fail("history has " + std::to_string(letters.size()) + " and " + std::to_string(flight.size()) +
         " messages, it had " + before);
  }
  if (bert->received_of_others() > 0) Fail("something came twice");
  Say("   There were " + before +
      " messages in the two conversations: all are there, none came twice.");
  bert->Send(talk, "Still here.");
}

}  // namespace
}  // namespace scene

int main(int argc, char** argv) {
  using namespace scene;
  if (argc != 5) {
    std::fprintf(stderr, "usage: scene HOST:PORT STORES PASSWORD talk|packets|after\n");
    return 2;
  }
  const Stage stage{argv[1], argv[2], argv[3]};
  const std::string part = argv[4];
  if (part == "talk") {
    Talk(stage);
  } else if (part == "packets") {
    Packets(stage);
  } else {
    After(stage);
  }
  return 0;
}
