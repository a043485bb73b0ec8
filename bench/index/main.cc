// vectron_bench_index: the index alone against hnswlib, in one process, on one pinned thread.
//
//   build/release/bin/vectron_bench_index --data DIR --out result.json
//
// DIR holds data sets, a folder each (data_set.h); without it only made-up data is used.
// bench/plot.py draws the result.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "bench/index/experiments.h"
#include "bench/index/machine.h"

namespace vectron::bench {
namespace {

struct Flags {
  std::string data;
  std::vector<std::string> sets;  // names of folders in `data`; empty: all
  std::vector<std::string> only = {"sets", "churn", "reopen"};
  std::string out = "bench-index.json";
  std::string work_dir;
  size_t queries = 1000;
  size_t rows = SIZE_MAX;
  size_t synthetic_rows = 100'000;  // of the 768-dimensional cosine set
  size_t reopen_rows = 1'000'000;   // x 128
  size_t churn_rows = 100'000;      // x 128, made up, when there is no data set for it
  bool quick = false;
  Settings settings;

  bool Wants(std::string_view part) const {
    return std::find(only.begin(), only.end(), part) != only.end();
  }
};

bool IsDataSet(const std::filesystem::path& folder) {
  for (const char* const name :
       {"base.bvecs", "base.bvecs.gz", "base.fvecs", "base.fvecs.gz", "base.f16", "base.f16.gz"}) {
    if (std::filesystem::exists(folder / name)) return true;
  }
  return false;
}

std::vector<std::string> FindDataSets(const Flags& flags) {
  std::vector<std::string> folders;
  if (flags.data.empty()) return folders;
  for (const auto& entry : std::filesystem::directory_iterator(flags.data)) {
    const std::string name = entry.path().filename().string();
    const bool wanted = flags.sets.empty() ||
                        std::find(flags.sets.begin(), flags.sets.end(), name) != flags.sets.end();
    if (wanted && entry.is_directory() && IsDataSet(entry.path())) {
      folders.push_back(entry.path().string());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

void RunOne(const DataSet& set, const Flags& flags, JsonWriter& json) {
  LogInfo("{}: {} x {}, {} queries", set.name, set.base_rows().count, set.dimension,
          set.query_rows().count);
  json.BeginObject();
  json.Field("name", set.name);
  json.Count("points", set.base_rows().count);
  json.Count("dimension", set.dimension);
  json.Count("queries", set.query_rows().count);
  json.Field("metric", set.metric == Metric::kCosine ? "cosine" : "l2");
  RunDataSet(set, flags.settings, json);
  json.EndObject();
}

bool RunSets(const Flags& flags, JsonWriter& json) {
  json.Key("sets");
  json.BeginArray();
  for (const std::string& folder : FindDataSets(flags)) {
    const absl::StatusOr<DataSet> set = LoadDataSet(folder, flags.rows, flags.queries);
    if (!set.ok()) {
      LogError("{}", set.status().ToString());
      return false;
    }
    RunOne(*set, flags, json);
  }
  if (flags.synthetic_rows > 0) {
    RunOne(MakeDataSet("synthetic-768-cosine", flags.synthetic_rows, 768, flags.queries,
                       Metric::kCosine),
           flags, json);
  }
  json.EndArray();
  return true;
}

DataSet ChurnSet(const Flags& flags) {
  for (const std::string& folder : FindDataSets(flags)) {
    if (folder.find("cifar-sift") == std::string::npos) continue;
    absl::StatusOr<DataSet> set = LoadDataSet(folder, flags.rows, flags.queries);
    if (set.ok()) return *std::move(set);
  }
  return MakeDataSet("synthetic-128", flags.churn_rows, 128, flags.queries, Metric::kEuclidean);
}

int Run(Flags& flags) {
  if (flags.quick) {
    flags.queries = std::min<size_t>(flags.queries, 200);
    flags.rows = std::min<size_t>(flags.rows, 20'000);
    flags.synthetic_rows = std::min<size_t>(flags.synthetic_rows, 20'000);
    flags.reopen_rows = std::min<size_t>(flags.reopen_rows, 100'000);
    flags.churn_rows = std::min<size_t>(flags.churn_rows, 40'000);
    flags.settings.repeats = 1;
    flags.settings.efs = {10, 20, 40, 80, 160, 320};
  }
  const bool own_dir = flags.work_dir.empty();
  if (own_dir) {
    flags.work_dir = (std::filesystem::temp_directory_path() / "vectron-bench-index").string();
  }
  std::filesystem::create_directories(flags.work_dir);
  flags.settings.work_dir = flags.work_dir;
  PinToProcessor(flags.settings.processor);

  JsonWriter json;
  json.BeginObject();
  json.Field("benchmark", "index");
  json.Key("machine");
  json.BeginObject();
  DescribeMachine(json);
  json.EndObject();
  json.Key("parameters");
  json.BeginObject();
  json.Count("m", flags.settings.parameters.m);
  json.Count("ef_construct", flags.settings.parameters.ef_construct);
  json.Count("k", kRecallAt);
  json.Count("repeats", flags.settings.repeats);
  json.EndObject();
  bool ok = true;
  if (flags.Wants("sets")) ok = RunSets(flags, json);
  if (ok && flags.Wants("churn")) RunChurn(ChurnSet(flags), flags.settings, json);
  if (ok && flags.Wants("reopen")) {
    RunReopen(MakeDataSet("synthetic-128", flags.reopen_rows, 128, 10, Metric::kEuclidean),
              flags.settings, json);
  }
  json.Key("machine_at_the_end");
  json.BeginObject();
  DescribeMachine(json);
  json.EndObject();
  json.EndObject();
  if (own_dir) std::filesystem::remove_all(flags.work_dir);
  if (!ok) return 1;
  std::ofstream(flags.out) << json.text() << "\n";
  LogInfo("written: {}", flags.out);
  return 0;
}

}  // namespace
}  // namespace vectron::bench

int main(int argc, char** argv) {
  vectron::bench::Flags flags;
  CLI::App app("The index alone against hnswlib, on one thread");
  app.add_option("--data", flags.data, "folder of data sets");
  app.add_option("--sets", flags.sets, "names of data sets (all)");
  app.add_option("--only", flags.only, "parts: sets churn reopen")
      ->check(CLI::IsMember({"sets", "churn", "reopen"}));
  app.add_option("--out", flags.out, "JSON of the results")->capture_default_str();
  app.add_option("--work-dir", flags.work_dir, "for the indexes' files (a temporary folder)");
  app.add_option("--cpu", flags.settings.processor, "processor to pin the thread to (none)");
  app.add_option("--queries", flags.queries, "at most this many of a set")->capture_default_str();
  app.add_option("--rows", flags.rows, "at most this many base vectors of a set (all)");
  app.add_option("--repeats", flags.settings.repeats, "passes of each point; the median counts")
      ->capture_default_str();
  app.add_option("--synthetic-rows", flags.synthetic_rows, "of the made-up 768-d set; 0: none")
      ->capture_default_str();
  app.add_option("--reopen-rows", flags.reopen_rows, "of the reopened 128-d set")
      ->capture_default_str();
  app.add_option("--m", flags.settings.parameters.m, "links a point")->capture_default_str();
  app.add_option("--ef-construct", flags.settings.parameters.ef_construct, "")
      ->capture_default_str();
  app.add_flag("--no-memory{false}", flags.settings.memory, "skip the memory measurement");
  app.add_flag("--no-filters{false}", flags.settings.filters, "skip the filters");
  app.add_flag("--quick", flags.quick, "small data, one pass: to see that it works");
  CLI11_PARSE(app, argc, argv);
  return vectron::bench::Run(flags);
}
