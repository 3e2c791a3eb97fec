#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "net/address.h"
#include "tests/unit/net/peers.h"

#include "tests/doctest_last.h"

namespace hongyan::net {
namespace {

// A directory of its own, gone at the end.
struct Directory {
  std::string path;
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "net-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
};

std::string WhyNot(const std::string& address) {
  Loop loop(0);
  loop.Start();
  const auto opened =
      Listener::Open({.address = address}, {&loop}, [](Connection&) { return nullptr; });
  loop.Stop();
  return opened.ok() ? "" : opened.error().text;
}

bool Has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool Echoes(Peer& peer) {
  peer.SendFrame(1, "hello");
  const auto back = peer.Receive();
  return back && back->payload == "hello";
}

TEST_CASE("an address that cannot be read is refused with an example") {
  for (const char* wrong : {"", "7000", "localhost", ":7000", "127.0.0.1:", "127.0.0.1:x",
                            "127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1: 1"}) {
    CAPTURE(wrong);
    CHECK(Has(WhyNot(wrong), "write host:port"));
  }
  CHECK(Has(WhyNot("::1:7000"), "[::1]:7000"));
  CHECK(Has(WhyNot("unix:"), "needs a path"));
  CHECK(Has(WhyNot("no.such.host.invalid:1"), "cannot find the host"));
  CHECK(Has(WhyNot("192.0.2.1:0"), "no address of this machine"));
}

TEST_CASE(
    "the bound address tells the real port; IPv4, IPv6 and localhost work, the peer is known") {
  for (const auto& [address, bound, peer_text] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"127.0.0.1:0", "127.0.0.1:", "127.0.0.1"},
           {"localhost:0", "127.0.0.1:", "127.0.0.1"},
           {"[::1]:0", "[::1]:", "::1"},
       }) {
    CAPTURE(address);
    Server server(1, {.address = address});
    server.script.on_frame = [](Connection& c, const proto::Frame&) { c.Send({}, c.peer()); };
    CHECK(server.listener().address().starts_with(bound));
    CHECK_FALSE(server.listener().address().ends_with(":0"));
    Peer peer(server);
    peer.SendFrame(1, "who am I");
    const auto back = peer.Receive();
    REQUIRE(back);
    CHECK(back->payload == peer_text);
  }
}

TEST_CASE("an IPv4 peer of an IPv6 listener is known by its IPv4 address") {
  Server server(1, {.address = "[::]:0"});
  server.script.on_frame = [](Connection& c, const proto::Frame&) { c.Send({}, c.peer()); };
  const std::string bound = server.listener().address();
  Peer peer("127.0.0.1" + bound.substr(bound.rfind(':')));
  REQUIRE(peer.connected());
  peer.SendFrame(1, "who am I");
  const auto back = peer.Receive();
  REQUIRE(back);
  CHECK(back->payload == "127.0.0.1");
}

TEST_CASE("an address in use is an error that says so") {
  Server server;
  CHECK(Has(WhyNot(server.listener().address()), "in use by another process"));
}

TEST_CASE_FIXTURE(Directory, "a unix socket is for its owner only and goes with the listener") {
  const std::string file = path + "/s";
  Server server(2, {.address = "unix:" + file});
  server.script.on_frame = [](Connection& c, const proto::Frame&) { c.Send({}, c.peer()); };
  CHECK(server.listener().address() == "unix:" + file);
  struct stat found = {};
  REQUIRE(::lstat(file.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0600);
  for (int i = 0; i < 4; ++i) {
    Peer peer(server);
    peer.SendFrame(1, "x");
    const auto back = peer.Receive();
    REQUIRE(back);
    CHECK(back->payload == "unix");
  }
  server.listener().StopAccepting();
  CHECK(::lstat(file.c_str(), &found) != 0);
}

TEST_CASE_FIXTURE(
    Directory,
    "a live unix socket is an error, a stale one is replaced, another file is not touched") {
  const std::string file = path + "/s";
  {
    Server server(1, {.address = "unix:" + file});
    CHECK(Has(WhyNot("unix:" + file), "in use"));
    Peer peer(server);
    CHECK(Echoes(peer));
  }
  // As a killed process leaves it: bound, and nobody listens.
  auto address = ParseAddress("unix:" + file);
  REQUIRE(address.ok());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(fd, address->raw(), address->length) == 0);
  ::close(fd);
  {
    Server server(1, {.address = "unix:" + file});
    Peer peer(server);
    CHECK(Echoes(peer));
  }
  std::ofstream(file) << "precious";
  CHECK(Has(WhyNot("unix:" + file), "not a socket"));
  CHECK(std::filesystem::file_size(file) == 8);
}

