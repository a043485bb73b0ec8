#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "apps/vectronctl/rows/byte_source.h"
#include "apps/vectronctl/rows/row_reader.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "bench/index/experiments.h"
#include "bench/index/machine.h"
#include "model/filter.h"
#include "model/payload.h"

namespace vectron::bench {
namespace {

constexpr size_t kFilteredQueries = 300;
constexpr double kSelectivities[] = {0.001, 0.01, 0.1, 0.5, 0.9};

index::SlotSet SlotsOf(const Subject& subject, const std::vector<bool>& passes) {
  index::SlotSet set;
  for (uint32_t row = 0; row < passes.size(); ++row) {
    if (!passes[row]) continue;
    const uint32_t slot = subject.slots()[row];
    if (slot / 64 >= set.words.size()) set.words.resize(slot / 64 + 1);
    set.words[slot / 64] |= uint64_t{1} << (slot % 64);
    ++set.count;
  }
  return set;
}

struct FilterResult {
  double cpu_seconds = 0;
  std::vector<std::vector<uint32_t>> truth;
  std::vector<std::vector<uint32_t>> found;
  std::map<std::string, uint64_t> plans;
  uint64_t short_answers = 0;  // fewer rows than min(k, matches)
  uint64_t queries = 0;
};

void SearchOne(const Subject& subject, const float* query, const index::SlotSet& slots,
               FilterResult& result) {
  const index::SearchOptions options{.k = kRecallAt, .filter = &slots};
  const double start = ThreadCpuSeconds();
  Subject::Answer answer = subject.Search(query, options);
  result.cpu_seconds += ThreadCpuSeconds() - start;
  ++result.plans[std::string(index::PlanName(answer.stats.plan))];
  const size_t wanted = std::min<size_t>(kRecallAt, slots.count);
  if (answer.ids.size() < wanted) ++result.short_answers;
  ++result.queries;
  result.found.push_back(std::move(answer.ids));
}

void Write(std::string_view name, double share, const FilterResult& result, JsonWriter& json) {
  const double recall = Recall(result.truth, result.found);
  const double cpu_us = result.cpu_seconds * 1e6 / static_cast<double>(result.queries);
  std::string plans;
  for (const auto& [plan, count] : result.plans) {
    plans += fmt::format("{}{} {}", plans.empty() ? "" : ", ", plan, count);
  }
  LogInfo("filter {} ({:.2f} %): recall {:.4f}, {:.0f} us, {}", name, share * 100, recall, cpu_us,
          plans);
  json.BeginObject();
  json.Field("name", name);
  json.Field("share", share);
  json.Field("recall", recall);
  json.Field("cpu_us", cpu_us);
  json.Field("plans", plans);
  json.Count("short_answers", result.short_answers);
  json.EndObject();
}

void RunRandom(const DataSet& set, const Subject& subject, JsonWriter& json) {
  Random random(1);
  const Rows base = set.base_rows();
  Rows queries = set.query_rows();
  queries.count = std::min(queries.count, kFilteredQueries);
  for (const double selectivity : kSelectivities) {
    std::vector<bool> passes(base.count);
    for (size_t row = 0; row < base.count; ++row) passes[row] = random.Uniform() < selectivity;
    const index::SlotSet slots = SlotsOf(subject, passes);
    FilterResult result;
    result.truth = ExactNearest(base, queries, set.metric, kRecallAt,
                                [&](uint32_t row) { return passes[row]; });
    for (size_t q = 0; q < queries.count; ++q) SearchOne(subject, queries.row(q), slots, result);
    const double share = static_cast<double>(slots.count) / static_cast<double>(base.count);
    Write(fmt::format("random {} %", selectivity * 100), share, result, json);
  }
}

// The number at a key of an object of filters.json; ends the program when it is not there.
const Value& Member(const Value& object, std::string_view key) {
  const Value* const value = object.Find(key);
  CHECK(value != nullptr);
  return *value;
}

absl::StatusOr<std::vector<Value>> ReadPayloads(const std::string& path) {
  ASSIGN_OR_RETURN(auto source, rows::ByteSource::Open(path));
  rows::LineReader lines(std::move(source));
  std::vector<Value> payloads;
  std::string line;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, lines.Next(line));
    if (!more) return payloads;
    ASSIGN_OR_RETURN(Value payload, ParsePayload(line));
    payloads.push_back(std::move(payload));
  }
}

// One set of filters.json: every query has one of its filters, and a row of exact answers.
absl::Status RunFilterSet(const DataSet& set, const Subject& subject, const Value& filter_set,
                          const std::vector<Value>& payloads, JsonWriter& json) {
  ASSIGN_OR_RETURN(
      const rows::Truth truth,
      rows::ReadTruth(set.folder + "/" + *Member(filter_set, "truth").get<std::string>()));
  const Array& filters = *Member(filter_set, "filters").get<Array>();
  const Array& of_query = *Member(filter_set, "of_query").get<Array>();
  std::map<int64_t, index::SlotSet> slot_sets;
  FilterResult result;
  double share = 0;
  const Rows queries = set.query_rows();
  for (size_t q = 0; q < std::min(queries.count, of_query.size()); ++q) {
    const int64_t which = *of_query[q].get<int64_t>();
    auto [found, is_new] = slot_sets.try_emplace(which);
    if (is_new) {
      const Value& entry = filters[static_cast<size_t>(which)];
      ASSIGN_OR_RETURN(const Filter filter, FilterFromTree(Member(entry, "filter")));
      std::vector<bool> passes(payloads.size());
      for (size_t row = 0; row < payloads.size(); ++row) {
        passes[row] = Matches(filter, "", payloads[row]);
      }
      found->second = SlotsOf(subject, passes);
      CHECK_EQ(found->second.count,
               static_cast<uint64_t>(*Member(entry, "matches").get<int64_t>()));
    }
    share += static_cast<double>(found->second.count) / static_cast<double>(payloads.size());
    std::vector<uint32_t> nearest(truth.of(q), truth.of(q) + std::min(truth.k, kRecallAt));
    std::erase(nearest, rows::kNoRow);
    result.truth.push_back(std::move(nearest));
    SearchOne(subject, queries.row(q), found->second, result);
  }
  Write(*Member(filter_set, "name").get<std::string>(), share / static_cast<double>(result.queries),
        result, json);
  return absl::OkStatus();
}

absl::Status RunPayloadFilters(const DataSet& set, const Subject& subject, JsonWriter& json) {
  ASSIGN_OR_RETURN(const std::vector<Value> payloads,
                   ReadPayloads(set.folder + "/payload.jsonl.gz"));
  ASSIGN_OR_RETURN(const std::string text,
                   NewPosixFileSystem()->ReadAll(set.folder + "/filters.json"));
  ASSIGN_OR_RETURN(const Value tree, ParsePayload(text));
  for (const Value& filter_set : *Member(tree, "sets").get<Array>()) {
    RETURN_IF_ERROR(RunFilterSet(set, subject, filter_set, payloads, json));
  }
  return absl::OkStatus();
}

}  // namespace

void RunFilters(const DataSet& set, const Subject& subject, JsonWriter& json) {
  json.Key("filters");
  json.BeginArray();
  RunRandom(set, subject, json);
  // The exact answers of a folder's filters are those of all its rows.
  if (set.whole && std::filesystem::exists(set.folder + "/filters.json")) {
    CHECK_OK(RunPayloadFilters(set, subject, json));
  }
  json.EndArray();
}

}  // namespace vectron::bench
