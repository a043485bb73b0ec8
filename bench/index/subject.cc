#include "bench/index/subject.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "bench/index/machine.h"

namespace vectron::bench {

index::IndexOptions OptionsFor(const DataSet& set, const IndexParameters& parameters) {
  index::IndexOptions options;
  options.dimension = static_cast<uint32_t>(set.dimension);
  options.metric = set.metric;
  options.m = parameters.m;
  options.ef_construct = parameters.ef_construct;
  return options;
}

Subject::Subject(const index::IndexOptions& options, const std::string& work_dir) {
  auto index = index::VectorIndex::Create(options, *files_, work_dir);
  CHECK_OK(index.status());
  index_ = std::move(*index);
}

Subject::Subject(std::unique_ptr<index::VectorIndex> opened) : index_(std::move(opened)) {}

void Subject::Upsert(uint32_t id, const float* vector) {
  constexpr uint64_t kReservedRows = 1024;
  if (reserved_ == 0) {
    CHECK_OK(index_->Reserve(kReservedRows));
    reserved_ = kReservedRows;
  }
  --reserved_;
  char text[12];
  const auto end = std::to_chars(text, text + sizeof text, id).ptr;
  index::Row row;
  row.id = std::string_view(text, static_cast<size_t>(end - text));
  row.vector = {vector, index_->options().dimension};
  row.version = ++writes_;
  const uint32_t slot = index_->Upsert(row);
  if (slots_.size() <= id) slots_.resize(id + 1);
  slots_[id] = slot;
}

void Subject::CommitAndBuild() {
  index_->Commit(writes_);
  while (index_->Build(executor_)) {
  }
}

Subject::Answer Subject::Search(const float* query, const index::SearchOptions& options) const {
  const index::Snapshot snapshot = index_->TakeSnapshot();
  auto result = index_->Search(snapshot, {query, index_->options().dimension}, options);
  CHECK_OK(result.status());
  Answer answer{.ids = {}, .stats = result->stats};
  answer.ids.reserve(result->hits.size());
  for (const index::Hit& hit : result->hits) {
    uint32_t id = 0;
    std::from_chars(hit.id.data(), hit.id.data() + hit.id.size(), id);
    answer.ids.push_back(id);
  }
  return answer;
}

Pass SearchAll(const Subject& subject, const Rows& queries, const index::SearchOptions& options) {
  Pass pass;
  pass.found.resize(queries.count);
  const double start = ThreadCpuSeconds();
  for (size_t q = 0; q < queries.count; ++q) {
    pass.found[q] = subject.Search(queries.row(q), options).ids;
  }
  pass.cpu_seconds = ThreadCpuSeconds() - start;
  return pass;
}

double Median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace vectron::bench
