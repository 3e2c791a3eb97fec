#include "config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace hongyan {
namespace {

// One settable value: its dotted key, where it goes, and what is allowed.
struct Key {
  enum class Type { kText, kWhole, kSize, kSwitch };
  std::string_view name;
  Type type;
  void* (*place)(Config&);
  int64_t min = 0;
  int64_t max = 0;
};

#define PLACE(member) [](Config& config) -> void* { return &config.member; }

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kMaxFen = 1'000'000'000'000;

constexpr std::array kKeys{
    Key{"listen", Key::Type::kText, PLACE(listen)},
    Key{"admin", Key::Type::kText, PLACE(admin)},
    Key{"loops", Key::Type::kWhole, PLACE(loops), 0, 64},
    Key{"shards", Key::Type::kWhole, PLACE(shards), 1, 64},
    Key{"limits.connections", Key::Type::kWhole, PLACE(limits.connections), 0, 1'000'000},
    Key{"limits.frame_bytes", Key::Type::kSize, PLACE(limits.frame_bytes), 4096, 64 * kMiB},
    Key{"limits.body_bytes", Key::Type::kSize, PLACE(limits.body_bytes), 1, 192 << 10},
    Key{"limits.requests_in_flight", Key::Type::kWhole, PLACE(limits.requests_in_flight), 1, 255},
    Key{"limits.hello_timeout_s", Key::Type::kWhole, PLACE(limits.hello_timeout_s), 1, 600},
    Key{"limits.login_timeout_s", Key::Type::kWhole, PLACE(limits.login_timeout_s), 1, 600},
    Key{"limits.idle_timeout_s", Key::Type::kWhole, PLACE(limits.idle_timeout_s), 1, 86'400},
    Key{"limits.group_members", Key::Type::kWhole, PLACE(limits.group_members), 2, 100'000},
    Key{"limits.groups_per_user", Key::Type::kWhole, PLACE(limits.groups_per_user), 1, 100'000},
    Key{"login.token_days", Key::Type::kWhole, PLACE(login.token_days), 1, 90},
    Key{"login.hash_threads", Key::Type::kWhole, PLACE(login.hash_threads), 1, 64},
    Key{"login.per_address_burst", Key::Type::kWhole, PLACE(login.per_address_burst), 1, 1'000'000},
    Key{"login.per_address_per_minute", Key::Type::kWhole, PLACE(login.per_address_per_minute), 1,
        1'000'000},
    Key{"login.per_user_burst", Key::Type::kWhole, PLACE(login.per_user_burst), 1, 1'000'000},
    Key{"login.per_user_per_minute", Key::Type::kWhole, PLACE(login.per_user_per_minute), 1,
        1'000'000},
    Key{"money.shards", Key::Type::kWhole, PLACE(money.shards), 1, 64},
    Key{"money.total_fen", Key::Type::kWhole, PLACE(money.total_fen), 1, kMaxFen},
    Key{"money.share_fen", Key::Type::kWhole, PLACE(money.share_fen), 1, kMaxFen},
    Key{"money.shares", Key::Type::kWhole, PLACE(money.shares), 1, 10'000},
    Key{"money.transfer_fen", Key::Type::kWhole, PLACE(money.transfer_fen), 1, kMaxFen},
    Key{"money.greeting_bytes", Key::Type::kWhole, PLACE(money.greeting_bytes), 0, 1024},
    Key{"money.life_s", Key::Type::kWhole, PLACE(money.life_s), 1, 30 * 86'400},
    Key{"storage.disk_reserve", Key::Type::kSize, PLACE(storage.disk_reserve), 0,
        1024 * 1024 * kMiB},
    Key{"storage.unsafe_no_sync", Key::Type::kSwitch, PLACE(storage.unsafe_no_sync)},
    Key{"overload.queue_ms", Key::Type::kWhole, PLACE(overload.queue_ms), 1, 60'000},
    Key{"log.level", Key::Type::kText, PLACE(log.level)},
    Key{"metrics.listen", Key::Type::kText, PLACE(metrics.listen)},
    Key{"shutdown.timeout_s", Key::Type::kWhole, PLACE(shutdown.timeout_s), 1, 600},
    Key{"shutdown.retry_spread_s", Key::Type::kWhole, PLACE(shutdown.retry_spread_s), 0, 600},
};

#undef PLACE

base::Error Wrong(std::string text) { return {base::Code::kInvalidArgument, std::move(text)}; }

// "64 KiB", "1GiB", "4096": bytes, if it is one of these forms.
std::optional<int64_t> ParseSize(std::string_view text) {
  size_t digits = 0;
  int64_t number = 0;
  while (digits < text.size() && digits < 12 &&
         std::isdigit(static_cast<unsigned char>(text[digits]))) {
    number = number * 10 + (text[digits++] - '0');
  }
  if (digits == 0) return std::nullopt;
  std::string_view unit = text.substr(digits);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty() || unit == "B") return number;
  if (unit == "KiB") return number << 10;
  if (unit == "MiB") return number << 20;
  if (unit == "GiB") return number << 30;
  return std::nullopt;
}

std::string Expected(const Key& key) {
  const std::string range = " from " + std::to_string(key.min) + " to " + std::to_string(key.max);
  switch (key.type) {
    case Key::Type::kText:
      return "a string in quotes";
    case Key::Type::kWhole:
      return "a whole number" + range;
    case Key::Type::kSize:
      return "bytes" + range + ", or a string like \"64 KiB\"";
    case Key::Type::kSwitch:
      return "true or false";
  }
  return {};
}

// False: the value does not fit the key.
bool Assign(Config& config, const Key& key, const toml::node& node) {
  void* const place = key.place(config);
  const auto in_range = [&key, place](int64_t value) {
    if (value < key.min || value > key.max) return false;
    *static_cast<int64_t*>(place) = value;
    return true;
  };
  switch (key.type) {
    case Key::Type::kText:
      if (!node.is_string()) return false;
      *static_cast<std::string*>(place) = node.as_string()->get();
      return true;
    case Key::Type::kWhole:
      return node.is_integer() && in_range(node.as_integer()->get());
    case Key::Type::kSize: {
      if (node.is_integer()) return in_range(node.as_integer()->get());
      if (!node.is_string()) return false;
      const auto size = ParseSize(node.as_string()->get());
      return size.has_value() && in_range(*size);
    }
    case Key::Type::kSwitch:
      if (!node.is_boolean()) return false;
      *static_cast<bool*>(place) = node.as_boolean()->get();
      return true;
  }
  return false;
}

// How many letters of one must change to make the other.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string Nearest(std::string_view name) {
  const Key* best = nullptr;
  size_t least = 4;  // further off is no misspelling
  for (const Key& key : kKeys) {
    if (const size_t d = Distance(name, key.name); d < least) {
      least = d;
      best = &key;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + std::string(best->name) + "'?";
}

base::Result<void> Read(const toml::table& table, const std::string& prefix,
                        const std::string& file, Config& config) {
  for (const auto& [short_name, node] : table) {
    const std::string name = prefix + std::string(short_name.str());
    const std::string where = file + ":" + std::to_string(node.source().begin.line) + ": ";
    const auto known = std::find_if(kKeys.begin(), kKeys.end(),
                                    [&name](const Key& key) { return key.name == name; });
    if (known != kKeys.end()) {
      if (!Assign(config, *known, node))
        return Wrong(where + name + " must be " + Expected(*known));
      continue;
    }
    const bool section = std::any_of(kKeys.begin(), kKeys.end(), [&name](const Key& key) {
      return key.name.starts_with(name + ".");
    });
    if (!section) return Wrong(where + "unknown key '" + name + "'" + Nearest(name));
    if (!node.is_table()) {
      return Wrong(where + name + " is a section, not a value: write [" + name +
                   "] on a line of its own, and its keys below it");
    }
    if (auto read = Read(*node.as_table(), name + ".", file, config); !read.ok()) return read;
  }
  return {};
}

base::Result<void> CheckTogether(const Config& config, const std::string& file) {
  static constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), config.log.level) == kLevels.end()) {
    return Wrong(file + ": log.level must be \"debug\", \"info\", \"warn\" or \"error\"");
  }
  for (const auto& [key, value] :
       {std::pair("listen", config.listen), std::pair("metrics.listen", config.metrics.listen)}) {
    if (value.empty() && std::string_view(key) != "listen") continue;
    if (auto good = net::CheckAddress(value); !good.ok()) {
      return Wrong(file + ": " + key + ": " + good.error().text);
    }
  }
  if (config.metrics.listen.starts_with("unix:")) {
    return Wrong(file + ": metrics.listen must be \"host:port\", e.g. \"127.0.0.1:9460\"");
  }
  if (!config.admin.empty()) {
    if (auto good = AdminSocket(config, ""); !good.ok()) {
      return Wrong(file + ": admin: " + good.error().text);
    }
  }
  // A body travels in one frame, with some bytes around it.
  if (config.limits.body_bytes + 1024 > config.limits.frame_bytes) {
    return Wrong(file + ": limits.frame_bytes must be at least 1024 more than limits.body_bytes");
  }
  return {};
}

}  // namespace

base::Result<Config> ParseConfig(const std::string& text, const std::string& name) {
  Config config;
  try {
    const toml::table table = toml::parse(text, name);
    if (auto read = Read(table, "", name, config); !read.ok()) return std::move(read).error();
  } catch (const toml::parse_error& error) {
    return Wrong(name + ":" + std::to_string(error.source().begin.line) +
                 ": not TOML: " + std::string(error.description()));
  }
  if (auto checked = CheckTogether(config, name); !checked.ok()) return std::move(checked).error();
  return config;
}

base::Result<Config> LoadConfig(const std::string& path) {
  const auto cannot = [&path](const std::string& why) {
    return Wrong("cannot read the configuration \"" + path + "\": " + why +
                 "; give an existing file to --config, or leave it out for the defaults");
  };
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) return cannot("it is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) return cannot(std::strerror(errno));
  // An empty file is a valid configuration; only a read that fails is none.
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return cannot("it cannot be read to its end");
  return ParseConfig(text, path);
}

base::Result<std::string> AdminSocket(const Config& config, const std::string& data) {
  const std::string path = config.admin.empty() ? data + "/admin.sock" : config.admin;
  if (auto good = net::CheckAddress("unix:" + path); !good.ok()) {
    return Wrong(good.error().text +
                 (config.admin.empty() ? ", by a shorter --data or by the key admin" : ""));
  }
  return path;
}

int ConfigKeys() { return static_cast<int>(kKeys.size()); }

}  // namespace hongyan
