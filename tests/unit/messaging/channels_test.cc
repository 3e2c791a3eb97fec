#include <algorithm>
#include <string>
#include <vector>

#include "house.h"
#include "shard/item_codec.h"
#include "tests/doctest_last.h"

namespace hongyan::testing {
namespace {

using model::Reason;
using storage::CommitFate;
using Texts = std::vector<std::string>;

std::string Joined(const Texts& texts) {
  std::string joined;
  for (const auto& text : texts) joined += text + " ";
  return joined;
}

// A house whose items travel: one executor per shard, so no shortcut can be taken.
House::Options Apart() {
  House::Options options;
  options.executors = 4;
  return options;
}

}  // namespace

TEST_CASE("a broken slice is parked, replaced by a snapshot, and nobody misses a message") {
  for (const auto& options : {Apart(), House::Options()}) {
    House house(options);
    const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl", "dora", "emil"}));
    const auto group = model::ConversationId::Group(group_id);
    CHECK(house.Send("anna", group, "1").ok());
    house.Kill();
    const auto shard = house.router().ShardOf(house.User("carl"));
    house.state->followers.erase({{shard, group_id}, house.User("carl")});
    house.Start();
    CHECK(house.Send("anna", group, "2").ok());
    CHECK(house.Send("bert", group, "3").ok());
    CHECK(Joined(house.Inbox("carl")) == "* 1 2 3 ");
    CHECK(Joined(house.Inbox("dora")) == "* 1 2 3 ");
    CHECK(house.state->parked.empty());
  }
}

TEST_CASE("what waited for a snapshot goes to those who followed then") {
  for (const auto& options : {Apart(), House::Options()}) {
    House house(options);
    const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl", "dora"}));
    const auto group = model::ConversationId::Group(group_id);
    const auto shard = house.router().ShardOf(house.User("carl"));
    house.Kill();
    house.state->slices[{shard, group_id}].version = 77;
    house.Start();
    // All in flight at once, so that the snapshot stands for a moment after all of them.
    const auto target = house.router().ShardOf(group_id);
    house.Submit(target, house.MakeSend("anna", group, "before"));
    model::ChangeMembers leave;
    leave.group = group_id;
    leave.actor = leave.remove.emplace_back(house.User("carl"));
    leave.request_id = house.NewId();
    house.Submit(target, leave);
    house.Submit(target, house.MakeSend("anna", group, "after"));
    house.Run();
    CHECK(Joined(house.Inbox("carl")) == "* before * ");
    CHECK(Joined(house.Inbox("bert")) == "* before * after ");
    CHECK(house.state->parked.empty());
  }
}

TEST_CASE("an unknown commit is answered only after recovery has decided") {
  for (const auto fate : {CommitFate::kUnknownApplied, CommitFate::kUnknownLost}) {
    House house;
    const auto talk = House::Direct(house.User("anna"), house.User("bert"));
    CHECK(house.Send("anna", talk, "1").ok());
    bool fail = true;
    house.faults.commit = [&fail, fate] {
      return std::exchange(fail, false) ? fate : CommitFate::kApply;
    };
    house.Restart();
    const auto id = house.NewId();
    const auto reply = house.Send("anna", talk, "2", id);
    if (fate == CommitFate::kUnknownApplied) {
      CHECK(House::ConvSeq(reply) == 2);
    } else {
      CHECK(House::Why(reply) == Reason::kStoreStopped);
    }
    CHECK(House::ConvSeq(house.Send("anna", talk, "2", id)) == 2);
    CHECK(House::ConvSeq(house.Send("bert", talk, "3")) == 3);
    CHECK(Joined(house.Inbox("bert")) == "1 2 3 ");
  }
}

TEST_CASE("a refusal that rests on a lost commit is taken back with it") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  const auto shard = house.router().ShardOf(talk);
  bool fail = true;
  house.faults.commit = [&fail] {
    return std::exchange(fail, false) ? CommitFate::kUnknownLost : CommitFate::kApply;
  };
  house.Restart();
  // The same id with other content: a conflict only if the first is stored.
  const auto id = house.NewId();
  const auto first = house.Submit(shard, house.MakeSend("anna", talk, "2", id));
  const auto second = house.Submit(shard, house.MakeSend("anna", talk, "other", id));
  house.Run();
  CHECK(House::Why(*house.Take(first)) == Reason::kStoreStopped);
  CHECK(House::Why(*house.Take(second)) == Reason::kStoreStopped);
  CHECK(house.Send("anna", talk, "other", id).ok());
}

