#include "server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "fault/power_cut.h"

namespace hongyan::bench {
namespace {

using base::Code;
using base::Error;
using base::Result;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

Error Failed(const std::string& what) {
  return Error(Code::kUnavailable, what + ": " + std::strerror(errno));
}

bool CanListen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return free;
}

// Below the ports the kernel gives to outgoing connections: a client that retries while the server
// is down would otherwise be given the server's own port, connect to itself and hold it.
Result<int> FreePort() {
  int lowest_outgoing = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> lowest_outgoing;
  const int top = std::min(lowest_outgoing, 32768) - 1;
  const int bottom = top > 12000 ? 10000 : 1024;
  std::random_device random;
  for (int i = 0; i < 200; ++i) {
    const int port = bottom + static_cast<int>(random() % static_cast<unsigned>(top - bottom + 1));
    if (CanListen(port)) return port;
  }
  return Error(Code::kUnavailable, "no free port found between " + std::to_string(bottom) +
                                       " and " + std::to_string(top));
}

// `key=value` with the value of a `ready` line; empty if there is none.
std::string Field(const std::string& line, const std::string& key) {
  const size_t at = line.find(" " + key + "=");
  if (at == std::string::npos) return {};
  const size_t begin = at + key.size() + 2;
  return line.substr(begin, line.find_first_of(" \r", begin) - begin);
}

}  // namespace

fs::path ProgramFolder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

Result<std::unique_ptr<ServerProcess>> ServerProcess::Make(const ServerProcessOptions& wanted) {
  ServerProcessOptions options = wanted;
  if (options.binary.empty()) options.binary = ProgramFolder() / "hongyand";
  std::error_code failed;
  if (!fs::exists(options.binary, failed)) {
    return Error(Code::kNotFound,
                 options.binary + " is not there: build hongyand, or name it with --hongyand");
  }
  if (options.parent.empty()) options.parent = fs::temp_directory_path(failed);
  std::unique_ptr<ServerProcess> server(new ServerProcess(options));
  std::string folder = options.parent + "/hongyan-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return Failed("cannot make a folder in " + options.parent);
  server->folder_ = folder;
  fs::create_directory(server->folder_ / "data", failed);
  const auto port = FreePort();
  if (!port.ok()) return port.error();
  server->port_ = *port;
  server->admin_path_ = (server->folder_ / "admin.sock").string();
  if (const auto written = server->WriteConfig(); !written.ok()) return written.error();
  return server;
}

ServerProcess::~ServerProcess() {
  if (running()) (void)Kill();
  if (folder_.empty()) return;
  if (options_.keep) {
    std::fprintf(stderr, "kept: %s\n", folder_.c_str());
    return;
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<void> ServerProcess::WriteConfig() {
  std::map<std::string, std::string> keys{
      {"listen", "\"127.0.0.1:" + std::to_string(port_) + "\""},
      {"admin", "\"" + admin_path_ + "\""},
  };
  if (options_.loops > 0) keys["loops"] = std::to_string(options_.loops);
  for (const std::string& setting : options_.config_set) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(Code::kInvalidArgument,
                   "--config-set " + setting +
                       ": write it as section.key=value, e.g. storage.unsafe_no_sync=true");
    }
    keys[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  std::ofstream file(folder_ / "hongyand.toml");
  for (const auto& [key, value] : keys) file << key << " = " << value << '\n';
  file.close();
  if (!file) return Failed("cannot write " + (folder_ / "hongyand.toml").string());
  return {};
}

Result<void> ServerProcess::Launch() {
  std::error_code failed;
  fs::remove(admin_path_, failed);
  const std::string log = (folder_ / "hongyand.log").string();
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return Failed("cannot write " + log);
  log_start_ = lseek(log_fd, 0, SEEK_END);

  // Everything the child needs is made here: between fork and exec only plain system calls are
  // safe.
  std::vector<std::string> environment;
  if (options_.watch_syncs) {
    const std::string library = fault::FindFaultLibrary();
    if (library.empty()) {
      close(log_fd);
      return Error(
          Code::kNotFound,
          "--lose-unsynced needs libhongyan_fault.so of the build tree: build all targets");
    }
    environment = fault::ChildEnvironment(
        {(folder_ / "data").string(), (folder_ / "journal").string(), library});
  } else {
    for (char** v = environ; *v != nullptr; ++v) environment.emplace_back(*v);
  }
  std::vector<char*> env;
  for (std::string& one : environment) env.push_back(one.data());
  env.push_back(nullptr);
  std::vector<std::string> words{options_.binary, "--config", (folder_ / "hongyand.toml").string(),
                                 "--data", (folder_ / "data").string()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    close(log_fd);
    return Failed("cannot start " + options_.binary);
  }
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);  // an interrupt at the terminal is ours to handle
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execve(argv[0], argv.data(), env.data());
    _exit(127);
  }
  close(log_fd);
  pid_ = child;
  return {};
}

