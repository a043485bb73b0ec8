#include "services/gateway/time_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
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
                                                             FileSystem& files) {
  ASSIGN_OR_RETURN(auto fine, SampleRing::Open({dir + "/series-10s", kFineCapacity}, files));
  ASSIGN_OR_RETURN(auto coarse, SampleRing::Open({dir + "/series-1m", kCoarseCapacity}, files));
  return std::unique_ptr<TimeSeries>(new TimeSeries(std::move(fine), std::move(coarse)));
}

absl::Status TimeSeries::AddFine(const SeriesSample& sample) {
  return fine_->Add(sample);
}

absl::Status TimeSeries::AddCoarse(const SeriesSample& sample) {
  RETURN_IF_ERROR(coarse_->Add(sample));
  RETURN_IF_ERROR(fine_->Sync());
  return coarse_->Sync();
}

TimeSeries::Answer TimeSeries::Query(const Window& window) const {
  CHECK_GE(window.max_points, size_t{1});
  const int64_t span = std::max<int64_t>(window.until_ms - window.from_ms, 1);
  const bool fine = span <= kFineStepMs * static_cast<int64_t>(kFineCapacity);
  const int64_t own_step = fine ? kFineStepMs : kCoarseStepMs;
  Answer answer;
  answer.points = (fine ? fine_ : coarse_)->Between(window.from_ms, window.until_ms);
  const auto points = static_cast<int64_t>(window.max_points);
  const int64_t wanted = (span + points - 1) / points;
  answer.step_ms = std::max<int64_t>((wanted + own_step - 1) / own_step, 1) * own_step;
  if (answer.points.size() > window.max_points) {
    answer.points = PutTogether(answer.points, answer.step_ms);
  } else {
    answer.step_ms = own_step;
  }
  return answer;
}

std::vector<SeriesSample> PutTogether(const std::vector<SeriesSample>& samples, int64_t step_ms) {
  CHECK_GT(step_ms, 0);
  std::vector<SeriesSample> result;
  for (size_t begin = 0; begin < samples.size();) {
    size_t end = begin;
    while (end < samples.size() &&
           samples[end].unix_ms / step_ms == samples[begin].unix_ms / step_ms) {
      ++end;
    }
    SeriesSample together;
    together.unix_ms = samples[end - 1].unix_ms;
    for (size_t column = 0; column < kFigureCount; ++column) {
      double sum = 0;
      double largest = 0;
      size_t count = 0;
      for (size_t i = begin; i < end; ++i) {
        const double figure = samples[i].figures[column];
        if (std::isnan(figure)) continue;
        sum += figure;
        largest = count == 0 ? figure : std::max(largest, figure);
        ++count;
      }
      if (count == 0) continue;
      const bool worst = column == static_cast<size_t>(Figure::kP99Ms);
      together.figures[column] = worst ? largest : sum / static_cast<double>(count);
    }
    result.push_back(together);
    begin = end;
  }
  return result;
}

}  // namespace vectron::gateway
