#include "services/reranker/config.h"

#include <toml++/toml.h>

#include <cmath>
#include <functional>
#include <map>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

using Reader = std::function<absl::Status(const toml::node&, const std::string& path)>;
using Readers = std::map<std::string, Reader, std::less<>>;

// Every key of a table goes to its reader; one without a reader is refused.
absl::Status ReadTable(const toml::node& node, const std::string& path, const Readers& readers) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return InvalidArgument("{}: is no table", path);
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    const auto reader = readers.find(name);
    if (reader == readers.end()) return InvalidArgument("{}.{}: is not known", path, name);
    RETURN_IF_ERROR(reader->second(value, fmt::format("{}.{}", path, name)));
  }
  return absl::OkStatus();
}

Reader Number(double& into, double low, double high) {
  return [&into, low, high](const toml::node& node, const std::string& path) -> absl::Status {
    const std::optional<double> value = node.value<double>();
    if (!value.has_value() || !(*value >= low && *value <= high)) {
      return InvalidArgument("{}: wanted a number from {} to {}", path, low, high);
    }
    into = *value;
    return absl::OkStatus();
  };
}

template <typename Integer>
Reader Whole(Integer& into, int64_t low, int64_t high) {
  return [&into, low, high](const toml::node& node, const std::string& path) -> absl::Status {
    const std::optional<int64_t> value = node.value_exact<int64_t>();
    if (!value.has_value() || *value < low || *value > high) {
      return InvalidArgument("{}: wanted a whole number from {} to {}", path, low, high);
    }
    into = static_cast<Integer>(*value);
    return absl::OkStatus();
  };
}

Reader Text(std::string& into) {
  return [&into](const toml::node& node, const std::string& path) -> absl::Status {
    const std::optional<std::string> value = node.value_exact<std::string>();
    if (!value.has_value()) return InvalidArgument("{}: wanted a text", path);
    into = *value;
    return absl::OkStatus();
  };
}

Reader Flag(bool& into) {
  return [&into](const toml::node& node, const std::string& path) -> absl::Status {
    const std::optional<bool> value = node.value_exact<bool>();
    if (!value.has_value()) return InvalidArgument("{}: wanted true or false", path);
    into = *value;
    return absl::OkStatus();
  };
}

Reader Table(Readers readers) {
  return [readers = std::move(readers)](const toml::node& node, const std::string& path) {
    return ReadTable(node, path, readers);
  };
}

constexpr double kMaxFactor = 0.9;

Reader Matches(std::vector<MatchRule>& into) {
  return [&into](const toml::node& node, const std::string& path) -> absl::Status {
    const toml::array* list = node.as_array();
    if (list == nullptr) return InvalidArgument("{}: wanted a list", path);
    for (const toml::node& entry : *list) {
      MatchRule rule;
      RETURN_IF_ERROR(ReadTable(entry, path,
                                {{"field", Text(rule.field)},
                                 {"equals", Text(rule.equals)},
                                 {"factor", Number(rule.factor, 0, kMaxFactor)}}));
      if (rule.field.empty()) return InvalidArgument("{}: an entry has no field", path);
      into.push_back(std::move(rule));
    }
    return absl::OkStatus();
  };
}

constexpr size_t kMaxFields = 16;
constexpr int64_t kMaxFieldBytes = 65'536;

Reader Fields(std::map<std::string, FieldRule>& into) {
  return [&into](const toml::node& node, const std::string& path) -> absl::Status {
    const toml::table* table = node.as_table();
    if (table == nullptr || table->empty() || table->size() > kMaxFields) {
      return InvalidArgument("{}: wanted 1 to {} fields", path, kMaxFields);
    }
    into.clear();
    for (const auto& [key, value] : *table) {
      FieldRule& field = into[std::string(key.str())];
      RETURN_IF_ERROR(ReadTable(value, fmt::format("{}.{}", path, key.str()),
                                {{"weight", Number(field.weight, 0, 1e3)},
                                 {"b", Number(field.b, 0, 1)},
                                 {"bytes", Whole(field.bytes, 1, kMaxFieldBytes)}}));
    }
    return absl::OkStatus();
  };
}

