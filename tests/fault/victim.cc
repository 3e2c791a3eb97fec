#include "fault/victim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <vector>

namespace hongyan::fault {

namespace fs = std::filesystem;

ScratchDir::ScratchDir(const std::string& parent) {
  fs::path base = parent.empty() ? fs::temp_directory_path() : fs::path(parent);
  std::string name = base / "hongyan-fault-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  dir_ = name;
  fs::create_directory(data());
  fs::create_directory(journal());
}

ScratchDir::~ScratchDir() {
  std::error_code code;
  fs::remove_all(dir_, code);
}

Victim::Victim(const ScratchDir& scratch, const std::string& scenario,
               const FaultInjection& injection) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const std::string program = fs::read_symlink("/proc/self/exe").parent_path() / "fault_victim";
  std::vector<std::string> arguments = {program, scenario, scratch.data()};
  std::vector<std::string> environment =
      ChildEnvironment({scratch.data(), scratch.journal(), FindFaultLibrary()}, injection);
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& text : arguments) argv.push_back(text.data());
  for (std::string& text : environment) envp.push_back(text.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  pipe_ = ends[0];
  if (error != 0) throw std::runtime_error("cannot start " + program);
}

Victim::~Victim() {
  Kill();
  close(pipe_);
}

std::optional<uint64_t> Victim::Next() {
  uint64_t number = 0;
  size_t got = 0;
  while (got < sizeof(number)) {
    pollfd ready{pipe_, POLLIN, 0};
    if (poll(&ready, 1, 20'000) <= 0) return std::nullopt;
    ssize_t done = read(pipe_, reinterpret_cast<char*>(&number) + got, sizeof(number) - got);
    if (done <= 0) return std::nullopt;
    got += static_cast<size_t>(done);
  }
  return number;
}

void Victim::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace hongyan::fault
