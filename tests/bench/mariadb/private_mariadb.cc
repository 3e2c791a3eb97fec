#include "mariadb/private_mariadb.h"

#include <fcntl.h>
#include <mysql.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

namespace hongyan::bench {
namespace {

using base::Code;
using base::Error;
using base::Result;
namespace fs = std::filesystem;

constexpr auto kStartPatience = std::chrono::seconds(60);
constexpr auto kEndPatience = std::chrono::seconds(60);

// Answers the child's id; its output goes to `log`. REQUIRES words[0] in the path.
pid_t Spawn(std::vector<std::string> words, const fs::path& log) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  if (out >= 0) close(out);
  return child;
}

// Where Debian puts it is not in everybody's path.
std::string ServerBinary() {
  for (const char* path : {"/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "mariadbd";
}

// Root must say that it means it.
std::vector<std::string> AsUser() {
  return geteuid() == 0 ? std::vector<std::string>{"--user=root"} : std::vector<std::string>();
}

}  // namespace

Result<std::unique_ptr<PrivateMariadb>> PrivateMariadb::Start(const std::string& parent) {
  std::unique_ptr<PrivateMariadb> server(new PrivateMariadb);
  if (const auto made = server->MakeFolder(parent); !made.ok()) return made.error();
  if (const auto made = server->MakeTables(); !made.ok()) return made.error();
  if (const auto launched = server->Launch(); !launched.ok()) return launched.error();
  if (const auto ready = server->AwaitReady(); !ready.ok()) return ready.error();
  return server;
}

PrivateMariadb::~PrivateMariadb() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    const auto until = std::chrono::steady_clock::now() + kEndPatience;
    while (waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > until) kill(pid_, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Result<void> PrivateMariadb::MakeFolder(const std::string& parent) {
  std::error_code failed;
  std::string folder = (parent.empty() ? fs::temp_directory_path(failed).string() : parent) +
                       "/hongyan-mariadb-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return Error(Code::kUnavailable, "cannot make a folder: " + std::string(std::strerror(errno)));
  }
  folder_ = folder;
  socket_ = (folder_ / "mariadb.sock").string();
  return {};
}

Result<void> PrivateMariadb::MakeTables() {
  std::vector<std::string> words{"mariadb-install-db", "--no-defaults",
                                 "--datadir=" + (folder_ / "data").string(),
                                 "--auth-root-authentication-method=normal", "--skip-test-db"};
  for (const std::string& word : AsUser()) words.push_back(word);
  const pid_t child = Spawn(words, folder_ / "log");
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0) {
    return Error(
        Code::kFailedPrecondition,
        "mariadb-install-db failed (is it installed? see scripts/packages):\n" + LastWords());
  }
  return {};
}

Result<void> PrivateMariadb::Launch() {
  std::vector<std::string> words{ServerBinary(),
                                 "--no-defaults",
                                 "--datadir=" + (folder_ / "data").string(),
                                 "--socket=" + socket_,
                                 "--pid-file=" + (folder_ / "pid").string(),
                                 "--skip-networking",
                                 "--skip-log-bin",
                                 "--max-connections=200",
                                 "--innodb-flush-log-at-trx-commit=1",
                                 "--innodb-buffer-pool-size=2G",
                                 "--innodb-log-file-size=1G",
                                 "--performance-schema=OFF"};
  for (const std::string& word : AsUser()) words.push_back(word);
  pid_ = Spawn(words, folder_ / "log");
  if (pid_ < 0) return Error(Code::kUnavailable, "cannot start mariadbd");
  return {};
}

Result<void> PrivateMariadb::AwaitReady() {
  const auto until = std::chrono::steady_clock::now() + kStartPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return Error(Code::kUnavailable, "mariadbd does not start:\n" + LastWords());
    }
    MYSQL* const probe = mysql_init(nullptr);
    const bool up = mysql_real_connect(probe, nullptr, "root", nullptr, nullptr, 0, socket_.c_str(),
                                       0) != nullptr;
    mysql_close(probe);
    if (up) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return Error(Code::kDeadlineExceeded, "mariadbd was not ready in time:\n" + LastWords());
}

std::string PrivateMariadb::LastWords() const {
  std::ifstream file(folder_ / "log", std::ios::binary);
  const std::string log{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return log.substr(log.size() - std::min<size_t>(log.size(), 1500));
}

}  // namespace hongyan::bench
