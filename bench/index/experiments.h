#pragma once

// The experiments of vectron_bench_index. Each appends its result as fields of the JSON object that
// is open.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/index/data_set.h"
#include "bench/index/json.h"
#include "bench/index/subject.h"

namespace vectron::bench {

struct Settings {
  IndexParameters parameters;
  std::vector<uint32_t> efs = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640};
  std::vector<double> recalls = {0.95, 0.99};
  size_t repeats = 5;  // passes over the queries for each point of a curve; the median counts
  int processor = -1;
  std::string work_dir;
  bool memory = true;  // builds both indexes once more, each in a process of its own
  bool filters = true;
};

// Both indexes over one data set: build time (in slices, in turn), recall against queries per CPU
// second (in turn), memory, filters.
void RunDataSet(const DataSet& set, const Settings& settings, JsonWriter& json);

// Searches under random filters of several selectivities, and, where the data set has a payload and
// filters, under those.
void RunFilters(const DataSet& set, const Subject& subject, JsonWriter& json);

// Replaces all points in ten rounds; compares recall at one ef with that of the same points in a
// fresh index.
void RunChurn(const DataSet& set, const Settings& settings, JsonWriter& json);

// Time from an empty process to the first right answer from a checkpoint.
void RunReopen(const DataSet& set, const Settings& settings, JsonWriter& json);

}  // namespace vectron::bench
