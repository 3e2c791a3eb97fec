#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "hongyan/store.h"

#include <doctest/doctest.h>

namespace {

using namespace hongyan;
namespace fs = std::filesystem;
using Durability = Store::Durability;

struct Directory {
  Directory() {
    char name[] = "/tmp/hongyan-store-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Directory() { fs::remove_all(path); }

  std::shared_ptr<Store> Open() const {
    auto opened = OpenFileStore(path + "/store");
    REQUIRE_MESSAGE(opened.ok(), opened.error().text);
    return *std::move(opened);
  }
  std::string log() const { return path + "/store/log"; }
  std::string ReadLog() const {
    std::ifstream in(log(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void WriteLog(const std::string& bytes) const {
    std::ofstream(log(), std::ios::binary | std::ios::trunc) << bytes;
  }
  std::string path;
};

UnsentMessage Unsent(int64_t number, std::string body = "body") {
  return {number, {1, 2}, std::string(16, static_cast<char>('a' + number % 26)), std::move(body)};
}

void Put(Store& store, int64_t number, Durability durability = Durability::kDurable) {
  store.PutUnsent(Unsent(number));
  REQUIRE(store.Commit(durability).ok());
}

}  // namespace

TEST_CASE_FIXTURE(Directory, "what was committed is there after opening again") {
  {
    const auto store = Open();
    const Saved fresh = *store->Load();
    CHECK(fresh.device_id.empty());
    CHECK(fresh.cursor == 0);
    store->SetDevice(std::string(16, 'd'));
    store->SetAccount({42}, "ann", "token");
    store->SetCursor(7);
    for (int64_t n = 1; n <= 3; ++n) store->PutUnsent(Unsent(n, std::string("\0x", 2)));
    store->RemoveUnsent(2);
    REQUIRE(store->Commit(Durability::kDurable).ok());
    store->SetCursor(9);  // never committed
  }
  const Saved saved = *Open()->Load();
  CHECK(saved.device_id == std::string(16, 'd'));
  CHECK(saved.user.value == 42);
  CHECK(saved.user_name == "ann");
  CHECK(saved.token == "token");
  CHECK(saved.cursor == 7);
  REQUIRE(saved.unsent.size() == 2);
  CHECK(saved.unsent[0].number == 1);
  CHECK(saved.unsent[1].number == 3);
  CHECK(saved.unsent[1].client_msg_id == Unsent(3).client_msg_id);
  CHECK(saved.unsent[1].body == std::string("\0x", 2));
  CHECK(saved.unsent[1].conversation == Conversation{1, 2});
}

TEST_CASE_FIXTURE(Directory, "a second opening is refused while the first lives") {
  auto first = Open();
  const auto second = OpenFileStore(path + "/store");
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().text.find("in use") != std::string::npos);
  first.reset();
  CHECK(OpenFileStore(path + "/store").ok());
}

TEST_CASE_FIXTURE(Directory,
                  "a log cut anywhere in its last commits opens with what is whole, commits are "
                  "whole or absent") {
  size_t durable_size;
  {
    const auto store = Open();
    Put(*store, 1);
    durable_size = fs::file_size(log());
    store->PutUnsent(Unsent(2));
    store->PutUnsent(Unsent(3));
    store->SetCursor(5);
    REQUIRE(store->Commit(Durability::kWritten).ok());
  }
  const std::string whole = ReadLog();
  for (size_t size = durable_size; size <= whole.size(); ++size) {
    CAPTURE(size);
    WriteLog(whole.substr(0, size));
    const auto store = Open();
    const Saved saved = *store->Load();
    const bool all = size == whole.size();
    CHECK(saved.unsent.size() == (all ? 3u : 1u));
    CHECK(saved.cursor == (all ? 5 : 0));
    Put(*store, 9);  // and it can go on
    CHECK(store->Load()->unsent.back().number == 9);
  }
}

TEST_CASE_FIXTURE(Directory, "a tail of zeros or rubbish, as a crash leaves it, is cut off") {
  {
    const auto store = Open();
    Put(*store, 1);
  }
  const std::string whole = ReadLog();
  for (const std::string& tail :
       {std::string(4096, '\0'), std::string(100, '\xff'), std::string("\x10\0\0\0", 4)}) {
    WriteLog(whole + tail);
    {
      const auto store = Open();
      CHECK(store->Load()->unsent.size() == 1);
      Put(*store, 2);
      store->RemoveUnsent(2);
      REQUIRE(store->Commit(Durability::kDurable).ok());
    }
    CHECK(Open()->Load()->unsent.size() == 1);
  }
}

TEST_CASE_FIXTURE(
    Directory,
    "any byte flipped in what was durable is an error that says what to do, not a loss") {
  {
    const auto store = Open();
    Put(*store, 1);
    Put(*store, 2);
    Put(*store, 3);
    Put(*store, 4);
  }
  const std::string whole = ReadLog();
  // The last record is the one no later record vouches for: a flip there cannot be told from a torn
  // tail.
  size_t last = 8;
  for (size_t at = 8; at < whole.size();) {
    last = at;
    at += 8 + static_cast<unsigned char>(whole[at]) +
          256u * static_cast<unsigned char>(whole[at + 1]);
  }
  for (size_t at = 0; at < last; ++at) {
    CAPTURE(at);
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x20);
    WriteLog(flipped);
    const auto opened = OpenFileStore(path + "/store");
    REQUIRE_FALSE(opened.ok());
    const bool says = opened.error().text.find("move the directory away") != std::string::npos ||
                      opened.error().text.find("another directory") != std::string::npos;
    CHECK(says);
  }
}

TEST_CASE_FIXTURE(Directory, "the log stays small however much goes through it") {
  const auto store = Open();
  store->SetDevice(std::string(16, 'd'));
  store->PutUnsent(Unsent(1));
  for (int64_t n = 2; n < 3000; ++n) {
    store->PutUnsent(Unsent(n, std::string(1000, 'x')));
    store->SetCursor(n);
    REQUIRE(store->Commit(Durability::kWritten).ok());
    store->RemoveUnsent(n);
    REQUIRE(store->Commit(Durability::kWritten).ok());
  }
  CHECK(fs::file_size(log()) < 2'000'000);
  const Saved saved = *store->Load();
  CHECK(saved.device_id == std::string(16, 'd'));
  CHECK(saved.cursor == 2999);
  CHECK(saved.unsent.size() == 1);
}

TEST_CASE_FIXTURE(Directory, "a crash while the log is rewritten leaves the old one in force") {
  {
    const auto store = Open();
    Put(*store, 1);
  }
  std::ofstream(path + "/store/log.new", std::ios::binary) << "half of someth";
  const auto store = Open();
  CHECK(store->Load()->unsent.size() == 1);
}

TEST_CASE_FIXTURE(Directory, "something else in the place of the log is not overwritten") {
  { (void)Open(); }
  WriteLog("this is my diary");
  const auto opened = OpenFileStore(path + "/store");
  REQUIRE_FALSE(opened.ok());
  CHECK(ReadLog() == "this is my diary");
}

TEST_CASE_FIXTURE(Directory, "a place that cannot be a directory is an error with its name") {
  std::ofstream(path + "/file") << "x";
  const auto opened = OpenFileStore(path + "/file/store");
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().text.find("/file/store") != std::string::npos);
}

TEST_CASE_FIXTURE(Directory, "only the owner may read what is stored") {
  const auto store = Open();
  struct stat info {};
  REQUIRE(stat(log().c_str(), &info) == 0);
  CHECK((info.st_mode & 0077) == 0);
  REQUIRE(stat((path + "/store").c_str(), &info) == 0);
  CHECK((info.st_mode & 0077) == 0);
}

TEST_CASE("a full disk fails the commit, nothing of it happened, and the next one goes on") {
  // /dev/full cannot be a store; a limit on the size of files can stand for a full disk, in a
  // child.
  Directory directory;
  const auto store = directory.Open();
  Put(*store, 1);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // In the child only: the file may not grow any more. SIGXFSZ is ignored so that the write
    // fails.
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit {
      fs::file_size(directory.log()) + 100, fs::file_size(directory.log()) + 100
    };
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
    store->PutUnsent(Unsent(2, std::string(10'000, 'x')));
    store->SetCursor(5);
    if (store->Commit(Durability::kDurable).ok()) _exit(11);
    if (store->Load()->unsent.size() != 1 || store->Load()->cursor != 0) _exit(12);
    _exit(0);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
