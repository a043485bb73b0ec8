#include "services/reranker/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/nearest.h"
#include "base/random.h"
#include "base/status.h"
#include "model/payload.h"

namespace vectron::reranker {
namespace {

using Reader = std::function<absl::Status(const toml::node&, const std::string& path)>;

// One key of a table: what reads it, and what people are told of it.
struct Key {
  std::string name;
  std::string fallback;  // as TOML; "" for a table of keys
  std::string what;
  Reader read;
  std::vector<Key> inner = {};  // of a table
};
using Keys = std::vector<Key>;

absl::Status Unknown(const std::string& path, const std::string& name, const Keys& keys) {
  std::vector<std::string> known;
  for (const Key& key : keys) known.push_back(key.name);
  const std::string nearest = NearestName(name, known);
  const std::string whole = path.empty() ? name : fmt::format("{}.{}", path, name);
  if (nearest.empty()) return InvalidArgument("{}: is not known", whole);
  return InvalidArgument("{}: is not known; did you mean \"{}\"?", whole, nearest);
}

// Every key of a table goes to its reader; one without a reader is refused.
absl::Status ReadTable(const toml::node& node, const std::string& path, const Keys& keys) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return InvalidArgument("{}: is no table", path);
  for (const auto& [name, value] : *table) {
    const std::string text(name.str());
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == text; });
    if (key == keys.end()) return Unknown(path, text, keys);
    RETURN_IF_ERROR(key->read(value, path.empty() ? text : fmt::format("{}.{}", path, text)));
  }
  return absl::OkStatus();
}

Key Number(std::string name, double& into, double low, double high, std::string what) {
  return {
      .name = std::move(name),
      .fallback = fmt::format("{}", into),
      .what = fmt::format("{}; {} to {}", what, low, high),
      .read = [&into, low, high](const toml::node& node, const std::string& path) -> absl::Status {
        const std::optional<double> value = node.value<double>();
        if (!value.has_value() || !(*value >= low && *value <= high)) {
          return InvalidArgument("{}: wanted a number from {} to {}", path, low, high);
        }
        into = *value;
        return absl::OkStatus();
      }};
}

template <typename Integer>
Key Whole(std::string name, Integer& into, int64_t low, int64_t high, std::string what) {
  return {
      .name = std::move(name),
      .fallback = fmt::format("{}", into),
      .what = fmt::format("{}; {} to {}", what, low, high),
      .read = [&into, low, high](const toml::node& node, const std::string& path) -> absl::Status {
        const std::optional<int64_t> value = node.value_exact<int64_t>();
        if (!value.has_value() || *value < low || *value > high) {
          return InvalidArgument("{}: wanted a whole number from {} to {}", path, low, high);
        }
        into = static_cast<Integer>(*value);
        return absl::OkStatus();
      }};
}

Key Text(std::string name, std::string& into, std::string what) {
  return {.name = std::move(name),
          .fallback = fmt::format("\"{}\"", into),
          .what = std::move(what),
          .read = [&into](const toml::node& node, const std::string& path) -> absl::Status {
            const std::optional<std::string> value = node.value_exact<std::string>();
            if (!value.has_value()) return InvalidArgument("{}: wanted a text", path);
            into = *value;
            return absl::OkStatus();
          }};
}

Key Flag(std::string name, bool& into, std::string what) {
  return {.name = std::move(name),
          .fallback = into ? "true" : "false",
          .what = std::move(what),
          .read = [&into](const toml::node& node, const std::string& path) -> absl::Status {
            const std::optional<bool> value = node.value_exact<bool>();
            if (!value.has_value()) return InvalidArgument("{}: wanted true or false", path);
            into = *value;
            return absl::OkStatus();
          }};
}

Key Table(std::string name, Keys keys) {
  Key table{.name = std::move(name), .fallback = "", .what = "", .read = nullptr, .inner = keys};
  table.read = [keys = std::move(keys)](const toml::node& node, const std::string& path) {
    return ReadTable(node, path, keys);
  };
  return table;
}

constexpr double kMaxFactor = 0.9;

Key Matches(std::string name, std::vector<MatchRule>& into, std::string what) {
  return {
      .name = std::move(name),
      .fallback = "[]",
      .what =
          fmt::format("{}: a list of `{{ field = \"pinned\", equals = \"true\", factor = 0.2 }}`, "
                      "factors 0 to {}",
                      what, kMaxFactor),
      .read = [&into](const toml::node& node, const std::string& path) -> absl::Status {
        const toml::array* list = node.as_array();
        if (list == nullptr) return InvalidArgument("{}: wanted a list", path);
        for (const toml::node& entry : *list) {
          MatchRule rule;
          RETURN_IF_ERROR(ReadTable(entry, path,
                                    {Text("field", rule.field, ""), Text("equals", rule.equals, ""),
                                     Number("factor", rule.factor, 0, kMaxFactor, "")}));
          if (rule.field.empty()) return InvalidArgument("{}: an entry has no field", path);
          into.push_back(std::move(rule));
        }
        return absl::OkStatus();
      }};
}

constexpr size_t kMaxFields = 16;
constexpr int64_t kMaxFieldBytes = kExcerptFieldBytes;  // gateways send no more

std::string FieldsText(const std::map<std::string, FieldRule>& fields) {
  std::string text;
  for (const auto& [name, field] : fields) {
    text += fmt::format("{}{} = {{ weight = {}, b = {}, bytes = {} }}", text.empty() ? "" : ", ",
                        name, field.weight, field.b, field.bytes);
  }
  return "{ " + text + " }";
}