TEST_CASE_FIXTURE(Directory, "a unix path too long or in no directory says so") {
  CHECK(Has(WhyNot("unix:" + path + "/" + std::string(108, 'p')), "107"));
  CHECK(Has(WhyNot("unix:" + path + "/none/s"), "does not exist"));
  const std::string longest = path + "/" + std::string(107 - path.size() - 1, 'p');
  CHECK(WhyNot("unix:" + longest).empty());
}

TEST_CASE("connections are spread over the loops in turn") {
  Server server(3);
  std::vector<Peer> peers;
  for (int i = 0; i < 9; ++i) {
    peers.emplace_back(server);
    REQUIRE(Echoes(peers.back()));
  }
  for (size_t i = 0; i < 3; ++i) CHECK(server.loop(i).stats().connections == 3);
  CHECK(server.listener().connections() == 9);
}

// Connects and asks, without waiting for the answer.
Peer Asking(Server& server) {
  Peer peer(server);
  REQUIRE(peer.connected());
  peer.SendFrame(1, "hello");
  return peer;
}

bool Answered(Peer& peer) { return peer.Receive().has_value(); }

// Whether the server goes on for some turns without taking another one.
bool StaysAt(Server& server, int64_t accepted) {
  for (int i = 0; i < 50; ++i) OnLoop(server.loop(), [] {});
  return server.listener().accepted() == accepted;
}

TEST_CASE("beyond the connections allowed, others wait in the backlog until one has gone") {
  Server server(2, {.max_connections = 3});
  std::vector<Peer> in;
  for (int i = 0; i < 3; ++i) {
    in.push_back(Asking(server));
    REQUIRE(Answered(in.back()));
  }
  std::vector<Peer> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(Asking(server));
  CHECK(StaysAt(server, 3));
  for (int i = 0; i < 3; ++i) {
    in[static_cast<size_t>(i)].Close();
    CHECK(Answered(waiting[static_cast<size_t>(i)]));
  }
  waiting[1].Reset();
  CHECK(Answered(waiting[3]));
  CHECK(server.listener().accepted() == 7);
}

TEST_CASE("while too many have not logged in, others wait until one has, or has gone") {
  Server server(2, {.max_connections = 100, .max_unauthenticated = 2});
  server.script.on_frame = [](Connection& c, const proto::Frame& frame) {
    if (frame.header.command == 2) {
      c.LoggedIn();
      c.LoggedIn();
    }
    Echo(c, frame);
  };
  Peer a = Asking(server), b = Asking(server);
  REQUIRE(Answered(a));
  REQUIRE(Answered(b));
  Peer c = Asking(server), d = Asking(server), e = Asking(server);
  CHECK(StaysAt(server, 2));
  a.SendFrame(2, "secret", 2);
  CHECK(Answered(a));
  CHECK(Answered(c));
  CHECK(StaysAt(server, 3));
  CHECK(server.listener().unauthenticated() == 2);
  b.Close();
  CHECK(Answered(d));
  a.Close();  // logged in: its going makes no room among those who have not
  REQUIRE(Eventually([&] { return server.listener().connections() == 2; }));
  CHECK(StaysAt(server, 4));
  c.Close();
  CHECK(Answered(e));
}

