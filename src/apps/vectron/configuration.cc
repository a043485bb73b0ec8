#include "apps/vectron/configuration.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "apps/vectron/reload.h"
#include "base/nearest.h"
#include "base/status.h"

namespace vectron {
namespace {

constexpr char kConfigOption[] = "config";
constexpr std::string_view kVariablePrefix = "VECTRON_";
// What vectronctl takes from the environment.
constexpr std::array<std::string_view, 4> kVariablesOfClients = {
    "VECTRON_HOST", "VECTRON_API_KEY", "VECTRON_TENANT", "VECTRON_TLS_CA"};
constexpr size_t kShortName = 5;  // shorter names are near each other by chance

// "--name" options that can be set from outside: all but --help and --config.
std::vector<const CLI::Option*> OptionsOf(const CLI::App& role) {
  std::vector<const CLI::Option*> out;
  for (const CLI::Option* option : role.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (name != "help" && name != kConfigOption) out.push_back(option);
  }
  return out;
}

std::string NameOf(const CLI::Option& option) { return option.get_lnames().front(); }

// May be given several times.
bool IsList(const CLI::Option& option) { return option.get_expected_max() > 1; }

std::string EnvironmentName(const std::string& option) {
  std::string name(kVariablePrefix);
  for (const char c : option) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string Guess(const CLI::App& role, const std::string& name) {
  std::vector<std::string> known;
  for (const CLI::Option* option : OptionsOf(role)) known.push_back(NameOf(*option));
  const std::string best = NearestName(name, known);
  if (best.empty()) return fmt::format("`vectron {} --help` lists them", role.get_name());
  return fmt::format("did you mean \"{}\"?", best);
}

std::optional<std::string> TextOf(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_integer()) return std::to_string(number->get());
  if (const auto* number = value.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> FromFile(const CLI::App& role, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    if (line == 0) return NotFound("{}: cannot be read", path);
    return InvalidArgument("{}:{}: {}", path, line, error.description());
  }
  std::vector<std::string> out;
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    const auto line = value.source().begin.line;
    if (value.is_table()) {
      return InvalidArgument("{}:{}: table [{}]: a file is for one role, its keys stand alone",
                             path, line, name);
    }
    const auto options = OptionsOf(role);
    const auto known = std::find_if(options.begin(), options.end(), [&](const CLI::Option* option) {
      return NameOf(*option) == name;
    });
    if (known == options.end()) {
      return InvalidArgument("{}:{}: unknown option \"{}\"; {}", path, line, name,
                             Guess(role, name));
    }
    if (value.is_array() && !IsList(**known)) {
      return InvalidArgument("{}:{}: {}: wanted one value, not a list", path, line, name);
    }
    toml::array one;
    if (!value.is_array()) one.push_back(value);
    for (const toml::node& item : value.is_array() ? *value.as_array() : one) {
      const std::optional<std::string> text = TextOf(item);
      if (!text.has_value()) {
        return InvalidArgument("{}:{}: {}: wanted text, a number, true or false", path, line, name);
      }
      if (!text->empty()) out.push_back(fmt::format("--{}={}", name, *text));
    }
  }
  return out;
}

std::vector<std::string> FromEnvironment(const CLI::App& role) {
  std::vector<std::string> out;
  for (const CLI::Option* option : OptionsOf(role)) {
    const char* value = std::getenv(EnvironmentName(NameOf(*option)).c_str());
    if (value != nullptr && *value != '\0') {
      out.push_back(fmt::format("--{}={}", NameOf(*option), value));
    }
  }
  return out;
}

// Names of the environment's variables that begin with `prefix`.
std::vector<std::string> VariablesWith(std::string_view prefix) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::strcspn(*entry, "="));
    if (name.starts_with(prefix)) out.emplace_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The known name that was meant by another one; "" when it may well be somebody else's.
std::string MeantBy(const std::string& name, const std::vector<std::string>& known) {
  const size_t letters = name.size() - kVariablePrefix.size();
  const std::string nearest = NearestName(name, known, letters < kShortName ? 1 : 2);
  if (!nearest.empty() || name.find('_', kVariablePrefix.size()) == std::string::npos) {
    return nearest;
  }
  // Cut short: VECTRON_CLUSTER_SECRET.
  const auto longer = std::find_if(known.begin(), known.end(), [&](const std::string& option) {
    return option.starts_with(name + "_");
  });
  return longer == known.end() ? "" : *longer;
}

}  // namespace