TEST_CASE("a channel with much to deliver does not hold up the others") {
  House::Options options;
  options.limits.batch_records = 2;
  options.limits.slice_at_least = 4;
  options.limits.shortcut_entries = 0;
  House house(options);
  const auto shard_of = [&house](const std::string& name) {
    return house.router().ShardOf(house.User(name));
  };
  // A crowd in one shard, and somebody in a later one.
  std::vector<std::string> crowd;
  std::string other;
  for (int i = 0; crowd.size() < 100 || other.empty(); ++i) {
    const std::string name = "n" + std::to_string(i);
    if (shard_of(name) == 1) {
      crowd.push_back(name);
    } else if (shard_of(name) == 3) {
      other = name;
    }
  }
  const auto group = model::ConversationId::Group(House::Group(house.Create(crowd[0], "g", crowd)));
  const auto talk = House::Direct(house.User(crowd[0]), house.User(other));
  house.Submit(house.router().ShardOf(group.group()), house.MakeSend(crowd[0], group, "to all"));
  for (int i = 0; i < 3; ++i) house.RunOnce();
  house.Submit(house.router().ShardOf(talk), house.MakeSend(crowd[0], talk, "to one"));
  const auto has = [&house](const std::string& name, const std::string& text) {
    const Texts inbox = house.Inbox(name);
    return std::find(inbox.begin(), inbox.end(), text) != inbox.end();
  };
  while (!has(other, "to one") && house.RunOnce()) {
  }
  CHECK(has(other, "to one"));
  const bool all = std::all_of(crowd.begin(), crowd.end(),
                               [&has](const auto& name) { return has(name, "to all"); });
  CHECK_FALSE(all);
  house.Run();
}

TEST_CASE("a store that cannot be opened again answers nothing but refusals, then goes on") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  bool fail = true;
  int closed = 5;
  house.faults.commit = [&fail] {
    return std::exchange(fail, false) ? CommitFate::kUnknownLost : CommitFate::kApply;
  };
  house.faults.reopen_fails = [&closed] { return closed-- > 0; };
  house.Restart();
  CHECK(House::Why(house.Send("anna", talk, "1")) == Reason::kStoreStopped);
  closed = 0;
  house.clock.Advance(200);
  CHECK(house.Send("anna", talk, "2").ok());
  CHECK(Joined(house.Inbox("bert")) == "2 ");
}

TEST_CASE("traffic does not make a closed store be opened again and again: the clock does") {
  // The store opens but no commit succeeds, or it does not open.
  for (const bool opens : {true, false}) {
    House house;
    const auto talk = House::Direct(house.User("anna"), house.User("bert"));
    int tries = 0;
    bool broken = true;
    house.faults.commit = [&] { return broken ? CommitFate::kUnknownLost : CommitFate::kApply; };
    house.faults.reopen_fails = [&] {
      ++tries;
      return !opens && broken;
    };
    house.Restart();
    const auto send_much = [&] {
      for (int i = 0; i < 20; ++i) {
        CHECK(House::Why(house.Send("anna", talk, "x")) == Reason::kStoreStopped);
      }
    };
    send_much();
    CHECK(tries == 1);
    house.clock.Advance(199);
    send_much();
    CHECK(tries == 1);
    house.clock.Advance(1);
    send_much();
    CHECK(tries == 2);
    broken = false;
    house.clock.Advance(200);
    CHECK(house.Send("anna", talk, "y").ok());
    CHECK(tries == 3);
    CHECK(Joined(house.Inbox("bert")) == "y ");
  }
}

