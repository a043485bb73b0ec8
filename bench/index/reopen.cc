#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "bench/index/experiments.h"
#include "bench/index/machine.h"

namespace vectron::bench {
namespace {

constexpr size_t kBuildSlice = 4096;
constexpr size_t kReopens = 5;

struct Reopened {
  double wall_s = 0;
  double cpu_s = 0;
  bool right = false;
};

// In a process of its own, so that nothing of the index is mapped or warm but the page cache.
Reopened Reopen(const index::IndexOptions& options, const std::string& checkpoint,
                const std::string& work_dir, const float* query,
                const std::vector<uint32_t>& wanted) {
  const std::string text = RunInChild([&] {
    const auto files = NewPosixFileSystem();
    const double wall = WallSeconds();
    const double cpu = ThreadCpuSeconds();
    auto opened = index::VectorIndex::Open(options, *files, checkpoint, work_dir);
    CHECK_OK(opened.status());
    const Subject subject(std::move(*opened));
    const Subject::Answer answer = subject.Search(query, {.k = kRecallAt, .ef = 200});
    const double wall_end = WallSeconds();
    const double cpu_end = ThreadCpuSeconds();
    return fmt::format("{} {} {}", wall_end - wall, cpu_end - cpu, answer.ids == wanted ? 1 : 0);
  });
  Reopened result;
  int right = 0;
  if (std::sscanf(text.c_str(), "%lf %lf %d", &result.wall_s, &result.cpu_s, &right) != 3) {
    return {.wall_s = NAN, .cpu_s = NAN};
  }
  result.right = right == 1;
  return result;
}

}  // namespace

void RunReopen(const DataSet& set, const Settings& settings, JsonWriter& json) {
  const Rows base = set.base_rows();
  const index::IndexOptions options = OptionsFor(set, settings.parameters);
  const std::string checkpoint = settings.work_dir + "/reopen-checkpoint";
  std::filesystem::remove_all(checkpoint);
  std::vector<uint32_t> wanted;
  double build_s = 0;
  {
    Subject subject(options, settings.work_dir + "/reopen-live");
    const double start = ThreadCpuSeconds();
    for (size_t i = 0; i < base.count; ++i) {
      subject.Upsert(static_cast<uint32_t>(i), base.row(i));
      if (i % kBuildSlice == 0) subject.CommitAndBuild();
    }
    subject.CommitAndBuild();
    build_s = ThreadCpuSeconds() - start;
    wanted = subject.Search(set.query_rows().row(0), {.k = kRecallAt, .ef = 200}).ids;
    const index::CheckpointCut cut = subject.index().BeginCheckpoint();
    CHECK_OK(subject.index().WriteCheckpoint(cut, checkpoint));
  }
  std::vector<double> wall;
  std::vector<double> cpu;
  bool right = true;
  for (size_t i = 0; i < kReopens; ++i) {
    const Reopened once = Reopen(options, checkpoint, settings.work_dir + "/reopen-again",
                                 set.query_rows().row(0), wanted);
    wall.push_back(once.wall_s);
    cpu.push_back(once.cpu_s);
    right = right && once.right;
  }
  LogInfo("reopen {}: {:.3f} s, {:.3f} s of CPU, right: {}", set.name, Median(wall), Median(cpu),
          right);
  json.Key("reopen");
  json.BeginObject();
  json.Field("data", set.name);
  json.Count("points", base.count);
  json.Count("dimension", set.dimension);
  json.Field("build_cpu_s", build_s);
  json.Field("wall_s", Median(wall));
  json.Field("cpu_s", Median(cpu));
  json.Key("right");
  json.Bool(right);
  json.EndObject();
}

}  // namespace vectron::bench