Reader RuleReader(RuleConfig& rule) {
  return Table({{"weights", Table({{"similarity", Number(rule.similarity, 0, 1e3)},
                                   {"bm25", Number(rule.bm25, 0, 1e3)},
                                   {"coverage", Number(rule.coverage, 0, 1e3)},
                                   {"recency", Number(rule.recency, 0, 1e3)}})},
                {"k1", Number(rule.k1, 1e-3, 100)},
                {"fields", Fields(rule.fields)},
                {"recency", Table({{"field", Text(rule.recency_field)},
                                   {"half_life_days", Number(rule.half_life_days, 1e-3, 1e5)}})},
                {"boosts", Matches(rule.boosts)},
                {"penalties", Matches(rule.penalties)}});
}

Reader LlmReader(LlmConfig& llm) {
  return Table({{"url", Text(llm.url)},
                {"key_file", Text(llm.key_file)},
                {"model", Text(llm.model)},
                {"candidates", Whole(llm.candidates, 1, 50)},
                {"usd_per_mtok", Table({{"in", Number(llm.usd_per_mtok_in, 0, 1e4)},
                                        {"out", Number(llm.usd_per_mtok_out, 0, 1e4)}})},
                {"usd_per_day", Number(llm.usd_per_day, 0, 1e6)}});
}

absl::Status CheckStrategy(const RankingConfig& config) {
  for (const char* known : {"none", "rule", "learned"}) {
    if (config.strategy == known) return absl::OkStatus();
  }
  if (config.strategy != "llm") {
    return InvalidArgument("rerank.strategy: wanted none, rule, learned or llm");
  }
  if (config.llm.url.empty()) return InvalidArgument("rerank.strategy: llm needs rerank.llm.url");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RankingConfig> ParseRankingConfig(std::string_view toml) {
  toml::table parsed;
  try {
    parsed = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    return InvalidArgument("line {}: {}", error.source().begin.line, error.description());
  }
  RankingConfig config;
  size_t cache_megabytes = config.cache.bytes >> 20;
  const Readers rerank = {
      {"strategy", Text(config.strategy)},
      {"budget_ms", Whole(config.budget_ms, 1, kMaxRerankBudgetMs)},
      {"rule", RuleReader(config.rule)},
      {"learned", Table({{"explore", Number(config.learned.explore, 0, 0.3)},
                         {"end_user_cap", Number(config.learned.end_user_cap, 0, 1e3)},
                         {"auto_promote", Flag(config.learned.auto_promote)},
                         {"anonymous", Flag(config.learned.anonymous)}})},
      {"llm", LlmReader(config.llm)},
      {"cache", Table({{"megabytes", Whole(cache_megabytes, 0, 65'536)},
                       {"redis", Text(config.cache.redis)}})}};
  for (const auto& [key, value] : parsed) {
    const std::string name(key.str());
    if (name != "rerank") return InvalidArgument("{}: is not known", name);
    RETURN_IF_ERROR(ReadTable(value, name, rerank));
  }
  config.cache.bytes = cache_megabytes << 20;
  RETURN_IF_ERROR(CheckStrategy(config));
  if (!config.llm.url.empty() && config.llm.model.empty()) {
    return InvalidArgument("rerank.llm.model: is missing");
  }
  return config;
}

uint64_t ConfigHash(const RankingConfig& config) {
  std::string bytes;
  const RuleConfig& rule = config.rule;
  for (const double value :
       {rule.similarity, rule.bm25, rule.coverage, rule.recency, rule.k1, rule.half_life_days}) {
    PutFixed(bytes, value);
  }
  PutLengthPrefixed(bytes, rule.recency_field);
  for (const auto& [name, field] : rule.fields) {
    PutLengthPrefixed(bytes, name);
    PutFixed(bytes, field.weight);
    PutFixed(bytes, field.b);
    PutFixed<uint64_t>(bytes, field.bytes);
  }
  for (const std::vector<MatchRule>* rules : {&rule.boosts, &rule.penalties}) {
    PutVarint(bytes, rules->size());
    for (const MatchRule& match : *rules) {
      PutLengthPrefixed(bytes, match.field);
      PutLengthPrefixed(bytes, match.equals);
      PutFixed(bytes, match.factor);
    }
  }
  PutLengthPrefixed(bytes, config.llm.url);
  PutLengthPrefixed(bytes, config.llm.model);
  PutFixed<uint64_t>(bytes, config.llm.candidates);
  return Hash64(bytes);
}

}  // namespace vectron::reranker