TEST_CASE("commands waiting are bounded by their bytes, and there is room again once answered") {
  for (const auto fate : {CommitFate::kApply, CommitFate::kReject, CommitFate::kUnknownLost}) {
    House::Options options;
    options.limits.queue_bytes = 100'000;
    House house(options);
    house.faults.commit = [fate] { return fate; };
    house.faults.reopen_fails = [] { return true; };
    house.Restart();
    const auto talk = House::Direct(house.User("anna"), house.User("bert"));
    const auto submit = [&] {
      model::Command command;
      command.shard = house.router().ShardOf(talk);
      command.body = house.MakeSend("anna", talk, std::string(30'000, 'x'));
      return house.executor().Submit(std::move(command));
    };
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 3; ++i) CHECK(submit().ok());
      const auto refused = submit();
      REQUIRE_FALSE(refused.ok());
      CHECK(static_cast<Reason>(refused.error().reason) == Reason::kBusy);
      house.Run();
    }
  }
}

TEST_CASE("a rejected batch refuses only the command that cannot be committed") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  int commits = 0;
  // The batch, then its first command alone, are rejected; the rest goes through.
  house.faults.commit = [&commits] {
    return ++commits <= 2 ? CommitFate::kReject : CommitFate::kApply;
  };
  house.Restart();
  const auto shard = house.router().ShardOf(talk);
  const auto first = house.Submit(shard, house.MakeSend("anna", talk, "1"));
  const auto second = house.Submit(shard, house.MakeSend("bert", talk, "2"));
  house.Run();
  CHECK_FALSE(house.Take(first)->ok());
  CHECK(House::ConvSeq(*house.Take(second)) == 1);
  CHECK(Joined(house.Inbox("anna")) == "2 ");
}

TEST_CASE(
    "a guard that fires means our memory is wrong: it is read again, the commands run again") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.Send("anna", talk, "1").ok());
  bool fire = true;
  house.faults.commit = [&fire] {
    return std::exchange(fire, false) ? CommitFate::kGuard : CommitFate::kApply;
  };
  house.Restart();
  CHECK(House::ConvSeq(house.Send("anna", talk, "2")) == 2);
  CHECK(Joined(house.Inbox("bert")) == "1 2 ");
}

