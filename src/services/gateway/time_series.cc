#include "services/gateway/time_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::gateway {
namespace {

constexpr std::string_view kMagic = "VECSERIE";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
// number, time, figures, crc
constexpr size_t kRecordBytes = 8 + 8 + 8 * kFigureCount + 4;
constexpr int64_t kLeastStepMs = 1'000;  // that an answer tells: it is told in seconds

std::string Header(size_t capacity) {
  std::string bytes(kMagic);
  PutFixed(bytes, kVersion);
  PutFixed(bytes, static_cast<uint32_t>(kFigureCount));
  PutFixed(bytes, static_cast<uint64_t>(capacity));
  bytes.resize(kHeaderBytes - 4, '\0');
  PutFixed(bytes, Crc32c(bytes));
  return bytes;
}

uint64_t OffsetOf(size_t slot) { return kHeaderBytes + uint64_t{slot} * kRecordBytes; }

std::string Record(uint64_t number, const SeriesSample& sample) {
  std::string bytes;
  PutFixed(bytes, number);
  PutFixed(bytes, sample.unix_ms);
  for (const double figure : sample.figures) PutFixed(bytes, figure);
  PutFixed(bytes, Crc32c(bytes));
  return bytes;
}

// How a figure of several samples is put together.
enum class Together : uint8_t { kMean, kMeanOverCalls, kLargest, kSmallest };

Together WayOf(Figure figure) {
  switch (figure) {
    case Figure::kP50Ms:
      return Together::kMeanOverCalls;
    case Figure::kP99Ms:
    case Figure::kActiveAlerts:
      return Together::kLargest;
    case Figure::kHealthyWorkers:
    case Figure::kDiskFreeBytes:
      return Together::kSmallest;
    default:
      return Together::kMean;
  }
}

// One figure for all samples that measured it; NaN when none did.
double OfAll(std::span<const SeriesSample> samples, Figure figure) {
  const Together way = WayOf(figure);
  double sum = 0;
  double weights = 0;
  double worst = std::numeric_limits<double>::quiet_NaN();
  for (const SeriesSample& sample : samples) {
    const double value = sample[figure];
    if (std::isnan(value)) continue;
    const double calls = sample[Figure::kRequestsPerSecond];
    const double weight = way == Together::kMeanOverCalls && !std::isnan(calls) ? calls : 1;
    sum += weight * value;
    weights += weight;
    const bool worse = way == Together::kSmallest ? value < worst : value > worst;
    if (std::isnan(worst) || worse) worst = value;
  }
  if (way == Together::kLargest || way == Together::kSmallest) return worst;
  return weights > 0 ? sum / weights : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

SeriesSample::SeriesSample() { figures.fill(std::numeric_limits<double>::quiet_NaN()); }

SampleRing::SampleRing(std::unique_ptr<File> file, size_t capacity)
    : file_(std::move(file)), capacity_(capacity), slots_(capacity) {
  CHECK_GT(capacity, size_t{0});
}

absl::StatusOr<std::unique_ptr<SampleRing>> SampleRing::Open(const Options& options,
                                                             FileSystem& files) {
  const std::string header = Header(options.capacity);
  const uint64_t whole = OffsetOf(options.capacity);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(options.path));
  if (exists) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(options.path, OpenMode::kReadWrite));
    std::string found(kHeaderBytes, '\0');
    const absl::StatusOr<uint64_t> size = file->Size();
    if (size.ok() && *size >= whole && file->Read(0, kHeaderBytes, found.data()).ok() &&
        found == header) {
      std::unique_ptr<SampleRing> ring(new SampleRing(std::move(file), options.capacity));
      RETURN_IF_ERROR(ring->Load());
      return ring;
    }
    LogWarning("{}: not of this version or damaged; the chart begins anew", options.path);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(options.path, OpenMode::kCreate));
  RETURN_IF_ERROR(file->Allocate(whole));
  RETURN_IF_ERROR(file->Write(0, header));
  RETURN_IF_ERROR(file->Sync());
  return std::unique_ptr<SampleRing>(new SampleRing(std::move(file), options.capacity));
}

absl::Status SampleRing::Load() {
  std::string bytes(capacity_ * kRecordBytes, '\0');
  RETURN_IF_ERROR(file_->Read(kHeaderBytes, bytes.size(), bytes.data()));
  const absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::string_view record(bytes.data() + i * kRecordBytes, kRecordBytes);
    ByteReader reader(record);
    Slot slot;
    uint32_t crc = 0;
    reader.ReadFixed(slot.number);
    reader.ReadFixed(slot.sample.unix_ms);
    for (double& figure : slot.sample.figures) reader.ReadFixed(figure);
    reader.ReadFixed(crc);
    CHECK(reader.ok());
    // A record of the wrong place would be overwritten at the wrong time.
    if (slot.number == 0 || slot.number % slots_.size() != i ||
        crc != Crc32c(record.substr(0, kRecordBytes - 4))) {
      continue;
    }
    next_number_ = std::max(next_number_, slot.number + 1);
    slots_[i] = slot;
  }
  return absl::OkStatus();
}