Result<void> ServerProcess::Start(double timeout_s) {
  if (const auto launched = Launch(); !launched.ok()) return launched;
  return AwaitReady(timeout_s);
}

Result<void> ServerProcess::AwaitReady(double timeout_s) {
  const auto until = Clock::now() + std::chrono::duration<double>(timeout_s);
  while (Clock::now() < until) {
    std::istringstream log(LogSince(log_start_));
    for (std::string line; std::getline(log, line);) {
      if (line.find(" ready ") == std::string::npos || log.eof()) continue;
      address_ = Field(line, "listen");
      if (!address_.empty()) return {};
    }
    std::string how;
    if (EndedByItself(&how)) return Error(Code::kUnavailable, "the server does not start: " + how);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  (void)Kill();
  return Error(Code::kDeadlineExceeded,
               "the server was not ready in time; it said:\n" + LastWords());
}

bool ServerProcess::Reap(double timeout_s, int* status) {
  const auto until = Clock::now() + std::chrono::duration<double>(timeout_s);
  for (;;) {
    rusage usage{};
    const pid_t got = wait4(pid_, status, WNOHANG, &usage);
    if (got == pid_ || (got < 0 && errno == ECHILD)) {
      const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
      };
      past_cpu_s_ += seconds(usage.ru_utime) + seconds(usage.ru_stime);
      pid_ = 0;
      return true;
    }
    if (Clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<void> ServerProcess::Kill() {
  if (!running()) return {};
  kill(pid_, SIGKILL);
  int status = 0;
  // A process in the middle of a sync dies when the disk answers.
  if (!Reap(60, &status)) return Error(Code::kInternal, "the server does not die");
  return {};
}

Result<void> ServerProcess::Terminate(double timeout_s) {
  if (!running()) return {};
  kill(pid_, SIGTERM);
  int status = 0;
  if (!Reap(timeout_s, &status)) {
    (void)Kill();
    return Error(Code::kDeadlineExceeded, "the server did not end after SIGTERM in time");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error(Code::kInternal,
                 "the server did not end cleanly after SIGTERM; it said:\n" + LastWords());
  }
  return {};
}

Result<void> ServerProcess::LoseUnsynced() {
  const fault::CutReport report =
      fault::CutPower((folder_ / "data").string(), (folder_ / "journal").string());
  if (!report.ok()) return Error(Code::kInternal, "taking away unsynced bytes: " + report.error);
  return {};
}

bool ServerProcess::EndedByItself(std::string* how) {
  int status = 0;
  if (!running() || !Reap(0, &status)) return false;
  *how = WIFSIGNALED(status) ? "it was ended by signal " + std::to_string(WTERMSIG(status))
                             : "it ended with exit code " + std::to_string(WEXITSTATUS(status));
  *how += "; it said:\n" + LastWords();
  return true;
}

std::string ServerProcess::LogSince(int64_t offset) const {
  std::ifstream file(folder_ / "hongyand.log", std::ios::binary);
  file.seekg(offset);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string ServerProcess::LastWords() const {
  const std::string log = LogSince(log_start_);
  size_t from = log.size();
  for (int lines = 0; lines < 6 && from > 0; ++lines) {
    from = from < 2 ? std::string::npos : log.rfind('\n', from - 2);
    if (from == std::string::npos) from = 0;
  }
  return log.substr(from);
}

}  // namespace hongyan::bench