TEST_CASE("a source that lost its tail stops its channel, and sends into it are refused") {
  House house(Apart());
  std::string bert = "bert";
  const auto shard_of = [&](const std::string& name) {
    return house.router().ShardOf(house.User(name));
  };
  model::ConversationId talk;
  for (int i = 0;; ++i) {
    bert = "bert" + std::to_string(i);
    talk = House::Direct(house.User("anna"), house.User(bert));
    if (shard_of(bert) != house.router().ShardOf(talk)) break;
  }
  CHECK(house.Send("anna", talk, "1").ok());
  house.clock.Advance(60'000);
  const storage::ShardHead old_head = house.state->heads[house.router().ShardOf(talk)];
  CHECK(house.Send("anna", talk, "2").ok());
  house.Kill();
  house.state->heads[house.router().ShardOf(talk)] = old_head;
  house.Start();
  CHECK(House::Why(house.Send("anna", talk, "3")) == Reason::kChannelStopped);
  // The administrator accepts what was lost; the channel goes on.
  for (size_t e = 0; e < 4; ++e) house.executor(e).Tick();
  for (model::ShardId target = 0; target < 4; ++target) {
    house.Submit(target, model::AcceptChannel{house.router().ShardOf(talk), target});
  }
  house.clock.Advance(2000);
  house.Run();
  CHECK(house.Send("anna", talk, "4").ok());
  // What the source still had is not applied again.
  CHECK(Joined(house.Inbox(bert)) == "1 2 4 ");
  // A live channel has nothing to accept: moving its mark would apply items twice.
  const auto ticket = house.Submit(
      shard_of(bert), model::AcceptChannel{house.router().ShardOf(talk), shard_of(bert)});
  house.Run();
  CHECK_FALSE(house.Take(ticket)->ok());
}

TEST_CASE("a channel that is refused in a commit that applied from it is known as stopped") {
  House house;  // both ends on one executor
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  const model::ShardId source = house.router().ShardOf(talk);
  const model::ShardId target = (source + 1) % 4;
  const storage::ChannelId channel{source, target};
  house.Kill();
  // Items that carry no money; the row says that the second does.
  const std::string item =
      shard::EncodeItem(model::SliceRequestItem{model::GroupId(7), model::ConvSeq{1}});
  house.state->heads[source].emitted[target] = {2, 5};
  house.state->outbox[{channel, 2}] = {1, 2, {item, item}, 0, {0, 5}};
  house.Start();
  for (int i = 0; i < 4; ++i) {
    house.clock.Advance(1100);
    house.executor().Tick();
    house.Run();
  }
  CHECK(house.state->marks[channel].applied == 1);
  const auto report = house.executor().report();
  const auto told =
      std::find_if(report.channels.begin(), report.channels.end(),
                   [&](const auto& c) { return c.source == source && c.target == target; });
  REQUIRE(told != report.channels.end());
  CHECK(told->stopped.find("does not add up") != std::string::npos);
}

TEST_CASE("rows missing from an outbox stop the channel until the administrator accepts") {
  House house(Apart());
  const auto group_id =
      House::Group(house.Create("anna", "g", {"bert", "carl", "dora", "emil", "fred"}));
  const auto group = model::ConversationId::Group(group_id);
  const auto source = house.router().ShardOf(group_id);
  for (size_t e = 0; e < 4; ++e) {
    if (!house.executor(e).drives(source)) continue;
    for (const char* text : {"1", "2", "3"}) {
      house.Submit(source, house.MakeSend("anna", group, text));
      while (house.executor(e).RunOnce()) {
      }
    }
  }
  house.Kill();
  model::ShardId target = 0;
  for (auto it = house.state->outbox.begin(); it != house.state->outbox.end(); ++it) {
    if (it->first.first.source != source || it->first.first.target == source ||
        it->first.second != 3)
      continue;
    target = it->first.first.target;
    house.state->outbox.erase(it);
    break;
  }
  REQUIRE(target != source);
  house.Start();
  CHECK(House::Why(house.Send("anna", group, "4")) == Reason::kChannelStopped);
  house.clock.Advance(1100);
  house.Run();
  const auto ticket = house.Submit(target, model::AcceptChannel{source, target});
  house.Run();
  CHECK(house.Take(ticket)->ok());
  house.clock.Advance(1100);
  house.Run();
  CHECK(house.Send("anna", group, "5").ok());
}

TEST_CASE("a channel that lags makes its source refuse before anything is acknowledged") {
  House house(Apart());
  const auto group_id =
      House::Group(house.Create("anna", "g", {"bert", "carl", "dora", "emil", "fred"}));
  const auto group = model::ConversationId::Group(group_id);
  const auto source = house.router().ShardOf(group_id);
  // Only the source's executor runs: nobody takes what it sends.
  shard::Executor* sender = nullptr;
  for (size_t e = 0; e < 4; ++e) {
    if (house.executor(e).drives(source)) sender = &house.executor(e);
  }
  const auto first = house.Submit(source, house.MakeSend("anna", group, "1"));
  while (sender->RunOnce()) {
  }
  CHECK(house.Take(first)->ok());
  house.clock.Advance(1500);
  const auto second = house.Submit(source, house.MakeSend("anna", group, "2"));
  while (sender->RunOnce()) {
  }
  CHECK(House::Why(*house.Take(second)) == Reason::kBusy);
  sender->Tick();
  CHECK(sender->report().refused_busy == 1);
  house.Run();
  CHECK(house.Send("anna", group, "3").ok());
  CHECK(Joined(house.Inbox("emil")) == "* 1 3 ");
}

TEST_CASE(
    "an item that fails by itself twice is parked, the next ones go on, and a retry applies it") {
  House house(Apart());
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  house.Kill();
  // An outbox row whose bytes are not an item, as a broken disk could leave it.
  model::ShardId source = house.router().ShardOf(talk);
  model::ShardId target = house.router().ShardOf(house.User("bert"));
  const storage::ChannelId channel{source, target};
  house.state->heads[source].emitted[target].number = 1;
  house.state->outbox[{channel, 1}] = {1, 1, {"\xff\xff not an item"}};
  house.Start();
  for (int i = 0; i < 4; ++i) {
    house.clock.Advance(1100);
    for (size_t e = 0; e < 4; ++e) house.executor(e).Tick();
    house.Run();
  }
  CHECK(house.state->parked.size() == 1);
  CHECK(house.Send("anna", talk, "goes on").ok());
  CHECK(house.Inbox("bert").back() == "goes on");
  const auto ticket = house.Submit(target, model::RetryParked{source, target, 0});
  house.Run();
  const auto reply = house.Take(ticket);
  REQUIRE(reply->ok());
  CHECK(std::get<model::ParkedRetried>(**reply).retried == 1);
  CHECK(std::get<model::ParkedRetried>(**reply).applied == 0);
}

TEST_CASE("what waits for a snapshot is let go in slices, and nothing newer passes it") {
  for (auto options : {Apart(), House::Options()}) {
    options.limits.batch_records = 12;
    options.limits.slice_at_least = 2;
    House house(options);
    const std::vector<std::string> names = {"anna", "bert", "carl", "dora"};
    const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl", "dora"}));
    const auto group = model::ConversationId::Group(group_id);
    const storage::ChannelId channel{house.router().ShardOf(group_id),
                                     house.router().ShardOf(house.User("carl"))};
    house.Kill();
    auto& slice = house.state->slices[{channel.target, group_id}];
    slice.awaiting_snapshot = true;
    model::SliceSnapshotItem snapshot{group_id, slice.version, model::ConvSeq(41), {}};
    for (const auto& name : names) {
      if (house.router().ShardOf(house.User(name)) != channel.target) continue;
      snapshot.members.push_back({house.User(name), model::ConvSeq(1), {}});
    }
    house.Start();
    std::string all = "* ";
    for (int i = 0; i < 40; ++i) {
      CHECK(house.Send("anna", group, std::to_string(i)).ok());
      all += std::to_string(i) + " ";
    }
    REQUIRE(house.state->parked.size() == 40);
    // The snapshot comes, and something newer right behind it.
    house.Kill();
    const int64_t number = ++house.state->heads[channel.source].emitted[channel.target].number;
    house.state->outbox[{channel, number}] = {number, number, {shard::EncodeItem(snapshot)}, 0, {}};
    size_t parked = 40, most = 0;
    house.faults.commit = [&] {
      const size_t now = house.state->parked.size();
      most = std::max(most, parked - now);  // what one batch let go
      parked = now;
      return CommitFate::kApply;
    };
    house.Start();
    const auto newer = house.Submit(channel.source, house.MakeSend("anna", group, "newer"));
    house.Run();
    CHECK(house.Take(newer)->ok());
    CHECK(house.state->parked.empty());
    CHECK(most > 1);
    CHECK(most <= 12);
    CHECK(Joined(house.Inbox("carl")) == all + "newer ");
  }
}

TEST_CASE("a parked snapshot that is retried lets go what waits for it, before anything newer") {
  for (const auto& options : {Apart(), House::Options()}) {
    House house(options);
    const std::vector<std::string> names = {"anna", "bert", "carl", "dora"};
    const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl", "dora"}));
    const auto group = model::ConversationId::Group(group_id);
    const storage::ChannelId channel{house.router().ShardOf(group_id),
                                     house.router().ShardOf(house.User("carl"))};
    house.Kill();
    auto& slice = house.state->slices[{channel.target, group_id}];
    slice.awaiting_snapshot = true;
    model::SliceSnapshotItem snapshot{group_id, slice.version, model::ConvSeq(2), {}};
    house.Start();
    CHECK(house.Send("anna", group, "waits").ok());
    CHECK(house.state->parked.size() == 1);
    house.Kill();
    for (const auto& name : names) {
      if (house.router().ShardOf(house.User(name)) != channel.target) continue;
      snapshot.members.push_back({house.User(name), model::ConvSeq(1), {}});
    }
    house.state->parked[{channel, 999}] = {
        channel, 999, {}, 0, "failed by itself", shard::EncodeItem(snapshot)};
    house.Start();
    house.Submit(channel.target, model::RetryParked{channel.source, channel.target, 999});
    house.Run();
    CHECK(house.Send("anna", group, "next").ok());
    CHECK(Joined(house.Inbox("carl")) == "* waits next ");
    CHECK(house.state->parked.empty());
  }
}

TEST_CASE("what is parked in the very batch that retries everything is applied once") {
  for (const auto& options : {Apart(), House::Options()}) {
    House house(options);
    const std::vector<std::string> names = {"anna", "bert", "carl", "dora"};
    const auto group_id = House::Group(house.Create("anna", "g", {"bert", "carl", "dora"}));
    const auto group = model::ConversationId::Group(group_id);
    const storage::ChannelId channel{house.router().ShardOf(group_id),
                                     house.router().ShardOf(house.User("carl"))};
    house.Kill();
    auto& slice = house.state->slices[{channel.target, group_id}];
    slice.awaiting_snapshot = true;
    model::SliceSnapshotItem snapshot{group_id, slice.version, model::ConvSeq(1), {}};
    for (const auto& name : names) {
      if (house.router().ShardOf(house.User(name)) != channel.target) continue;
      snapshot.members.push_back({house.User(name), model::ConvSeq(1), {}});
    }
    house.state->parked[{channel, 999}] = {
        channel, 999, {}, 0, "failed by itself", shard::EncodeItem(snapshot)};
    house.Start();
    const auto send = house.Submit(channel.source, house.MakeSend("anna", group, "waits"));
    const auto retry =
        house.Submit(channel.target, model::RetryParked{channel.source, channel.target, 0});
    house.Run();
    CHECK(house.Take(send)->ok());
    CHECK(house.Take(retry)->ok());
    house.Submit(channel.target, model::RetryParked{channel.source, channel.target, 0});
    house.Run();
    CHECK(Joined(house.Inbox("carl")) == "* waits ");
    CHECK(house.state->parked.empty());
    house.executor().Tick();
    CHECK(house.executor().report().parked == 0);
  }
}

TEST_CASE("a step of the wall clock does not freeze who makes ids by the time told to clients") {
  House house;
  const auto talk = House::Direct(house.User("anna"), house.User("bert"));
  CHECK(house.executor().time_ms() == house.clock.WallMs());
  house.clock.StepWall(3'600'000);
  for (int i = 0; i < 10; ++i) {
    house.clock.Advance(100);
    house.executor().Tick();
  }
  const int64_t ahead_ms = house.clock.WallMs() - house.executor().time_ms();
  CHECK(ahead_ms > 3'500'000);
  CHECK(house.Send("anna", talk, "by the server's clock", house.NewId(ahead_ms)).ok());
  CHECK(House::Why(house.Send("anna", talk, "by the wall", house.NewId())) == Reason::kStaleId);
}

}  // namespace hongyan::testing
