#pragma once

// Figures over time, kept for charts: a ring of samples every ten seconds and one every minute, on disk.
//
// A ring is one file of fixed size whose records carry their own checksum (docs/formats/time-series.md):
// a torn or damaged record is a gap, never an error. Losing the last seconds at a crash is accepted, so
// records are not synced one by one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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

// The newest `capacity` samples of a file. Thread-safe, but for Add and Sync, which one thread calls
// at a time.
class SampleRing {
 public:
  struct Options {
    std::string path;
    size_t capacity = 0;
  };
  // Reads what is whole; a file of another version or capacity is begun anew. Errors: what the disk says
  // (a full one included: all blocks are allocated here).
  static absl::StatusOr<std::unique_ptr<SampleRing>> Open(const Options& options, FileSystem& files);

  // The sample counts in any case; the error says why it is not on disk.
  absl::Status Add(const SeriesSample& sample);
  absl::Status Sync() { return file_->Sync(); }
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
  static constexpr int64_t kFineStepMs = 10'000;
  static constexpr size_t kFineCapacity = 2'160;  // 6 hours
  static constexpr int64_t kCoarseStepMs = 60'000;
  static constexpr size_t kCoarseCapacity = 10'080;  // 7 days

  // dir exists.
  static absl::StatusOr<std::unique_ptr<TimeSeries>> Open(const std::string& dir, FileSystem& files);

  // Samples of the last ten seconds and of the last minute; the second is synced. Blocks on the disk.
  // The sample counts in any case; the error says why it is not on disk.
  absl::Status AddFine(const SeriesSample& sample);
  absl::Status AddCoarse(const SeriesSample& sample);

  struct Window {
    int64_t from_ms = 0;  // exclusive
    int64_t until_ms = 0;
    size_t max_points = 360;  // at least 1
  };
  struct Answer {
    int64_t step_ms = 0;
    std::vector<SeriesSample> points;  // by time
  };
  // From the ring that is fine enough and reaches far enough back. When there are more samples than
  // wanted, neighbours are put together: means, and of p99 the largest.
  Answer Query(const Window& window) const;

 private:
  TimeSeries(std::unique_ptr<SampleRing> fine, std::unique_ptr<SampleRing> coarse)
      : fine_(std::move(fine)), coarse_(std::move(coarse)) {}

  const std::unique_ptr<SampleRing> fine_;
  const std::unique_ptr<SampleRing> coarse_;
};

// Puts samples (by time) together so that one stands for each `step_ms`; its time is that of its last.
std::vector<SeriesSample> PutTogether(const std::vector<SeriesSample>& samples, int64_t step_ms);

}  // namespace vectron::gateway