TEST_CASE("a quarter may be without login, but at least 64, and never more than all") {
  const auto fills_up_to = [](size_t max_connections, size_t expected) {
    CAPTURE(max_connections);
    Server server(1, {.max_connections = max_connections});
    std::vector<Peer> peers;
    for (int i = 0; i < 90; ++i) peers.emplace_back(server);
    CHECK(Eventually([&] { return server.listener().connections() == expected; }));
    CHECK(StaysAt(server, static_cast<int64_t>(expected)));
  };
  fills_up_to(20, 20);
  fills_up_to(200, 64);
  fills_up_to(300, 75);
  fills_up_to(4'000, 90);
}

TEST_CASE("a factory that refuses closes the connection") {
  Loop loop(0);
  loop.Start();
  auto opened =
      Listener::Open({.address = "127.0.0.1:0"}, {&loop}, [](Connection&) { return nullptr; });
  REQUIRE(opened.ok());
  Peer peer((*opened)->address());
  CHECK(peer.AtEnd());
  CHECK(Eventually([&] { return (*opened)->connections() == 0; }));
  opened->reset();
  loop.Stop();
}

TEST_CASE("after StopAccepting nobody comes in, and who is in stays") {
  Server server(2);
  Peer a(server), b(server);
  REQUIRE(Echoes(a));
  REQUIRE(Echoes(b));
  server.listener().StopAccepting();
  server.listener().StopAccepting();
  Peer late(server);
  CHECK_FALSE(late.connected());
  CHECK(Echoes(a));
  CHECK(Echoes(b));
}

TEST_CASE("a listener may be stopped from one of its loops") {
  Server server(2);
  Peer peer(server);
  REQUIRE(Echoes(peer));
  OnLoop(server.loop(1), [&] { server.listener().StopAccepting(); });
  CHECK_FALSE(Peer(server).connected());
  CHECK(Echoes(peer));
}

TEST_CASE("connections may outlive their listener") {
  Loop loop(0);
  loop.Start();
  Script script;
  struct Answering final : ConnectionHandler {
    void OnFrame(Connection& c, const proto::Frame& frame) override { Echo(c, frame); }
    void OnClosed(Connection&, CloseReason) override {}
  };
  auto opened = Listener::Open({.address = "127.0.0.1:0"}, {&loop},
                               [](Connection&) { return std::make_unique<Answering>(); });
  REQUIRE(opened.ok());
  Peer peer((*opened)->address());
  REQUIRE(Echoes(peer));
  opened->reset();
  CHECK(Echoes(peer));
  loop.Stop();
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

// The server side, in a process of its own with room for some ten connections. Tells its address by
// `out`, stays until `in` ends.
[[noreturn]] void ServeWithFewDescriptors(int in, int out) {
  {
    Server server(2);
    const std::string address = server.listener().address() + "\n";
    const rlim_t limit = OpenDescriptors() + 10;
    const rlimit few{.rlim_cur = limit, .rlim_max = limit};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) ::_exit(3);
    if (::write(out, address.data(), address.size()) < 0) ::_exit(4);
    char byte;
    while (::read(in, &byte, 1) > 0) {
    }
  }
  ::_exit(0);
}

TEST_CASE("out of descriptors, nobody is refused: they wait until some are free again") {
  int to_child[2], from_child[2];
  REQUIRE(::pipe2(to_child, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(from_child, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(to_child[1]);
    ServeWithFewDescriptors(to_child[0], from_child[1]);
  }
  ::close(to_child[0]);
  ::close(from_child[1]);
  std::string address;
  for (char c; ::read(from_child[0], &c, 1) == 1 && c != '\n';) address += c;
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 40; ++i) {
      peers.emplace_back(address);
      REQUIRE(peers.back().connected());
      peers.back().SendFrame(static_cast<uint32_t>(i + 1), "patience");
    }
    // Each is answered in its turn, when those before it have made room.
    for (int i = 0; i < 40; ++i) {
      const auto back = peers[static_cast<size_t>(i)].Receive();
      REQUIRE(back);
      CHECK(back->header.request_id == static_cast<uint32_t>(i + 1));
      peers[static_cast<size_t>(i)].Close();
    }
  }
  ::close(to_child[1]);
  ::close(from_child[0]);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace hongyan::net
