#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/log.h"
#include "bench/index/experiments.h"
#include "bench/index/hnswlib_rival.h"
#include "bench/index/machine.h"

namespace vectron::bench {
namespace {

constexpr size_t kBuildSlice = 1000;
constexpr double kEnough = 0.998;  // recall where a curve may end
// hnswlib's memory is so many bytes a vector however many there are; so many are enough to see how
// many.
constexpr size_t kRivalMemoryRows = 20'000;

struct Point {
  uint32_t ef = 0;
  double recall = 0;
  double cpu_us = 0;  // a query, median of the passes
  std::vector<double> passes;
};
using Curve = std::vector<Point>;

struct BuildTimes {
  double vectron_s = 0;
  double hnswlib_s = 0;
};

// In slices by turns, so that whatever else the machine does falls on both.
BuildTimes BuildBoth(const DataSet& set, Subject& subject, HnswlibRival& rival) {
  BuildTimes times;
  const Rows base = set.base_rows();
  for (size_t first = 0; first < base.count; first += kBuildSlice) {
    const size_t end = std::min(first + kBuildSlice, base.count);
    double start = ThreadCpuSeconds();
    for (size_t i = first; i < end; ++i) subject.Upsert(static_cast<uint32_t>(i), base.row(i));
    subject.CommitAndBuild();
    times.vectron_s += ThreadCpuSeconds() - start;
    start = ThreadCpuSeconds();
    for (size_t i = first; i < end; ++i) rival.Add(base.row(i), static_cast<uint32_t>(i));
    times.hnswlib_s += ThreadCpuSeconds() - start;
  }
  return times;
}

Pass SearchRival(HnswlibRival& rival, const Rows& queries, uint32_t ef) {
  Pass pass;
  pass.found.resize(queries.count);
  rival.SetEf(ef);
  const double start = ThreadCpuSeconds();
  for (size_t q = 0; q < queries.count; ++q) {
    rival.Search(queries.row(q), kRecallAt, pass.found[q]);
  }
  pass.cpu_seconds = ThreadCpuSeconds() - start;
  return pass;
}

struct Curves {
  Curve vectron;
  Curve hnswlib;
};

Curves SearchBoth(const DataSet& set, const Settings& settings, const Subject& subject,
                  HnswlibRival& rival) {
  Curves curves;
  const Rows queries = set.query_rows();
  for (const uint32_t ef : settings.efs) {
    const index::SearchOptions options{.k = kRecallAt, .ef = ef};
    Point ours{.ef = ef, .passes = {}};
    Point theirs{.ef = ef, .passes = {}};
    ours.recall = Recall(set.truth, SearchAll(subject, queries, options).found);
    theirs.recall = Recall(set.truth, SearchRival(rival, queries, ef).found);
    const double per_query = 1e6 / static_cast<double>(queries.count);
    for (size_t i = 0; i < settings.repeats; ++i) {
      ours.passes.push_back(SearchAll(subject, queries, options).cpu_seconds * per_query);
      theirs.passes.push_back(SearchRival(rival, queries, ef).cpu_seconds * per_query);
    }
    ours.cpu_us = Median(ours.passes);
    theirs.cpu_us = Median(theirs.passes);
    LogInfo("{} ef {}: vectron {:.4f} at {:.1f} us, hnswlib {:.4f} at {:.1f} us", set.name, ef,
            ours.recall, ours.cpu_us, theirs.recall, theirs.cpu_us);
    const bool both_there = ours.recall > kEnough && theirs.recall > kEnough;
    curves.vectron.push_back(std::move(ours));
    curves.hnswlib.push_back(std::move(theirs));
    if (both_there) break;
  }
  return curves;
}

// CPU microseconds of a query at a recall, between the two neighbouring points (linear in the
// logarithm of the misses); nothing when the curve does not get there. A curve that starts above
// gives its first point.
std::optional<double> CostAt(const Curve& curve, double recall) {
  const auto misses = [](double at) { return std::log(std::max(1 - at, 1e-6)); };
  for (size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].recall < recall) continue;
    if (i == 0) return curve[0].cpu_us;
    const Point& low = curve[i - 1];
    const Point& high = curve[i];
    const double share =
        (misses(recall) - misses(low.recall)) / (misses(high.recall) - misses(low.recall));
    return low.cpu_us + share * (high.cpu_us - low.cpu_us);
  }
  return std::nullopt;
}