std::vector<std::string> MisspeltEnvironment(const CLI::App& app) {
  std::vector<std::string> known = {"VECTRON_CONFIG"};
  for (const CLI::App* role : app.get_subcommands([](const CLI::App*) { return true; })) {
    for (const CLI::Option* option : OptionsOf(*role)) {
      known.push_back(EnvironmentName(NameOf(*option)));
    }
  }
  std::vector<std::string> out;
  for (const std::string& name : VariablesWith(kVariablePrefix)) {
    const bool taken = std::find(known.begin(), known.end(), name) != known.end() ||
                       std::find(kVariablesOfClients.begin(), kVariablesOfClients.end(), name) !=
                           kVariablesOfClients.end();
    const std::string meant = taken ? "" : MeantBy(name, known);
    if (meant.empty()) continue;
    out.push_back(
        fmt::format("the environment has {}, which is no option; did you mean {}?", name, meant));
  }
  return out;
}

std::string ConfigurationFile(const std::vector<std::string>& args) {
  const char* fallback = std::getenv("VECTRON_CONFIG");
  std::string path = fallback == nullptr ? "" : fallback;
  const std::string flag = fmt::format("--{}", kConfigOption);
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == flag && i + 1 < args.size()) path = args[i + 1];
    if (args[i].starts_with(flag + "=")) path = args[i].substr(flag.size() + 1);
  }
  return path;
}

namespace {

bool IsSecret(const std::string& name) {
  return name.ends_with("secret") || name.ends_with("password") || name.ends_with("key");
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

bool IsFlag(const CLI::Option& option) { return option.get_expected_max() == 0; }

// A value as TOML: numbers, true and false stand as they are.
std::string TomlValue(const CLI::Option& option, const std::string& text) {
  if (IsFlag(option)) return text == "false" ? "false" : "true";
  const bool number = option.get_type_name().find("INT") != std::string::npos ||
                      option.get_type_name().find("FLOAT") != std::string::npos;
  return number ? text : Quoted(text);
}

// In a cell of a table.
std::string Cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.replace(at, 1, "\\|");
  }
  return text;
}

}  // namespace

