#include "apps/vectron/reload.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "apps/vectron/configuration.h"
#include "base/check.h"
#include "base/crc32c.h"

namespace vectron {
namespace {

struct LogLevelName {
  std::string_view name;
  LogLevel level;
};
constexpr std::array<LogLevelName, 4> kLogLevels = {{{"debug", LogLevel::kDebug},
                                                     {"info", LogLevel::kInfo},
                                                     {"warning", LogLevel::kWarning},
                                                     {"error", LogLevel::kError}}};

LogLevel LogLevelOf(const std::string& name) {
  const auto* const found = std::find_if(kLogLevels.begin(), kLogLevels.end(),
                                         [&](const auto& each) { return each.name == name; });
  CHECK(found != kLogLevels.end());  // the option takes no other
  return found->level;
}

// An option that may change, and where its value goes.
struct LiveOption {
  std::string_view name;
  void (*set)(const CLI::Option& option, LiveSettings& settings);
};
constexpr std::array<LiveOption, 11> kLiveOptions = {{
    {"log-level", [](const CLI::Option& option,
                     LiveSettings& to) { to.log_level = LogLevelOf(option.as<std::string>()); }},
    {"auth-login-per-minute",
     [](const auto& option, auto& to) { option.results(to.limits.login_per_minute); }},
    {"auth-register-per-minute",
     [](const auto& option, auto& to) { option.results(to.limits.register_per_minute); }},
    {"auth-key-per-minute",
     [](const auto& option, auto& to) { option.results(to.limits.key_per_minute); }},
    {"rate-free-per-second",
     [](const auto& option, auto& to) { option.results(to.limits.free_per_second); }},
    {"rate-paid-per-second",
     [](const auto& option, auto& to) { option.results(to.limits.paid_per_second); }},
    {"slow-query-ms", [](const auto& option, auto& to) { option.results(to.slow_query_ms); }},
    {"alert-disk-percent",
     [](const auto& option, auto& to) { option.results(to.thresholds.disk_percent); }},
    {"alert-memory-percent",
     [](const auto& option, auto& to) { option.results(to.thresholds.memory_percent); }},
    {"alert-error-percent",
     [](const auto& option, auto& to) { option.results(to.thresholds.error_percent); }},
    {"alert-latency-ms",
     [](const auto& option, auto& to) { option.results(to.thresholds.latency_ms); }},
}};

constexpr std::array<std::string_view, 3> kFilesReadAtStart = {
    "auth-secret-file", "cluster-secret-file", "ranking-config"};

}  // namespace

void AddLogLevelFlag(CLI::App& role) {
  std::vector<std::string> names;
  for (const LogLevelName& each : kLogLevels) names.emplace_back(each.name);
  role.add_option("--log-level", "Least grave lines of the log: debug, info, warning or error")
      ->check(CLI::IsMember(names))
      ->type_name("TEXT")
      ->default_str("info");
}

bool IsLive(std::string_view option) {
  return std::any_of(kLiveOptions.begin(), kLiveOptions.end(),
                     [option](const LiveOption& live) { return live.name == option; });
}

LiveSettings LiveSettingsOf(const CLI::App& role) {
  LiveSettings settings;
  for (const LiveOption& live : kLiveOptions) {
    const CLI::Option* option = role.get_option_no_throw("--" + std::string(live.name));
    if (option != nullptr) live.set(*option, settings);
  }
  return settings;
}

ChangedOptions CompareOptions(const CLI::App& before, const CLI::App& after) {
  ChangedOptions changed;
  const auto old_values = EffectiveOptions(before);
  const auto new_values = EffectiveOptions(after);
  CHECK_EQ(old_values.size(), new_values.size());
  for (size_t i = 0; i < old_values.size(); ++i) {
    CHECK_EQ(old_values[i].name, new_values[i].name);
    if (old_values[i].values == new_values[i].values) continue;
    (IsLive(old_values[i].name) ? changed.live : changed.at_restart).push_back(old_values[i].name);
  }
  return changed;
}

std::map<std::string, uint32_t> FilesReadAtStart(const CLI::App& role, FileSystem& files) {
  std::map<std::string, uint32_t> sums;
  for (const EffectiveOption& option : EffectiveOptions(role)) {
    if (std::find(kFilesReadAtStart.begin(), kFilesReadAtStart.end(), option.name) ==
            kFilesReadAtStart.end() ||
        option.values.empty()) {
      continue;
    }
    const absl::StatusOr<std::string> bytes = files.ReadAll(option.values.back());
    if (bytes.ok()) sums[option.name] = Crc32c(*bytes);
  }
  return sums;
}

std::vector<std::string> CompareFiles(const std::map<std::string, uint32_t>& before,
                                      const std::map<std::string, uint32_t>& after) {
  std::vector<std::string> changed;
  for (const auto& [option, sum] : before) {
    const auto found = after.find(option);
    if (found != after.end() && found->second != sum) changed.push_back(option);
  }
  return changed;
}

}  // namespace vectron
