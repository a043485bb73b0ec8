#include "index/memory_vector_index.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/cosine.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "index/validate.h"

namespace vectron::index {
namespace {

constexpr std::string_view kFileName = "/rows";

double Dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorIndex>> MemoryVectorIndex::Create(const IndexOptions& options,
                                                                       FileSystem& files) {
  RETURN_IF_ERROR(ValidateOptions(options));
  return std::unique_ptr<VectorIndex>(new MemoryVectorIndex(options, files));
}

absl::StatusOr<std::unique_ptr<VectorIndex>> MemoryVectorIndex::Open(
    const IndexOptions& options, FileSystem& files, const std::string& checkpoint_dir) {
  RETURN_IF_ERROR(ValidateOptions(options));
  const std::string path = checkpoint_dir + std::string(kFileName);
  ASSIGN_OR_RETURN(const std::string bytes, files.ReadAll(path));
  std::unique_ptr<MemoryVectorIndex> index(new MemoryVectorIndex(options, files));
  RETURN_IF_ERROR(Annotate(index->Load(bytes), path));
  return std::unique_ptr<VectorIndex>(std::move(index));
}

absl::Status MemoryVectorIndex::Load(std::string_view bytes) {
  const absl::MutexLock lock(&mutex_);
  if (bytes.size() < sizeof(uint32_t)) return DataLoss("{} bytes, wanted a checksum", bytes.size());
  const std::string_view body = bytes.substr(sizeof(uint32_t));
  if (Crc32c(body) != LoadFixed<uint32_t>(bytes.data())) return DataLoss("checksum mismatch");
  ByteReader reader(body);
  uint32_t rows = 0;
  if (!reader.ReadFixed(state_.applied_index) || !reader.ReadFixed(state_.sequence) ||
      !reader.ReadFixed(rows)) {
    return DataLoss("header cut short");
  }
  rows_.resize(rows);
  for (uint32_t slot = 0; slot < rows; ++slot) {
    Stored& row = rows_[slot];
    std::string_view id;
    std::string_view vector;
    if (!reader.ReadLengthPrefixed(id) || !reader.ReadLengthPrefixed(vector) ||
        !reader.ReadFixed(row.version) || !reader.ReadFixed(row.flags)) {
      return DataLoss("row {} of {} cut short", slot, rows);
    }
    if (vector.empty()) {
      free_.push_back(slot);
      continue;
    }
    if (vector.size() != options_.dimension * sizeof(float)) {
      return FailedPrecondition("row {} has {} bytes, wanted dimension {}", slot, vector.size(),
                                options_.dimension);
    }
    row.id = id;
    row.vector.resize(options_.dimension);
    std::memcpy(row.vector.data(), vector.data(), vector.size());
    row.birth = state_.sequence;
    slots_[row.id] = slot;
  }
  state_.row_count = rows;
  published_sequence_ = state_.sequence;
  return absl::OkStatus();
}

absl::Status MemoryVectorIndex::Reserve(uint64_t /*rows*/) { return absl::OkStatus(); }

uint32_t MemoryVectorIndex::Upsert(const Row& row) {
  CHECK_EQ(row.vector.size(), size_t{options_.dimension});
  Remove(row.id);
  const absl::MutexLock lock(&mutex_);
  uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(rows_.size());
    rows_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  rows_[slot] = Stored{.id = std::string(row.id),
                       .vector = {row.vector.begin(), row.vector.end()},
                       .version = row.version,
                       .flags = row.flags,
                       .birth = state_.sequence + 1};
  slots_[rows_[slot].id] = slot;
  return slot;
}

std::optional<uint32_t> MemoryVectorIndex::Remove(std::string_view id) {
  const absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(id);
  if (found == slots_.end()) return std::nullopt;
  const uint32_t slot = found->second;
  rows_[slot].death = state_.sequence + 1;
  dead_.insert(slot);
  slots_.erase(found);
  return slot;
}

void MemoryVectorIndex::Commit(uint64_t applied_index) {
  const absl::MutexLock lock(&mutex_);
  CHECK_GE(applied_index, state_.applied_index);
  state_.applied_index = applied_index;
  state_.sequence += 1;
  state_.row_count = static_cast<uint32_t>(rows_.size());
}

std::vector<uint32_t> MemoryVectorIndex::TakeFreedSlots() {
  const absl::MutexLock lock(&mutex_);
  const uint32_t oldest = readers_.empty() ? state_.sequence : *readers_.begin();
  std::vector<uint32_t> freed;
  for (const uint32_t slot : dead_) {
    const Stored& row = rows_[slot];
    if (row.death > oldest) continue;
    if (published_sequence_.has_value() && row.SeenAt(*published_sequence_)) continue;
    if (cut_sequence_.has_value() && row.SeenAt(*cut_sequence_)) continue;
    freed.push_back(slot);
  }
  for (const uint32_t slot : freed) {
    rows_[slot] = Stored{};
    dead_.erase(slot);
    free_.push_back(slot);
  }
  return freed;
}

CheckpointCut MemoryVectorIndex::BeginCheckpoint() {
  const absl::MutexLock lock(&mutex_);
  cut_sequence_ = state_.sequence;
  return state_;
}

bool MemoryVectorIndex::Build(Executor& /*executor*/) { return false; }

absl::Status MemoryVectorIndex::WriteCheckpoint(const CheckpointCut& cut, const std::string& dir) {
  std::string body;
  {
    const absl::MutexLock lock(&mutex_);
    PutFixed(body, cut.applied_index);
    PutFixed(body, cut.sequence);
    PutFixed(body, cut.row_count);
    for (uint32_t slot = 0; slot < cut.row_count; ++slot) {
      const Stored& row = rows_[slot];
      const bool seen = !row.vector.empty() && row.SeenAt(cut.sequence);
      PutLengthPrefixed(body, seen ? std::string_view(row.id) : std::string_view());
      PutLengthPrefixed(body,
                        seen ? std::string_view(reinterpret_cast<const char*>(row.vector.data()),
                                                row.vector.size() * sizeof(float))
                             : std::string_view());
      PutFixed(body, row.version);
      PutFixed(body, row.flags);
    }
  }
  std::string bytes;
  PutFixed(bytes, Crc32c(body));
  bytes += body;
  RETURN_IF_ERROR(files_.MakeDirs(dir));
  RETURN_IF_ERROR(files_.WriteAtomically(dir + std::string(kFileName), bytes));
  return files_.SyncDir(dir);
}

void MemoryVectorIndex::CheckpointPublished(const CheckpointCut& cut) {
  const absl::MutexLock lock(&mutex_);
  published_sequence_ = cut.sequence;
  if (cut_sequence_ == cut.sequence) cut_sequence_.reset();
}

Snapshot MemoryVectorIndex::TakeSnapshot() {
  const absl::MutexLock lock(&mutex_);
  readers_.insert(state_.sequence);
  return MakeSnapshot(this, state_, state_.sequence);
}

void MemoryVectorIndex::ReleaseReader(size_t reader) {
  const absl::MutexLock lock(&mutex_);
  readers_.erase(readers_.find(static_cast<uint32_t>(reader)));
}

double MemoryVectorIndex::Distance(std::span<const float> a, std::span<const float> b) const {
  switch (options_.metric) {
    case Metric::kEuclidean: {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        const double difference = static_cast<double>(a[i]) - b[i];
        sum += difference * difference;
      }
      return sum;
    }
    case Metric::kCosine:
      return CosineDistance(Dot(a, b), Dot(a, a) * Dot(b, b));
    case Metric::kDot:
      return -Dot(a, b);
  }
  CHECK(false);
  return 0;
}

absl::StatusOr<SearchResult> MemoryVectorIndex::Search(const Snapshot& snapshot,
                                                       std::span<const float> query,
                                                       const SearchOptions& options) const {
  RETURN_IF_ERROR(ValidateQuery(options_, query));
  RETURN_IF_ERROR(ValidateSearch(options));
  SearchResult result;
  const absl::MutexLock lock(&mutex_);
  for (uint32_t slot = 0; slot < RowCountOf(snapshot); ++slot) {
    if (options.limit != nullptr && (slot + 1) % WorkLimit::kRowsPerCheck == 0) {
      RETURN_IF_ERROR(options.limit->Check());
    }
    const Stored& row = rows_[slot];
    if (row.vector.empty() || !row.SeenAt(SequenceOf(snapshot))) continue;
    if (options.filter != nullptr && !options.filter->Contains(slot)) continue;
    result.stats.distances += 1;
    result.hits.push_back(Hit{.id = row.id,
                              .version = row.version,
                              .distance = static_cast<float>(Distance(query, row.vector)),
                              .slot = slot,
                              .flags = row.flags});
  }
  std::sort(result.hits.begin(), result.hits.end(), [](const Hit& a, const Hit& b) {
    return std::tie(a.distance, a.id) < std::tie(b.distance, b.id);
  });
  if (result.hits.size() > options.k) result.hits.resize(options.k);
  result.stats.reranked = result.stats.distances;
  return result;
}

void MemoryVectorIndex::ForEachRow(
    const Snapshot& snapshot,
    const std::function<void(uint32_t, std::string_view, uint64_t)>& visit) const {
  struct Seen {
    uint32_t slot;
    std::string id;
    uint64_t version;
  };
  std::vector<Seen> seen;
  {
    const absl::MutexLock lock(&mutex_);
    for (uint32_t slot = 0; slot < RowCountOf(snapshot); ++slot) {
      const Stored& row = rows_[slot];
      if (row.vector.empty() || !row.SeenAt(SequenceOf(snapshot))) continue;
      seen.push_back({slot, row.id, row.version});
    }
  }
  for (const Seen& row : seen) visit(row.slot, row.id, row.version);
}

std::optional<VectorIndex::RowView> MemoryVectorIndex::RowAt(const Snapshot& snapshot,
                                                             uint32_t slot) const {
  const absl::MutexLock lock(&mutex_);
  if (slot >= RowCountOf(snapshot)) return std::nullopt;
  const Stored& row = rows_[slot];
  if (row.vector.empty() || !row.SeenAt(SequenceOf(snapshot))) return std::nullopt;
  return RowView{row.id, row.version, row.flags};
}

std::optional<VectorIndex::Located> MemoryVectorIndex::Find(std::string_view id) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(id);
  if (found == slots_.end()) return std::nullopt;
  return Located{found->second, rows_[found->second].version};
}

IndexStats MemoryVectorIndex::stats() const {
  const absl::MutexLock lock(&mutex_);
  IndexStats stats;
  for (const Stored& row : rows_) {
    if (!row.vector.empty() && row.SeenAt(state_.sequence)) stats.live += 1;
  }
  stats.dead = dead_.size();
  stats.memory_bytes = rows_.size() * (sizeof(Stored) + options_.dimension * sizeof(float));
  return stats;
}

uint64_t MemoryVectorIndex::applied_index() const {
  const absl::MutexLock lock(&mutex_);
  return state_.applied_index;
}

}  // namespace vectron::index
