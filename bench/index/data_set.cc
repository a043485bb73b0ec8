#include "bench/index/data_set.h"

#include <algorithm>
#include <filesystem>

#include "apps/vectronctl/rows/row_reader.h"
#include "base/status.h"
#include "bench/index/synthetic.h"

namespace vectron::bench {
namespace {

// The first of the names, with or without ".gz", that is in the folder.
absl::StatusOr<std::string> FindFile(const std::string& folder,
                                     const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    for (const char* const end : {"", ".gz"}) {
      const std::string path = folder + "/" + name + end;
      if (std::filesystem::exists(path)) return path;
    }
  }
  return NotFound("{}: no {}", folder, names.front());
}

absl::StatusOr<rows::Matrix> ReadVectors(const std::string& folder, const std::string& stem,
                                         size_t max_rows) {
  ASSIGN_OR_RETURN(const std::string path,
                   FindFile(folder, {stem + ".bvecs", stem + ".fvecs", stem + ".f16"}));
  return rows::ReadMatrix(path, max_rows);
}

}  // namespace

absl::StatusOr<DataSet> LoadDataSet(const std::string& folder, size_t max_rows,
                                    size_t max_queries) {
  DataSet set;
  set.folder = folder;
  set.name = std::filesystem::path(folder).filename().string();
  const auto says = [&](const char* word) { return set.name.find(word) != std::string::npos; };
  if (says("cosine") || says("debian-packages")) set.metric = Metric::kCosine;
  ASSIGN_OR_RETURN(rows::Matrix base, ReadVectors(folder, "base", max_rows));
  ASSIGN_OR_RETURN(rows::Matrix queries, ReadVectors(folder, "query", max_queries));
  if (base.dimension != queries.dimension) return InvalidArgument("{}: dimensions differ", folder);
  set.dimension = base.dimension;
  set.whole = base.count < max_rows;
  set.base = std::move(base.values);
  set.queries = std::move(queries.values);

  const absl::StatusOr<std::string> truth_path = FindFile(folder, {"gt.ivecs", "truth.u32"});
  if (!truth_path.ok() || !set.whole) {
    set.truth = ExactNearest(set.base_rows(), set.query_rows(), set.metric, kRecallAt, nullptr);
    return set;
  }
  ASSIGN_OR_RETURN(const rows::Truth truth, rows::ReadTruth(*truth_path));
  for (size_t q = 0; q < std::min(truth.queries, queries.count); ++q) {
    std::vector<uint32_t> nearest(truth.of(q), truth.of(q) + std::min(truth.k, kRecallAt));
    std::erase(nearest, rows::kNoRow);
    set.truth.push_back(std::move(nearest));
  }
  return set;
}

DataSet MakeDataSet(const std::string& name, size_t count, size_t dimension, size_t query_count,
                    Metric metric) {
  DataSet set;
  set.name = name;
  set.metric = metric;
  set.dimension = dimension;
  set.base = MakeSynthetic({.count = count + query_count,
                            .dimension = dimension,
                            .unit_length = metric == Metric::kCosine});
  const auto end_of_base = set.base.begin() + static_cast<std::ptrdiff_t>(count * dimension);
  set.queries.assign(end_of_base, set.base.end());
  set.base.erase(end_of_base, set.base.end());
  set.base.shrink_to_fit();
  set.truth = ExactNearest(set.base_rows(), set.query_rows(), metric, kRecallAt, nullptr);
  return set;
}

double Recall(const std::vector<std::vector<uint32_t>>& truth,
              const std::vector<std::vector<uint32_t>>& found) {
  size_t wanted = 0;
  size_t hit = 0;
  for (size_t q = 0; q < found.size(); ++q) {
    const size_t count = std::min(kRecallAt, truth[q].size());
    wanted += count;
    for (size_t i = 0; i < count; ++i) {
      hit += static_cast<size_t>(std::count(found[q].begin(), found[q].end(), truth[q][i]) != 0);
    }
  }
  return wanted == 0 ? 1.0 : static_cast<double>(hit) / static_cast<double>(wanted);
}

}  // namespace vectron::bench
