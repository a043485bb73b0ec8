#include "index/hnsw_index.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "index/half.h"
#include "index/validate.h"

namespace vectron::index {
namespace {

// Repairs begin when this share of the rows is dead.
constexpr uint64_t kDeadOneIn = 20;
constexpr uint64_t kMinDead = 64;

uint32_t NextSequence(uint32_t sequence) {
  sequence += 1;
  while (sequence == kAlways || sequence == kNever) sequence += 1;
  return sequence;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorIndex>> VectorIndex::Create(const IndexOptions& options,
                                                                 FileSystem& files,
                                                                 const std::string& work_dir) {
  return HnswIndex::CreateIn(options, files, work_dir);
}

absl::StatusOr<std::unique_ptr<VectorIndex>> VectorIndex::Open(const IndexOptions& options,
                                                               FileSystem& files,
                                                               const std::string& checkpoint_dir,
                                                               const std::string& work_dir) {
  return HnswIndex::OpenIn(options, files, checkpoint_dir, work_dir);
}

HnswIndex::HnswIndex(const IndexOptions& options, FileSystem& files, const std::string& work_dir,
                     const IndexTuning& tuning)
    : options_(options),
      files_(files),
      work_dir_(work_dir),
      tuning_(tuning),
      layout_(options.dimension, options.m),
      graph_(options, *tuning.kernels),
      contexts_(options.dimension, layout_.max_links),
      table_owner_(std::make_unique<RowTable>(layout_)),
      scratch_(options.dimension),
      half_scratch_(options.dimension) {
  table_.store(table_owner_.get(), std::memory_order_release);
  state_.sequence = tuning.first_sequence;
  last_freeze_ = tuning.first_sequence;
  published_.Store(state_);
}

HnswIndex::~HnswIndex() = default;

absl::Status HnswIndex::PrepareWorkDir() const {
  RETURN_IF_ERROR(files_.RemoveTree(work_dir_));
  return files_.MakeDirs(work_dir_);
}

RawStore::Options HnswIndex::RawOptions() const {
  return {.dimension = options_.dimension,
          .storage = options_.storage,
          .in_memory = options_.vectors_in_memory,
          .path = work_dir_ + "/raw.vectors"};
}

absl::StatusOr<std::unique_ptr<HnswIndex>> HnswIndex::CreateIn(const IndexOptions& options,
                                                               FileSystem& files,
                                                               const std::string& work_dir,
                                                               const IndexTuning& tuning) {
  RETURN_IF_ERROR(ValidateOptions(options));
  std::unique_ptr<HnswIndex> index(new HnswIndex(options, files, work_dir, tuning));
  RETURN_IF_ERROR(index->PrepareWorkDir());
  ASSIGN_OR_RETURN(index->raw_, RawStore::Create(index->RawOptions(), files));
  return index;
}

absl::Status HnswIndex::Reserve(uint64_t rows) {
  const uint64_t end = uint64_t{next_slot_} + rows;
  if (end > kMaxRows) {
    return ResourceExhausted("index of {} slots: {} more would pass {}", next_slot_, rows,
                             kMaxRows);
  }
  const std::lock_guard<AppendLock> lock(append_lock_);
  RETURN_IF_ERROR(table().records.Reserve(end));
  RETURN_IF_ERROR(raw_->Reserve(end));
  RETURN_IF_ERROR(ids_.Reserve(end, rows, rows * kMaxPointIdBytes));
  log_.Reserve(rows);
  return absl::OkStatus();
}

uint32_t HnswIndex::TakeSlot() {
  if (!free_slots_.empty()) {
    const uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  CHECK_LT(uint64_t{next_slot_}, table().records.reserved_rows());  // the caller has reserved
  next_slot_ += 1;
  slot_count_.store(next_slot_, std::memory_order_release);
  return next_slot_ - 1;
}

void HnswIndex::WriteRecord(uint32_t slot, const Row& row, std::span<const float> vector) {
  RowTable& rows = table();
  char* record = rows.Record(slot);
  RecordTail& tail = rows.layout.Tail(record);
  // A scan may be looking at the slot: it must see the new birth before the new death (record.h:
  // SeenAt).
  tail.birth.store(NextSequence(state_.sequence), std::memory_order_release);
  tail.link_count.store(0, std::memory_order_relaxed);
  tail.level = 0;
  tail.upper = kNoSlot;
  tail.parent = kNoSlot;
  tail.children = 0;
  tail.clamped = 0;
  tail.tag = static_cast<uint32_t>(Mix64(Hash64(row.id) ^ Mix64(row.version)));
  if (const Coder* coder = rows.coder()) {
    const Coder::Encoded encoded = coder->Encode(vector, reinterpret_cast<uint8_t*>(record));
    tail.norm = encoded.norm;
    tail.clamped = static_cast<uint16_t>(std::min<uint32_t>(encoded.clamped, 0xffff));
    if (!encoded.lossless) rows.NoteLossy();
  }
  tail.state.store(RowState::kTail, std::memory_order_release);
  tail.death.store(kNever, std::memory_order_release);
}

uint32_t HnswIndex::Upsert(const Row& row) {
  CHECK_EQ(row.vector.size(), size_t{options_.dimension});
  std::span<const float> vector = row.vector;
  if (options_.metric == Metric::kCosine) {
    Normalise(vector, scratch_);
    vector = scratch_;
  }
  if (options_.storage == VectorStorage::kF16) {
    // Codes are made of what is stored, here as when they are made anew.
    ToHalf(vector, half_scratch_.data());
    FromHalf(half_scratch_.data(), scratch_);
    vector = scratch_;
  }
  const std::lock_guard<AppendLock> lock(append_lock_);
  const uint32_t slot = TakeSlot();
  CHECK_OK(raw_->Put(slot, vector));  // space was reserved: a failed write here is a dying disk
  WriteRecord(slot, row, vector);
  const std::optional<uint32_t> old = ids_.Insert(slot, row.id, row.version, row.flags);
  log_.Append(slot);
  live_.fetch_add(1, std::memory_order_relaxed);
  changed_ = true;
  if (recoded_changes_ != nullptr) recoded_changes_->push_back(slot);
  if (old.has_value()) Kill(*old);
  return slot;
}

void HnswIndex::Kill(uint32_t slot) {
  RowTable& rows = table();
  rows.Tail(slot).death.store(NextSequence(state_.sequence), std::memory_order_release);
  dead_.push_back(slot);
  live_.fetch_sub(1, std::memory_order_relaxed);
  dead_count_.fetch_add(1, std::memory_order_relaxed);
  changed_ = true;
  if (recoded_changes_ != nullptr) recoded_changes_->push_back(slot);
}

std::optional<uint32_t> HnswIndex::Remove(std::string_view id) {
  const std::lock_guard<AppendLock> lock(append_lock_);
  const std::optional<uint32_t> slot = ids_.Erase(id);
  if (slot.has_value()) Kill(*slot);
  return slot;
}

void HnswIndex::Commit(uint64_t applied_index) {
  CHECK_GE(applied_index, state_.applied_index);
  const std::lock_guard<AppendLock> lock(append_lock_);
  state_.applied_index = applied_index;
  if (changed_) state_.sequence = NextSequence(state_.sequence);
  state_.row_count = next_slot_;
  log_.Commit();
  published_.Store(state_);
  if (std::exchange(changed_, false)) PlanWork();
}

bool HnswIndex::IsManyDead() const {
  const uint64_t live = live_.load(std::memory_order_relaxed);
  return dead_.size() >= kMinDead && dead_.size() * kDeadOneIn >= live + dead_.size();
}

// Without a graph: the log keeps the rows in order for the day there is one; removed rows leave it
// here.
void HnswIndex::CompactLog() {
  log_.Compact([this](uint32_t slot) { return SeenAt(table().Tail(slot), state_.sequence); });
  batched_ = log_.linked();
  if (!dead_.empty()) {
    work_.Push({.kind = WorkKind::kDropFlat,
                .cut_sequence = state_.sequence,
                .first = 0,
                .count = 0,
                .dead = std::exchange(dead_, {})});
  }
}

void HnswIndex::PlanFlat() {
  const uint64_t live = live_.load(std::memory_order_relaxed);
  if (live * options_.dimension * sizeof(float) < tuning_.flat_bytes) {
    if (IsManyDead()) CompactLog();
    return;
  }
  CompactLog();
  graph_started_ = true;
  work_.Push({.kind = WorkKind::kStartGraph,
              .cut_sequence = state_.sequence,
              .first = 0,
              .count = 0,
              .dead = {}});
}

void HnswIndex::PlanLinks() {
  while (log_.committed() - batched_ >= kBuildBatchRows) {
    work_.Push({.kind = WorkKind::kLink,
                .cut_sequence = state_.sequence,
                .first = batched_,
                .count = kBuildBatchRows,
                .dead = {}});
    batched_ += kBuildBatchRows;
  }
  if (IsManyDead()) {
    work_.Push({.kind = WorkKind::kRepair,
                .cut_sequence = state_.sequence,
                .first = 0,
                .count = 0,
                .dead = std::exchange(dead_, {})});
  }
}

void HnswIndex::PlanWork() {
  if (!graph_started_) PlanFlat();
  if (graph_started_) PlanLinks();
  if (state_.sequence - last_freeze_ >= tuning_.freeze_every) {
    last_freeze_ = state_.sequence;
    work_.Push({.kind = WorkKind::kFreeze,
                .cut_sequence = state_.sequence,
                .first = 0,
                .count = 0,
                .dead = {}});
  }
}

// Is the row's full-precision vector needed by no checkpoint, published or under way?
bool HnswIndex::MayReuse(uint32_t slot) const {
  const RecordTail& tail = table().Tail(slot);
  if (published_sequence_.has_value() && SeenAt(tail, *published_sequence_)) return false;
  return !pending_cut_.has_value() || !SeenAt(tail, pending_cut_->cut.sequence);
}

std::vector<uint32_t> HnswIndex::TakeFreedSlots() {
  const std::lock_guard<AppendLock> lock(append_lock_);
  std::vector<uint32_t> freed;
  // A table being made anew takes states as they are.
  if (recoded_changes_ != nullptr || !std::exchange(reuse_changed_, false)) return freed;
  std::vector<uint32_t> still;
  for (const uint32_t slot : reusable_) {
    if (!MayReuse(slot)) {
      still.push_back(slot);
      continue;
    }
    RecordTail& tail = table().Tail(slot);
    const uint32_t death = tail.death.load(std::memory_order_relaxed);
    const bool had_no_id = opened_ && (death == kAlways || Reached(opened_sequence_, death));
    if (!had_no_id) ids_.Release(slot);
    tail.state.store(RowState::kFree, std::memory_order_release);
    freed.push_back(slot);
  }
  reusable_.swap(still);
  free_slots_.insert(free_slots_.end(), freed.begin(), freed.end());
  dead_count_.fetch_sub(freed.size(), std::memory_order_relaxed);
  return freed;
}

std::optional<VectorIndex::Located> HnswIndex::Find(std::string_view id) const {
  const std::optional<uint32_t> slot = ids_.Find(id);
  if (!slot.has_value()) return std::nullopt;
  return Located{*slot, ids_.Version(*slot)};
}

IndexStats HnswIndex::stats() const {
  IndexStats stats;
  const size_t reader = readers_.Enter();  // holds the table
  const RowTable& rows = table();
  const uint64_t linked = log_.linked();
  const uint64_t committed = std::max(linked, log_.committed());
  const uint32_t sequence = published_.Load().sequence;
  uint64_t live_tail = 0;
  for (uint64_t i = linked; i < committed; ++i) {
    live_tail += SeenAt(rows.Tail(log_.SlotAt(i)), sequence) ? 1 : 0;
  }
  stats.has_graph = rows.coder() != nullptr;
  if (stats.has_graph) stats.tail_bytes = (committed - linked) * layout_.code_bytes;
  stats.live = live_.load(std::memory_order_relaxed);
  stats.linked = stats.live - std::min(stats.live, live_tail);
  stats.dead = dead_count_.load(std::memory_order_relaxed);
  {
    const std::lock_guard<AppendLock> lock(append_lock_);
    stats.memory_bytes = rows.records.memory_bytes() + graph_.memory_bytes() + ids_.memory_bytes() +
                         raw_->memory_bytes() + log_.memory_bytes();
  }
  stats.disk_bytes = raw_->disk_bytes();
  readers_.Leave(reader);
  return stats;
}

uint64_t HnswIndex::GraphHash() const {
  return graph_.Hash(table(), slot_count_.load(std::memory_order_acquire));
}

absl::Status HnswIndex::CheckGraph() const {
  return graph_.Check(table(), slot_count_.load(std::memory_order_acquire));
}

Snapshot HnswIndex::TakeSnapshot() {
  // Enter first: what is unlinked after that stays readable.
  const size_t reader = readers_.Enter();
  return MakeSnapshot(this, published_.Load(), reader);
}

}  // namespace vectron::index
