#pragma once

// Figures over time, kept for charts: a ring of samples every ten seconds and one every minute, on
// disk.
//
// A ring is one file of fixed size whose records carry their own checksum
// (docs/formats/time-series.md): a torn or damaged record is a gap, never an error. Losing the last
// seconds at a crash is accepted, so records are not synced one by one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"

namespace vectron::gateway {

// Columns of a sample; their numbers are part of the format.
enum class Figure : uint8_t {
  kRequestsPerSecond,
  kErrorsPerSecond,
  kP50Ms,
  kP99Ms,
  kSearchesPerSecond,
  kWritesPerSecond,
  kVectors,
  kCollections,
  kHealthyWorkers,
  kMemoryBytes,
  kCpuPercent,
  kDiskBytes,
  kDiskFreeBytes,
  kConnections,
  kReceivedBytesPerSecond,
  kSentBytesPerSecond,
  kActiveAlerts,
  kCount
};
inline constexpr size_t kFigureCount = static_cast<size_t>(Figure::kCount);

// One sample. NaN: not measured.
struct SeriesSample {
  int64_t unix_ms = 0;  // end of its interval
  std::array<double, kFigureCount> figures{};

  SeriesSample();  // nothing measured
  double& operator[](Figure figure) { return figures[static_cast<size_t>(figure)]; }
  double operator[](Figure figure) const { return figures[static_cast<size_t>(figure)]; }
};

// The newest `capacity` samples of a file. Thread-safe, but for Add and Sync, which one thread
// calls at a time.
class SampleRing {
 public:
  struct Options {
    std::string path;
    size_t capacity = 0;
  };
  // Reads what is whole; a file of another version or capacity is begun anew. Errors: what the disk
  // says (a full one included: all blocks are allocated here).
  static absl::StatusOr<std::unique_ptr<SampleRing>> Open(const Options& options,
                                                          FileSystem& files);

  // The sample counts in any case; the error says why it is not on disk.
  absl::Status Add(const SeriesSample& sample);
  absl::Status Sync() { return file_->Sync(); }
  // The earliest time of a sample; nothing while there is none.
  std::optional<int64_t> EarliestMs() const;
  // With from_ms < unix_ms <= until_ms, by time.
  std::vector<SeriesSample> Between(int64_t from_ms, int64_t until_ms) const;

 private:
  struct Slot {
    uint64_t number = 0;  // rising with every sample; 0: empty
    SeriesSample sample;
  };
  SampleRing(std::unique_ptr<File> file, size_t capacity);
  absl::Status Load();

  const std::unique_ptr<File> file_;
  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
};

// Thread-safe, but for AddFine and AddCoarse, which one thread calls at a time.
class TimeSeries {
 public:
  static constexpr int64_t kFineStepMs = 10'000;  // unless Open is told another
  static constexpr size_t kFineCapacity = 2'160;  // 6 hours of those
  static constexpr int64_t kCoarseStepMs = 60'000;
  static constexpr size_t kCoarseCapacity = 10'080;  // 7 days

  // dir exists. fine_step_ms: between two fine samples, at least 1.
  static absl::StatusOr<std::unique_ptr<TimeSeries>> Open(const std::string& dir, FileSystem& files,
                                                          int64_t fine_step_ms = kFineStepMs);

  // Samples of the last fine step and of the last minute; the second is synced. Blocks on the disk.
  // The sample counts in any case; the error says why it is not on disk.
  absl::Status AddFine(const SeriesSample& sample);
  absl::Status AddCoarse(const SeriesSample& sample);

  struct Window {
    int64_t from_ms = 0;  // exclusive
    int64_t until_ms = 0;
    size_t max_points = 360;  // at least 1
  };
  struct Answer {
    int64_t step_ms = 0;               // a second or more
    std::vector<SeriesSample> points;  // by time, max_points at most
  };
  // From the fine ring when that reaches back to the window's beginning or as far as there are
  // samples, else from the coarse one. When there are more samples than wanted, or several a
  // second, neighbours are put together.
  Answer Query(const Window& window) const;

 private:
  TimeSeries(std::unique_ptr<SampleRing> fine, std::unique_ptr<SampleRing> coarse,
             int64_t fine_step_ms)
      : fine_(std::move(fine)), coarse_(std::move(coarse)), fine_step_ms_(fine_step_ms) {}
  bool IsFineEnough(const Window& window) const;

  const std::unique_ptr<SampleRing> fine_;
  const std::unique_ptr<SampleRing> coarse_;
  const int64_t fine_step_ms_;
};

// Puts samples (by time) together so that one stands for each `step_ms`; its time is that of its
// last. At most max_points (1 or more): what is older goes with the first, since a window need not
// begin where a step does. What is worst stays to be seen: the largest p99 and number of alerts,
// the fewest healthy workers and the least free disk. Of p50 it is the mean over the calls, of the
// rest the mean over the samples that measured it.
std::vector<SeriesSample> PutTogether(const std::vector<SeriesSample>& samples, int64_t step_ms,
                                      size_t max_points);

}  // namespace vectron::gateway