void AddConfiguration(CLI::App& app) {
  for (CLI::App* role : app.get_subcommands({})) {
    for (CLI::Option* option : role->get_options()) {
      if (option->get_lnames().empty() || option->get_lnames().front() == "help") continue;
      if (IsList(*option)) continue;  // takes all that is given
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    role->add_option(fmt::format("--{}", kConfigOption),
                     "TOML file of options; flags and VECTRON_... of the environment win over it")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

absl::StatusOr<std::vector<std::string>> WithConfiguration(const CLI::App& app,
                                                           const std::vector<std::string>& args) {
  if (args.empty()) return args;
  const std::vector<const CLI::App*> found = app.get_subcommands(
      [&](const CLI::App* command) { return command->get_name() == args.front(); });
  if (found.empty()) return args;
  const CLI::App* role = found.front();
  std::vector<std::string> out = {args.front()};
  const auto append = [&out](std::vector<std::string> more) {
    std::move(more.begin(), more.end(), std::back_inserter(out));
  };
  if (const std::string path = ConfigurationFile(args); !path.empty()) {
    ASSIGN_OR_RETURN(std::vector<std::string> from_file, FromFile(*role, path));
    append(std::move(from_file));
  }
  append(FromEnvironment(*role));
  append({args.begin() + 1, args.end()});
  return out;
}

std::vector<EffectiveOption> EffectiveOptions(const CLI::App& role) {
  std::vector<EffectiveOption> out;
  for (const CLI::Option* option : OptionsOf(role)) {
    EffectiveOption& effective = out.emplace_back();
    effective.name = NameOf(*option);
    if (option->count() == 0) {
      if (!option->get_default_str().empty()) effective.values = {option->get_default_str()};
    } else if (option->results().empty()) {
      effective.values = {"true"};
    } else if (IsList(*option)) {
      effective.values = option->results();
    } else {
      effective.values = {option->results().back()};
    }
    std::erase(effective.values, "");
  }
  return out;
}

std::string PrintConfiguration(const CLI::App& role) {
  std::string out = fmt::format("# vectron {}\n", role.get_name());
  const std::vector<EffectiveOption> effective = EffectiveOptions(role);
  const std::vector<const CLI::Option*> options = OptionsOf(role);
  for (size_t i = 0; i < options.size(); ++i) {
    const CLI::Option* const option = options[i];
    const std::string& name = effective[i].name;
    std::vector<std::string> values;
    for (const std::string& value : effective[i].values)
      values.push_back(TomlValue(*option, value));
    if (values.empty()) {
      out += fmt::format("# {} is unset\n", name);
    } else if (IsSecret(name)) {
      out += fmt::format("{} = \"********\"\n", name);
    } else if (IsList(*option)) {
      out += fmt::format("{} = [{}]\n", name, fmt::join(values, ", "));
    } else {
      out += fmt::format("{} = {}\n", name, values.back());
    }
  }
  return out;
}

std::string ConfigurationReference(const CLI::App& app) {
  std::string out =
      "# Configuration\n\n"
      "<!-- Made by `vectron config reference`; a test compares it. -->\n\n"
      "Every role takes its options from the command line (`--http 0.0.0.0:8080`), else from the "
      "environment\n"
      "(`VECTRON_HTTP=0.0.0.0:8080`), else from a TOML file named by `--config FILE` or "
      "`VECTRON_CONFIG` (`http = \"0.0.0.0:8080\"`).\n"
      "An unknown key of a file is an error that names the nearest known one. A variable that "
      "seems to be a misspelt option\n"
      "is a warning at the start, and an error of `vectron config check`.\n\n"
      "`kill -HUP` (`systemctl reload`) makes a process that has a file read its options again: "
      "those marked *at once*\n"
      "take effect, those that need a restart are named in the log, and a file with an error "
      "changes nothing. The files that\n"
      "`tls-*`, `cluster-tls-*`, `metrics-tls-*` and `etcd-tls-*` name are read again by "
      "themselves when they change; `cluster-secret-file`,\n"
      "`auth-secret-file` and `ranking-config` are read at the start alone, and SIGHUP names them "
      "when they have changed.\n\n"
      "```\n"
      "vectron config check ROLE --config FILE     # is it right?\n"
      "vectron config print ROLE --config FILE     # what holds in the end, secrets masked\n"
      "vectron config reference                    # this page\n"
      "```\n";
  for (const CLI::App* role : app.get_subcommands([](const CLI::App*) { return true; })) {
    out += fmt::format(
        "\n## {}\n{}\n\n| option | default | a change takes effect | what |\n|---|---|---|---|\n",
        role->get_name(), role->get_description());
    for (const CLI::Option* option : OptionsOf(*role)) {
      const std::string fallback = option->get_default_str();
      out += fmt::format("| `{}` | {} | {} | {} |\n", NameOf(*option),
                         option->get_required() ? "required"
                         : fallback.empty()     ? ""
                                                : fmt::format("`{}`", Cell(fallback)),
                         IsLive(NameOf(*option)) ? "at once" : "at a restart",
                         Cell(option->get_description()));
    }
  }
  return out;
}

}  // namespace vectron