absl::Status SampleRing::Add(const SeriesSample& sample) {
  uint64_t number = 0;
  {
    const absl::MutexLock lock(&mutex_);
    number = next_number_++;
    slots_[number % capacity_] = {.number = number, .sample = sample};
  }
  const auto slot = static_cast<size_t>(number % capacity_);
  return file_->Write(OffsetOf(slot), Record(number, sample));
}

std::optional<int64_t> SampleRing::EarliestMs() const {
  std::optional<int64_t> earliest;
  const absl::MutexLock lock(&mutex_);
  for (const Slot& slot : slots_) {
    if (slot.number == 0) continue;
    const int64_t time = slot.sample.unix_ms;
    if (!earliest.has_value() || time < *earliest) earliest = time;
  }
  return earliest;
}

std::vector<SeriesSample> SampleRing::Between(int64_t from_ms, int64_t until_ms) const {
  std::vector<SeriesSample> samples;
  {
    const absl::MutexLock lock(&mutex_);
    for (const Slot& slot : slots_) {
      const int64_t time = slot.sample.unix_ms;
      if (slot.number != 0 && time > from_ms && time <= until_ms) samples.push_back(slot.sample);
    }
  }
  // Not by number: the wall clock may have been set back meanwhile.
  std::sort(samples.begin(), samples.end(),
            [](const SeriesSample& a, const SeriesSample& b) { return a.unix_ms < b.unix_ms; });
  return samples;
}

absl::StatusOr<std::unique_ptr<TimeSeries>> TimeSeries::Open(const std::string& dir,
                                                             FileSystem& files,
                                                             int64_t fine_step_ms) {
  CHECK_GE(fine_step_ms, 1);
  ASSIGN_OR_RETURN(auto fine, SampleRing::Open({dir + "/series-10s", kFineCapacity}, files));
  ASSIGN_OR_RETURN(auto coarse, SampleRing::Open({dir + "/series-1m", kCoarseCapacity}, files));
  return std::unique_ptr<TimeSeries>(
      new TimeSeries(std::move(fine), std::move(coarse), fine_step_ms));
}

absl::Status TimeSeries::AddFine(const SeriesSample& sample) { return fine_->Add(sample); }

absl::Status TimeSeries::AddCoarse(const SeriesSample& sample) {
  RETURN_IF_ERROR(coarse_->Add(sample));
  RETURN_IF_ERROR(fine_->Sync());
  return coarse_->Sync();
}

bool TimeSeries::IsFineEnough(const Window& window) const {
  const int64_t span = window.until_ms - window.from_ms;
  if (span > fine_step_ms_ * static_cast<int64_t>(kFineCapacity)) return false;
  const std::optional<int64_t> coarse = coarse_->EarliestMs();
  if (!coarse.has_value()) return true;
  const std::optional<int64_t> fine = fine_->EarliestMs();
  // The beginning of the oldest samples is cut off either way.
  return fine.has_value() && *fine <= std::max(window.from_ms + kCoarseStepMs, *coarse);
}

TimeSeries::Answer TimeSeries::Query(const Window& window) const {
  CHECK_GE(window.max_points, size_t{1});
  const int64_t span = std::max<int64_t>(window.until_ms - window.from_ms, 1);
  const bool fine = IsFineEnough(window);
  const int64_t own_step = fine ? fine_step_ms_ : kCoarseStepMs;
  Answer answer;
  answer.step_ms = own_step;
  answer.points = (fine ? fine_ : coarse_)->Between(window.from_ms, window.until_ms);
  if (answer.points.size() <= window.max_points && own_step >= kLeastStepMs) return answer;
  const auto points = static_cast<int64_t>(window.max_points);
  const int64_t wanted = std::max((span + points - 1) / points, kLeastStepMs);
  answer.step_ms = (wanted + own_step - 1) / own_step * own_step;
  answer.points = PutTogether(answer.points, answer.step_ms, window.max_points);
  return answer;
}

std::vector<SeriesSample> PutTogether(const std::vector<SeriesSample>& samples, int64_t step_ms,
                                      size_t max_points) {
  CHECK_GT(step_ms, 0);
  CHECK_GE(max_points, size_t{1});
  std::vector<SeriesSample> result;
  if (samples.empty()) return result;
  const int64_t first = samples.back().unix_ms / step_ms - static_cast<int64_t>(max_points - 1);
  const auto step_of = [step_ms, first](const SeriesSample& sample) {
    return std::max(sample.unix_ms / step_ms, first);
  };
  for (size_t begin = 0; begin < samples.size();) {
    size_t end = begin;
    while (end < samples.size() && step_of(samples[end]) == step_of(samples[begin])) ++end;
    const std::span<const SeriesSample> step(&samples[begin], end - begin);
    SeriesSample& together = result.emplace_back();
    together.unix_ms = step.back().unix_ms;
    for (size_t column = 0; column < kFigureCount; ++column) {
      together.figures[column] = OfAll(step, static_cast<Figure>(column));
    }
    begin = end;
  }
  return result;
}

}  // namespace vectron::gateway
