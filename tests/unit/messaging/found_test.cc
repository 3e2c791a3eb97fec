// One test for each failure the simulator has found in these rooms.

#include <algorithm>
#include <string>
#include <vector>

#include "house.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using storage::CommitFate;
using Names = std::vector<std::string>;

Names People(int count) {
  Names names;
  for (int i = 0; i < count; ++i) names.push_back("p" + std::to_string(i));
  return names;
}

// Somebody whose inbox is in another shard than those of all `others`.
std::string Elsewhere(const House& house, const Names& others) {
  for (int i = 0;; ++i) {
    const std::string name = "far" + std::to_string(i);
    const auto shard = house.router().ShardOf(house.User(name));
    if (std::none_of(others.begin(), others.end(), [&](const std::string& other) {
          return house.router().ShardOf(house.User(other)) == shard;
        })) {
      return name;
    }
  }
}

// One shard, where everything large is cut into slices of a few records.
House::Options Sliced() {
  House::Options options;
  options.shards = 1;
  options.limits.batch_records = 6;
  options.limits.slice_at_least = 2;
  options.limits.shortcut_entries = 2;
  options.group_limits.create_at_once = 3;
  return options;
}

}  // namespace

TEST_CASE("the first member of a group in a shard is no damage, however old the group is by then") {
  House::Options apart;
  apart.executors = 4;
  House house(apart);
  int commits_with_parked = 0;
  house.faults.commit = [&] {
    commits_with_parked += house.state->parked.empty() ? 0 : 1;
    return CommitFate::kApply;
  };
  house.Restart();
  const auto group = House::Group(house.Create("anna", "g", {"anna2"}));
  const std::string far = Elsewhere(house, {"anna", "anna2"});
  CHECK(house.Change("anna", group, {}, {"anna2"}).ok());
  CHECK(house.Change("anna", group, {far}, {}).ok());
  CHECK(house.Send("anna", model::ConversationId::Group(group), "1").ok());
  CHECK(house.Inbox(far) == Names{"*", "1"});
  CHECK(commits_with_parked == 0);
}

TEST_CASE("who leaves leaves the slice, wherever a restart cuts the change") {
  for (int die_at = 1; die_at < 16; ++die_at) {
    House house(Sliced());
    const auto group = House::Group(house.Create("anna", "g", People(12)));
    model::ChangeMembers change;
    change.group = group;
    change.actor = house.User("anna");
    change.request_id = house.NewId();
    for (const auto& name : People(8)) change.remove.push_back(house.User(name));
    house.Submit(0, change);
    for (int batch = 0; batch < die_at; ++batch) house.RunOnce();
    house.Restart();
    house.clock.Advance(2000);
    house.Run();
    CAPTURE(die_at);
    CHECK(house.state->followers.size() == 5);
    CHECK(house.state->slices.at({0, group}).count == 5);
    CHECK(house.Inbox("p0").size() == 2);
    CHECK(house.state->parked.empty());
  }
}

TEST_CASE("what is parked in the middle of its slices reaches everybody once, and the rest only") {
  for (const bool change : {false, true}) {
    int cut = 0;
    for (int die_at = 1; die_at < 16; ++die_at) {
      House house(Sliced());
      const auto group = House::Group(house.Create("anna", "g", People(12)));
      const auto talk = model::ConversationId::Group(group);
      if (change) {
        model::ChangeMembers command;
        command.group = group;
        command.actor = house.User("anna");
        command.request_id = house.NewId();
        for (const auto& name : People(3)) command.remove.push_back(house.User(name));
        for (const auto* name : {"x", "y", "z"}) command.add.push_back(house.User(name));
        house.Submit(0, command);
      } else {
        house.Submit(0, house.MakeSend("anna", talk, "1"));
      }
      for (int batch = 0; batch < die_at; ++batch) house.RunOnce();
      house.Kill();
      house.state->Crash();
      if (house.state->marks.begin()->second.position == 0) continue;
      ++cut;
      house.state->slices.begin()->second.version += 5;
      house.Start();
      house.clock.Advance(2000);
      house.Run();
      CAPTURE(change);
      CAPTURE(die_at);
      CHECK(house.state->parked.empty());
      CHECK(house.Inbox("anna").size() == 2);
      for (const auto& name : People(12)) CHECK(house.Inbox(name).size() == 2);
      if (change) CHECK(house.Inbox("y") == Names{"*"});
      CHECK(house.Send("anna", talk, "2").ok());
      CHECK(house.Inbox("p11").back() == "2");
      CHECK(house.Inbox("p0").size() == (change ? 2 : 3));
    }
    CHECK(cut > 1);
  }
}