void WriteCurve(std::string_view name, const Curve& curve, JsonWriter& json) {
  json.Key(name);
  json.BeginArray();
  for (const Point& point : curve) {
    json.BeginObject();
    json.Count("ef", point.ef);
    json.Field("recall", point.recall);
    json.Field("cpu_us", point.cpu_us);
    json.Field("qps_per_cpu", 1e6 / point.cpu_us);
    json.Field("cpu_us_min", *std::min_element(point.passes.begin(), point.passes.end()));
    json.Field("cpu_us_max", *std::max_element(point.passes.begin(), point.passes.end()));
    json.EndObject();
  }
  json.EndArray();
}

void WriteAtRecall(const Curves& curves, const Settings& settings, JsonWriter& json) {
  json.Key("at_recall");
  json.BeginArray();
  for (const double recall : settings.recalls) {
    const auto ours = CostAt(curves.vectron, recall);
    const auto theirs = CostAt(curves.hnswlib, recall);
    json.BeginObject();
    json.Field("recall", recall);
    json.Field("vectron_qps", ours ? 1e6 / *ours : NAN);
    json.Field("hnswlib_qps", theirs ? 1e6 / *theirs : NAN);
    json.Field("ratio", ours && theirs ? *theirs / *ours : NAN);
    json.EndObject();
  }
  json.EndArray();
}

// Anonymous memory a vector that building takes, in a child process.
double MemoryPerVector(size_t count, const std::function<void()>& build) {
  const std::string text = RunInChild([&] {
    const uint64_t before = AnonymousBytes();
    build();
    return std::to_string(AnonymousBytes() - before);
  });
  return text.empty() ? NAN : std::stod(text) / static_cast<double>(count);
}

void MeasureMemory(const DataSet& set, const Settings& settings, JsonWriter& json) {
  const Rows base = set.base_rows();
  // Leaked on purpose: the child measures, then ends.
  const double ours = MemoryPerVector(base.count, [&] {
    auto* const subject = new Subject(OptionsFor(set, settings.parameters),
                                      settings.work_dir + "/memory-" + set.name);
    for (size_t i = 0; i < base.count; ++i) {
      subject->Upsert(static_cast<uint32_t>(i), base.row(i));
      if (i % kBuildSlice == 0) subject->CommitAndBuild();
    }
    subject->CommitAndBuild();
    subject->index().TrimResident();
  });
  const size_t rival_rows = std::min(base.count, kRivalMemoryRows);
  const double theirs = MemoryPerVector(rival_rows, [&] {
    auto* const rival = new HnswlibRival(set.dimension, set.metric, rival_rows,
                                         settings.parameters.m, settings.parameters.ef_construct);
    for (size_t i = 0; i < rival_rows; ++i) rival->Add(base.row(i), static_cast<uint32_t>(i));
  });
  LogInfo("{}: {:.0f} bytes a vector, hnswlib {:.0f}", set.name, ours, theirs);
  json.Key("memory");
  json.BeginObject();
  json.Field("vectron_bytes_per_vector", ours);
  json.Field("hnswlib_bytes_per_vector", theirs);
  json.Field("ratio", ours / theirs);
  json.EndObject();
}

}  // namespace

void RunDataSet(const DataSet& set, const Settings& settings, JsonWriter& json) {
  const Rows base = set.base_rows();
  Subject subject(OptionsFor(set, settings.parameters), settings.work_dir + "/" + set.name);
  HnswlibRival rival(set.dimension, set.metric, base.count, settings.parameters.m,
                     settings.parameters.ef_construct);
  const BuildTimes build = BuildBoth(set, subject, rival);
  LogInfo("{}: built in {:.1f} s of CPU, hnswlib in {:.1f}", set.name, build.vectron_s,
          build.hnswlib_s);
  json.Key("build");
  json.BeginObject();
  json.Field("vectron_cpu_s", build.vectron_s);
  json.Field("hnswlib_cpu_s", build.hnswlib_s);
  json.Field("ratio", build.vectron_s / build.hnswlib_s);
  json.EndObject();

  const Curves curves = SearchBoth(set, settings, subject, rival);
  WriteCurve("vectron", curves.vectron, json);
  WriteCurve("hnswlib", curves.hnswlib, json);
  WriteAtRecall(curves, settings, json);
  if (settings.filters) RunFilters(set, subject, json);
  if (settings.memory) MeasureMemory(set, settings, json);
}

}  // namespace vectron::bench
