#include <algorithm>

#include "base/log.h"
#include "bench/index/experiments.h"

namespace vectron::bench {
namespace {

constexpr size_t kRounds = 10;
constexpr uint32_t kChurnEf = 64;

double RecallOf(const Subject& subject, const DataSet& set, const Rows& points) {
  const auto truth = ExactNearest(points, set.query_rows(), set.metric, kRecallAt, nullptr);
  const Pass pass = SearchAll(subject, set.query_rows(), {.k = kRecallAt, .ef = kChurnEf});
  return Recall(truth, pass.found);
}

}  // namespace

void RunChurn(const DataSet& set, const Settings& settings, JsonWriter& json) {
  const Rows all = set.base_rows();
  const size_t count = all.count / 2;
  const Rows before{all.values, count, all.dimension};
  const Rows after{all.row(count), count, all.dimension};
  Subject subject(OptionsFor(set, settings.parameters), settings.work_dir + "/churn");
  for (size_t i = 0; i < count; ++i) subject.Upsert(static_cast<uint32_t>(i), before.row(i));
  subject.CommitAndBuild();
  const double first = RecallOf(subject, set, before);
  LogInfo("churn: recall {:.4f} before", first);

  // Round by round each id in it gets its other vector; ids of a round are spread over all.
  for (size_t round = 0; round < kRounds; ++round) {
    for (size_t i = round; i < count; i += kRounds) {
      subject.Upsert(static_cast<uint32_t>(i), after.row(i));
    }
    subject.CommitAndBuild();
    subject.index().TakeFreedSlots();
  }
  const double churned = RecallOf(subject, set, after);

  Subject fresh(OptionsFor(set, settings.parameters), settings.work_dir + "/churn-fresh");
  for (size_t i = 0; i < count; ++i) fresh.Upsert(static_cast<uint32_t>(i), after.row(i));
  fresh.CommitAndBuild();
  const double rebuilt = RecallOf(fresh, set, after);
  LogInfo("churn: recall {:.4f} after {} rounds, {:.4f} of a fresh index", churned, kRounds,
          rebuilt);

  json.Key("churn");
  json.BeginObject();
  json.Field("data", set.name);
  json.Count("points", count);
  json.Count("rounds", kRounds);
  json.Count("ef", kChurnEf);
  json.Field("recall_before", first);
  json.Field("recall_after", churned);
  json.Field("recall_of_fresh_index", rebuilt);
  json.Field("fall", rebuilt - churned);
  json.Count("slots", 1 + *std::max_element(subject.slots().begin(), subject.slots().end()));
  json.EndObject();
}

}  // namespace vectron::bench