Key Fields(std::string name, std::map<std::string, FieldRule>& into) {
  return {.name = std::move(name),
          .fallback = FieldsText(into),
          .what = fmt::format("The fields whose words count, in place of the three: weight 0 to "
                              "1000, how much length matters (`b`) 0 to 1, and how many bytes are "
                              "read, 1 to {}",
                              kMaxFieldBytes),
          .read = [&into](const toml::node& node, const std::string& path) -> absl::Status {
            const toml::table* table = node.as_table();
            if (table == nullptr || table->empty() || table->size() > kMaxFields) {
              return InvalidArgument("{}: wanted 1 to {} fields", path, kMaxFields);
            }
            into.clear();
            for (const auto& [key, value] : *table) {
              FieldRule& field = into[std::string(key.str())];
              RETURN_IF_ERROR(ReadTable(
                  value, fmt::format("{}.{}", path, key.str()),
                  {Number("weight", field.weight, 0, 1e3, ""), Number("b", field.b, 0, 1, ""),
                   Whole("bytes", field.bytes, 1, kMaxFieldBytes, "")}));
            }
            return absl::OkStatus();
          }};
}

Key RuleKeys(RuleConfig& rule) {
  return Table(
      "rule",
      {Table("weights",
             {Number("similarity", rule.similarity, 0, 1e3, "Weight of nearness"),
              Number("bm25", rule.bm25, 0, 1e3, "Weight of the words"),
              Number("coverage", rule.coverage, 0, 1e3, "Weight of the share of words found"),
              Number("recency", rule.recency, 0, 1e3, "Weight of being new")}),
       Number("k1", rule.k1, 1e-3, 100, "How soon a repeated word counts no more"),
       Fields("fields", rule.fields),
       Table("recency", {Text("field", rule.recency_field, "Field with a point's time"),
                         Number("half_life_days", rule.half_life_days, 1e-3, 1e5,
                                "Age at which being new counts half")}),
       Matches("boosts", rule.boosts, "What lifts a point"),
       Matches("penalties", rule.penalties, "What lowers one")});
}

Key LearnedKeys(LearnedConfig& learned) {
  return Table("learned",
               {Number("explore", learned.explore, 0, 0.3,
                       "Share of first pages whose neighbours are swapped"),
                Number("end_user_cap", learned.end_user_cap, 0, 1e3,
                       "What one end user's events of the last 1,000 weigh together"),
                Flag("auto_promote", learned.auto_promote,
                     "Whether a model serves when the evidence suffices; else a person decides"),
                Flag("anonymous", learned.anonymous,
                     "Whether events without an end user count one by one")});
}

Key LlmKeys(LlmConfig& llm) {
  return Table(
      "llm",
      {Text("url", llm.url, "Chat endpoint; without it there is no `llm`"),
       Text("key_file", llm.key_file, "File with the key for it"),
       Text("ca_file", llm.ca_file,
            "CA (PEM) that signed its certificate; without it those of the system"),
       Text("model", llm.model, "Name of the model"),
       Whole("candidates", llm.candidates, 1, 50, "How many are sent; the others follow them"),
       Table("usd_per_mtok",
             {Number("in", llm.usd_per_mtok_in, 0, 1e4, "Price of a million tokens asked"),
              Number("out", llm.usd_per_mtok_out, 0, 1e4, "Price of a million tokens answered")}),
       Number("usd_per_day", llm.usd_per_day, 0, 1e6, "What a day may cost")});
}

// All keys, bound to a configuration. cache_megabytes: of the memory cache.
Keys AllKeys(RankingConfig& config, size_t& cache_megabytes) {
  return {Table(
      "rerank",
      {Text("strategy", config.strategy,
            "What orders where neither the search nor the collection says: none, rule, learned or "
            "llm"),
       Whole("budget_ms", config.budget_ms, 1, kMaxRerankBudgetMs,
             "Time for it; past it the vector order is returned"),
       RuleKeys(config.rule), LearnedKeys(config.learned), LlmKeys(config.llm),
       Table("cache", {Whole("megabytes", cache_megabytes, 0, 65'536, "Memory for known orders"),
                       Text("redis", config.cache.redis,
                            "`HOST:PORT` or `unix:PATH` of a Redis that shares them")})})};
}

void AppendRows(const std::string& path, const Keys& keys, std::string& out) {
  for (const Key& key : keys) {
    const std::string name = path.empty() ? key.name : fmt::format("{}.{}", path, key.name);
    if (!key.inner.empty()) {
      AppendRows(name, key.inner, out);
    } else {
      out += fmt::format("| `{}` | `{}` | {} |\n", name, key.fallback, key.what);
    }
  }
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
  RETURN_IF_ERROR(ReadTable(parsed, "", AllKeys(config, cache_megabytes)));
  config.cache.bytes = cache_megabytes << 20;
  RETURN_IF_ERROR(CheckStrategy(config));
  if (!config.llm.url.empty() && config.llm.model.empty()) {
    return InvalidArgument("rerank.llm.model: is missing");
  }
  return config;
}

std::string RankingReference() {
  RankingConfig config;
  size_t cache_megabytes = config.cache.bytes >> 20;
  std::string out =
      "\n## Ranking\n"
      "The TOML file that `ranking-config` names; `vectron config check` reads it, too. The keys "
      "of "
      "one part may stand in a\n"
      "table: `strategy = \"learned\"` below `[rerank]`.\n\n"
      "| key | default | what |\n|---|---|---|\n";
  AppendRows("", AllKeys(config, cache_megabytes), out);
  return out;
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
