#include "spawned_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/doctest_last.h"

namespace hongyan::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

std::string NewDirectory() {
  const char* base = std::getenv("TMPDIR");
  std::string path =
      std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/hongyan-XXXXXX";
  REQUIRE(::mkdtemp(path.data()) != nullptr);
  return path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Starts a program with these three descriptors; the pid.
pid_t Spawn(const std::vector<std::string>& command, int in, int out, int err) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

// The exit code, once it has ended; -1 = it has not, a minute later.
int WaitFor(pid_t pid) {
  const auto end = steady_clock::now() + seconds(60);
  while (steady_clock::now() < end) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return -1;
}

}  // namespace

Outcome Run(const std::vector<std::string>& command, const std::string& input) {
  const std::string directory = NewDirectory();
  std::ofstream(directory + "/in", std::ios::binary) << input;
  const int in = ::open((directory + "/in").c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open((directory + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int err = ::open((directory + "/err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = Spawn(command, in, out, err);
  for (const int fd : {in, out, err}) ::close(fd);
  Outcome outcome;
  outcome.exit_code = WaitFor(pid);
  if (outcome.exit_code == -1) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    FAIL("'" << command.front() << "' did not end within a minute");
  }
  outcome.out = ReadFile(directory + "/out");
  outcome.err = ReadFile(directory + "/err");
  std::filesystem::remove_all(directory);
  return outcome;
}

SpawnedServer::SpawnedServer(std::string config, int port)
    : directory_(NewDirectory()), data_(directory_ + "/data") {
  std::ofstream(directory_ + "/hongyand.toml") << "listen = \"127.0.0.1:" << port << "\"\n"
                                               << config;
  Start();
}

SpawnedServer::~SpawnedServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(directory_);
}

std::vector<std::string> SpawnedServer::CommandLine() const {
  return {HONGYAND, "--config", directory_ + "/hongyand.toml", "--data", data_};
}

std::string SpawnedServer::log() const { return ReadFile(directory_ + "/log"); }

void SpawnedServer::Start() {
  const size_t before = log().size();
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int err =
      ::open((directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  std::vector<std::string> command = CommandLine();
  if (clock_ahead_s_ != 0) {
    command.insert(command.begin(), {"/usr/bin/env", std::string("LD_PRELOAD=") + MOVED_CLOCK,
                                     "HONGYAN_CLOCK_AHEAD_S=" + std::to_string(clock_ahead_s_)});
  }
  pid_ = Spawn(command, in, err, err);
  ::close(in);
  ::close(err);
  const auto end = steady_clock::now() + seconds(60);
  while (steady_clock::now() < end) {
    const std::string text = log().substr(before);
    const size_t ready = text.find(" ready listen=127.0.0.1:");
    if (ready != std::string::npos && text.find('\n', ready) != std::string::npos) {
      port_ = std::atoi(text.c_str() + ready + std::strlen(" ready listen=127.0.0.1:"));
      return;
    }
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      FAIL("hongyand ended before it was ready: " << text);
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  FAIL("hongyand was not ready within a minute: " << log().substr(before));
}

void SpawnedServer::Kill() {
  REQUIRE(::kill(pid_, SIGKILL) == 0);
  CHECK(Wait() == 128 + SIGKILL);
}

void SpawnedServer::Terminate() { REQUIRE(::kill(pid_, SIGTERM) == 0); }

int SpawnedServer::Wait() {
  const int code = WaitFor(pid_);
  REQUIRE(code != -1);
  pid_ = -1;
  return code;
}

Outcome SpawnedServer::Admin(std::vector<std::string> arguments, const std::string& input) const {
  std::vector<std::string> command{HONGYAN_ADMIN, "--data", data_};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Run(command, input);
}

std::string SpawnedServer::AdminOk(std::vector<std::string> arguments,
                                   const std::string& input) const {
  const Outcome outcome = Admin(std::move(arguments), input);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

}  // namespace hongyan::integration