TEST_CASE(
    "a broken inbox parks its own part of a message, and a retry brings it and nothing else") {
  for (const auto& options : {Sliced(), House::Options()}) {
    House house(options);
    const auto group = House::Group(house.Create("anna", "g", People(12)));
    const auto talk = model::ConversationId::Group(group);
    const auto direct = House::Direct(house.User("anna"), house.User("p7"));
    CHECK(house.Send("anna", talk, "1").ok());
    house.Kill();
    house.state->broken_inboxes = {house.User("anna"), house.User("p3"), house.User("p7")};
    house.Start();
    const auto run = [&house] {
      for (int i = 0; i < 20; ++i) {
        house.clock.Advance(1100);
        house.Run();
      }
    };
    CHECK(house.Send("p0", talk, "2").ok());
    run();
    CHECK(house.Change("anna", group, {}, {"p0"}).ok());
    run();
    CHECK(house.Send("anna", direct, "both broken").ok());
    CHECK(house.Send("p1", House::Direct(house.User("p1"), house.User("p3")), "one broken").ok());
    run();
    CHECK(house.Inbox("p11") == Names{"*", "1", "2", "*"});
    CHECK(house.Inbox("p1").back() == "one broken");
    CHECK(house.state->parked.size() >= 8);

    house.state->broken_inboxes.clear();
    for (const auto& [place, item] : std::map(house.state->parked)) {
      house.Submit(place.first.target,
                   model::RetryParked{place.first.source, place.first.target, place.second});
    }
    run();
    CHECK(house.state->parked.empty());
    CHECK(house.Inbox("anna").size() == 5);
    CHECK(house.Inbox("p3").size() == 5);
    CHECK(house.Inbox("p7").size() == 5);
    CHECK(house.Inbox("p11") == Names{"*", "1", "2", "*"});
  }
}

TEST_CASE("a follower who should not be there gets no announcement either") {
  House house;
  const auto group = House::Group(house.Create("anna", "g", {"bert", "carl"}));
  house.Kill();
  const auto shard = house.router().ShardOf(house.User("bert"));
  std::string stranger;
  for (int i = 0; stranger.empty(); ++i) {
    const std::string name = "stranger" + std::to_string(i);
    if (house.router().ShardOf(house.User(name)) == shard) stranger = name;
  }
  house.state->followers[{{shard, group}, house.User(stranger)}] = {
      house.User(stranger), model::ConvSeq(1), {}};
  house.Start();
  CHECK(house.Change("anna", group, {"dora"}, {}).ok());
  CHECK(house.Inbox(stranger).empty());
  CHECK(house.Inbox("bert").size() == 2);
  CHECK(house.state->parked.empty());
}

TEST_CASE(
    "a creation that waits for its last slice is answered once, whatever becomes of that commit") {
  for (const CommitFate fate : {CommitFate::kUnknownApplied, CommitFate::kUnknownLost}) {
    for (int at = 1; at < 12; ++at) {
      House house(Sliced());
      int commits = 0;
      house.faults.commit = [&] { return ++commits == at ? fate : CommitFate::kApply; };
      house.Restart();
      commits = 0;
      model::CreateGroup create;
      create.creator = house.User("anna");
      create.request_id = house.NewId();
      create.id = house.router().GroupIdOf(create.creator, create.request_id);
      create.name = "g";
      for (const auto& name : People(12)) create.members.push_back(house.User(name));
      const auto ticket = house.Submit(0, create);
      house.Run();
      CAPTURE(at);
      CHECK(house.Take(ticket).has_value());
      CHECK(house.answers(ticket) == 1);
    }
  }
}

TEST_CASE("a group's row that counts members of other shards is broken data, not a crash") {
  for (const auto& counts :
       {std::vector<int32_t>{2}, std::vector<int32_t>(9, 2), std::vector<int32_t>{-1, 1, 1, 1}}) {
    House house;
    const auto group = House::Group(house.Create("anna", "g", {"bert"}));
    house.Kill();
    house.state->groups.at(group).member_count = counts;
    house.Start();
    const auto talk = model::ConversationId::Group(group);
    CHECK(House::Why(house.Send("anna", talk, "1")) == model::Reason::kBroken);
    CHECK(House::Why(house.Change("anna", group, {"carl"}, {})) == model::Reason::kBroken);
    CHECK(house.Send("anna", House::Direct(house.User("anna"), house.User("bert")), "2").ok());
  }
}

TEST_CASE("the owner who leaves hands the group to those who join in the same change") {
  House house;
  const auto group = House::Group(house.Create("anna", "g", {}));
  CHECK(house.Change("anna", group, {"bert"}, {"anna"}).ok());
  CHECK(house.state->groups.at(group).owner == house.User("bert"));
  // An empty group belongs to nobody; whom the administrator adds then gets it.
  CHECK(house.Change("bert", group, {}, {"bert"}).ok());
  CHECK(house.state->groups.at(group).owner == model::UserId());
  CHECK(house.Change("", group, {"carl"}, {}).ok());
  CHECK(house.state->groups.at(group).owner == house.User("carl"));
}

}  // namespace hongyan::testing
