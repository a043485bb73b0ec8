// Writing the index as of a cut, and opening it. Bytes: docs/formats/index-checkpoint.md.
//
// Records are copied while the appender goes on, so they are written as of the cut or later. What
// is later is undone by two lists: rows removed after the cut live again when opened, and slots of
// rows born after it are free.

#include <bit>
#include <mutex>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "index/hnsw_index.h"
#include "index/validate.h"

namespace vectron::index {
namespace {

constexpr std::string_view kRecords = "records";
constexpr std::string_view kUpper = "upper";
constexpr std::string_view kTailRows = "tail";
constexpr std::string_view kDeadRows = "dead";
constexpr std::string_view kFreeSlots = "free";
constexpr std::string_view kRevivedRows = "revived";
constexpr std::string_view kUpperFree = "upper_free";
constexpr std::string_view kWork = "work";

// u64 count, then the numbers.
void PutList(std::string& out, const std::vector<uint32_t>& list) {
  PutFixed(out, uint64_t{list.size()});
  out.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(uint32_t));
}

bool ReadList(ByteReader& reader, std::vector<uint32_t>& list) {
  uint64_t count = 0;
  if (!reader.ReadFixed(count) || count > reader.remaining() / sizeof(uint32_t)) return false;
  std::string_view bytes;
  if (!reader.ReadBytes(count * sizeof(uint32_t), bytes)) return false;
  list.resize(count);
  if (count > 0) std::memcpy(list.data(), bytes.data(), bytes.size());
  return true;
}

absl::Status AddList(CheckpointWriter& writer, std::string_view name,
                     const std::vector<uint32_t>& list) {
  std::string bytes;
  PutList(bytes, list);
  return writer.AddSection(name, bytes);
}

// The numbers of a section, each below `limit`.
absl::StatusOr<std::vector<uint32_t>> ReadListSection(const CheckpointReader& reader,
                                                      std::string_view name, uint64_t limit) {
  ASSIGN_OR_RETURN(const std::string bytes, reader.ReadSection(name));
  ByteReader from(bytes);
  std::vector<uint32_t> list;
  if (!ReadList(from, list)) return DataLoss("{}: section {} cut short", reader.dir(), name);
  for (const uint32_t number : list) {
    if (number >= limit) {
      return DataLoss("{}: section {} has {}, limit {}", reader.dir(), name, number, limit);
    }
  }
  return list;
}

std::string EncodeWork(const std::vector<Work>& all) {
  std::string bytes;
  PutFixed(bytes, uint64_t{all.size()});
  for (const Work& work : all) {
    PutFixed(bytes, static_cast<uint32_t>(work.kind));
    PutFixed(bytes, work.cut_sequence);
    PutFixed(bytes, work.first);
    PutFixed(bytes, work.count);
    PutList(bytes, work.dead);
  }
  return bytes;
}

absl::Status DecodeWork(std::string_view bytes, WorkQueue& queue) {
  ByteReader reader(bytes);
  uint64_t count = 0;
  reader.ReadFixed(count);
  for (uint64_t i = 0; reader.ok() && i < count; ++i) {
    Work work;
    uint32_t kind = 0;
    if (!reader.ReadFixed(kind) || !reader.ReadFixed(work.cut_sequence) ||
        !reader.ReadFixed(work.first) || !reader.ReadFixed(work.count) ||
        !ReadList(reader, work.dead)) {
      return DataLoss("work {} of {} cut short", i, count);
    }
    if (kind > static_cast<uint32_t>(WorkKind::kFreeze)) {
      return DataLoss("work {} of {} is of kind {}", i, count, kind);
    }
    work.kind = static_cast<WorkKind>(kind);
    queue.Push(std::move(work));
  }
  return reader.ok() ? absl::OkStatus() : DataLoss("work cut short");
}

bool WasBorn(const RecordTail& tail, uint32_t sequence) {
  const uint32_t birth = tail.birth.load(std::memory_order_acquire);
  return birth == kAlways || Reached(sequence, birth);
}

}  // namespace

CheckpointCut HnswIndex::BeginCheckpoint() {
  const std::lock_guard<AppendLock> lock(append_lock_);
  CHECK(!changed_);  // all is committed
  work_.SetBarrier();
  PendingCut pending{.cut = state_,
                     .tail_first = log_.linked(),
                     .tail = {},
                     .batched = batched_,
                     .graph_started = graph_started_,
                     .live = live_.load(std::memory_order_relaxed),
                     .last_freeze = last_freeze_,
                     .dead = dead_};
  for (uint64_t i = pending.tail_first; i < log_.committed(); ++i) {
    pending.tail.push_back(log_.SlotAt(i));
  }
  pending_cut_ = std::move(pending);
  return pending_cut_->cut;
}

void HnswIndex::CheckpointPublished(const CheckpointCut& cut) {
  const std::lock_guard<AppendLock> lock(append_lock_);
  published_sequence_ = cut.sequence;
  if (pending_cut_.has_value() && pending_cut_->cut.sequence == cut.sequence) pending_cut_.reset();
  reuse_changed_ = true;
}

HnswIndex::SlotLists HnswIndex::ListSlots(const CheckpointCut& cut) const {
  SlotLists lists;
  for (uint32_t slot = 0; slot < cut.row_count; ++slot) {
    const RecordTail& tail = table().Tail(slot);
    const RowState state = tail.state.load(std::memory_order_acquire);
    const bool in_use = state == RowState::kTail || state == RowState::kLinked;
    if (!in_use || !WasBorn(tail, cut.sequence)) {
      lists.free.push_back(slot);
    } else if (!SeenAt(tail, cut.sequence)) {
      lists.dead += 1;
    } else if (tail.death.load(std::memory_order_acquire) != kNever) {
      lists.revived.push_back(slot);
    }
  }
  return lists;
}

absl::Status HnswIndex::WriteStores(CheckpointWriter& writer, const PendingCut& pending) {
  const CheckpointCut& cut = pending.cut;
  RETURN_IF_ERROR(table().records.WriteTo(writer, kRecords, cut.row_count, append_lock_));
  RETURN_IF_ERROR(graph_.upper().WriteTo(writer, kUpper, graph_.Save().upper_end, append_lock_));
  RETURN_IF_ERROR(raw_->WriteTo(writer, cut.row_count, append_lock_));
  return ids_.WriteTo(writer, cut.row_count, [this, &cut](uint32_t slot) {
    const RecordTail& tail = table().Tail(slot);
    const RowState state = tail.state.load(std::memory_order_acquire);
    return (state == RowState::kTail || state == RowState::kLinked) && SeenAt(tail, cut.sequence);
  });
}

absl::Status HnswIndex::WriteState(CheckpointWriter& writer, const PendingCut& pending) const {
  const CheckpointCut& cut = pending.cut;
  const SlotLists lists = ListSlots(cut);  // after the records: it must know all that was copied
  const Graph::Saved graph = graph_.Save();
  // Rows linked since the cut have left the tail.
  std::vector<uint32_t> tail = pending.tail;
  uint64_t tail_first = pending.tail_first;
  if (pending.graph_started) {
    const uint64_t linked = log_.linked();
    tail.erase(tail.begin(), tail.begin() + static_cast<ptrdiff_t>(linked - tail_first));
    tail_first = linked;
  }
  const Coder* coder = table().coder();
  const Scale scale = coder != nullptr ? coder->scale() : Scale{};
  const std::pair<std::string_view, uint64_t> numbers[] = {
      {"dimension", options_.dimension},
      {"metric", static_cast<uint64_t>(options_.metric)},
      {"storage", static_cast<uint64_t>(options_.storage)},
      {"m", options_.m},
      {"ef_construct", options_.ef_construct},
      {"applied_index", cut.applied_index},
      {"sequence", cut.sequence},
      {"row_count", cut.row_count},
      {"live", pending.live},
      {"dead", lists.dead},
      {"tail_first", tail_first},
      {"batched", pending.batched},
      {"graph_started", pending.graph_started ? 1 : 0},
      {"last_freeze", pending.last_freeze},
      {"has_scale", coder != nullptr ? 1 : 0},
      {"scale_low", std::bit_cast<uint32_t>(scale.low)},
      {"scale_step", std::bit_cast<uint32_t>(scale.step)},
      {"scale_zero_point", scale.zero_point},
      {"lossless", table().is_lossless() ? 1 : 0},
      {"encoded_values", encoded_values_},
      {"clamped_values", clamped_values_},
      {"entry", graph.entry},
      {"upper_end", graph.upper_end}};
  for (const auto& [name, value] : numbers) writer.SetNumber(name, value);
  RETURN_IF_ERROR(AddList(writer, kTailRows, tail));
  RETURN_IF_ERROR(AddList(writer, kDeadRows, pending.dead));
  RETURN_IF_ERROR(AddList(writer, kFreeSlots, lists.free));
  RETURN_IF_ERROR(AddList(writer, kRevivedRows, lists.revived));
  RETURN_IF_ERROR(AddList(writer, kUpperFree, graph.upper_free));
  return writer.AddSection(kWork, EncodeWork(work_.BeforeBarrier()));
}

absl::Status HnswIndex::WriteCheckpoint(const CheckpointCut& cut, const std::string& dir) {
  PendingCut pending;
  {
    const std::lock_guard<AppendLock> lock(append_lock_);
    CHECK(pending_cut_.has_value());
    CHECK_EQ(pending_cut_->cut.sequence, cut.sequence);
    pending = *pending_cut_;
  }
  const auto write = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointWriter> writer,
                     CheckpointWriter::Create(files_, dir));
    RETURN_IF_ERROR(WriteStores(*writer, pending));
    RETURN_IF_ERROR(WriteState(*writer, pending));
    return writer->Finish();
  };
  const absl::Status status = write();
  work_.RemoveBarrier();
  return status;
}

absl::Status HnswIndex::CheckOptions(const CheckpointReader& reader) const {
  const std::pair<std::string_view, uint64_t> wanted[] = {
      {"dimension", options_.dimension},
      {"metric", static_cast<uint64_t>(options_.metric)},
      {"storage", static_cast<uint64_t>(options_.storage)},
      {"m", options_.m},
      {"ef_construct", options_.ef_construct}};
  for (const auto& [name, value] : wanted) {
    ASSIGN_OR_RETURN(const uint64_t got, reader.Number(name));
    if (got != value) {
      return FailedPrecondition("{}: made with {} {}, wanted {}", reader.dir(), name, got, value);
    }
  }
  return absl::OkStatus();
}

absl::Status HnswIndex::LoadScale(const CheckpointReader& reader) {
  ASSIGN_OR_RETURN(const uint64_t has_scale, reader.Number("has_scale"));
  ASSIGN_OR_RETURN(const uint64_t low, reader.Number("scale_low"));
  ASSIGN_OR_RETURN(const uint64_t step, reader.Number("scale_step"));
  ASSIGN_OR_RETURN(const uint64_t zero_point, reader.Number("scale_zero_point"));
  ASSIGN_OR_RETURN(const uint64_t lossless, reader.Number("lossless"));
  ASSIGN_OR_RETURN(encoded_values_, reader.Number("encoded_values"));
  ASSIGN_OR_RETURN(clamped_values_, reader.Number("clamped_values"));
  if (lossless == 0) table().NoteLossy();
  if (has_scale == 0) return absl::OkStatus();
  const Scale scale{.low = std::bit_cast<float>(static_cast<uint32_t>(low)),
                    .step = std::bit_cast<float>(static_cast<uint32_t>(step)),
                    .zero_point = static_cast<uint32_t>(zero_point)};
  if (!(scale.step > 0) || zero_point > 255) {
    return DataLoss("{}: scale of step {}, zero point {}", reader.dir(), scale.step, zero_point);
  }
  table().PublishCoder(std::make_unique<const Coder>(options_.dimension, options_.metric, scale));
  return absl::OkStatus();
}

absl::Status HnswIndex::LoadState(const CheckpointReader& reader) {
  ASSIGN_OR_RETURN(state_.applied_index, reader.Number("applied_index"));
  ASSIGN_OR_RETURN(const uint64_t sequence, reader.Number("sequence"));
  ASSIGN_OR_RETURN(const uint64_t row_count, reader.Number("row_count"));
  ASSIGN_OR_RETURN(const uint64_t live, reader.Number("live"));
  ASSIGN_OR_RETURN(const uint64_t dead, reader.Number("dead"));
  ASSIGN_OR_RETURN(batched_, reader.Number("batched"));
  ASSIGN_OR_RETURN(const uint64_t graph_started, reader.Number("graph_started"));
  ASSIGN_OR_RETURN(const uint64_t last_freeze, reader.Number("last_freeze"));
  if (row_count > kMaxRows || live + dead > row_count) {
    return DataLoss("{}: {} slots, {} live, {} dead", reader.dir(), row_count, live, dead);
  }
  state_.sequence = static_cast<uint32_t>(sequence);
  state_.row_count = static_cast<uint32_t>(row_count);
  next_slot_ = state_.row_count;
  slot_count_.store(next_slot_, std::memory_order_release);
  graph_started_ = graph_started != 0;
  last_freeze_ = static_cast<uint32_t>(last_freeze);
  live_.store(live, std::memory_order_relaxed);
  dead_count_.store(dead, std::memory_order_relaxed);
  opened_ = true;
  opened_sequence_ = state_.sequence;
  published_sequence_ = state_.sequence;
  published_.Store(state_);
  return absl::OkStatus();
}

absl::Status HnswIndex::LoadLists(const CheckpointReader& reader) {
  const uint64_t rows = state_.row_count;
  ASSIGN_OR_RETURN(const uint64_t tail_first, reader.Number("tail_first"));
  ASSIGN_OR_RETURN(const std::vector<uint32_t> tail, ReadListSection(reader, kTailRows, rows));
  log_.StartAt(tail_first);
  log_.Reserve(tail.size());
  for (const uint32_t slot : tail) log_.Append(slot);
  log_.Commit();
  if (batched_ < tail_first || batched_ > tail_first + tail.size()) {
    return DataLoss("{}: {} rows planned, tail from {} of {}", reader.dir(), batched_, tail_first,
                    tail.size());
  }
  ASSIGN_OR_RETURN(dead_, ReadListSection(reader, kDeadRows, rows));
  ASSIGN_OR_RETURN(free_slots_, ReadListSection(reader, kFreeSlots, rows));
  for (const uint32_t slot : free_slots_) {
    RecordTail& record = table().Tail(slot);
    record.state.store(RowState::kFree, std::memory_order_relaxed);
    record.birth.store(kAlways, std::memory_order_relaxed);
    record.death.store(kAlways, std::memory_order_relaxed);
  }
  ASSIGN_OR_RETURN(const std::vector<uint32_t> revived,
                   ReadListSection(reader, kRevivedRows, rows));
  for (const uint32_t slot : revived) {
    table().Tail(slot).death.store(kNever, std::memory_order_relaxed);
  }
  ASSIGN_OR_RETURN(const std::string work, reader.ReadSection(kWork));
  return Annotate(DecodeWork(work, work_), reader.dir());
}

absl::Status HnswIndex::LoadFrom(const CheckpointReader& reader) {
  RETURN_IF_ERROR(CheckOptions(reader));
  RETURN_IF_ERROR(LoadState(reader));
  RETURN_IF_ERROR(table().records.OpenFrom(reader, kRecords, state_.row_count));
  RETURN_IF_ERROR(LoadScale(reader));
  Graph::Saved graph;
  ASSIGN_OR_RETURN(graph.entry, reader.Number("entry"));
  ASSIGN_OR_RETURN(graph.upper_end, reader.Number("upper_end"));
  ASSIGN_OR_RETURN(graph.upper_free, ReadListSection(reader, kUpperFree, uint64_t{1} << 32));
  RETURN_IF_ERROR(graph_.upper().OpenFrom(reader, kUpper, graph.upper_end));
  RETURN_IF_ERROR(Annotate(graph_.Load(graph), reader.dir()));
  ASSIGN_OR_RETURN(raw_, RawStore::OpenFrom(RawOptions(), files_, reader, state_.row_count));
  RETURN_IF_ERROR(ids_.OpenFrom(reader, state_.row_count));
  return LoadLists(reader);
}

absl::StatusOr<std::unique_ptr<HnswIndex>> HnswIndex::OpenIn(const IndexOptions& options,
                                                             FileSystem& files,
                                                             const std::string& checkpoint_dir,
                                                             const std::string& work_dir,
                                                             const IndexTuning& tuning) {
  RETURN_IF_ERROR(ValidateOptions(options));
  ASSIGN_OR_RETURN(std::unique_ptr<CheckpointReader> reader,
                   CheckpointReader::Open(files, checkpoint_dir));
  std::unique_ptr<HnswIndex> index(new HnswIndex(options, files, work_dir, tuning));
  RETURN_IF_ERROR(index->PrepareWorkDir());
  RETURN_IF_ERROR(index->LoadFrom(*reader));
  index->opened_from_ = std::move(reader);
  return index;
}

absl::Status HnswIndex::VerifyAndAdopt() {
  if (opened_from_ == nullptr) return absl::OkStatus();
  for (size_t i = 0; i < opened_from_->piece_count(); ++i) {
    RETURN_IF_ERROR(opened_from_->VerifyPiece(i));
  }
  ASSIGN_OR_RETURN(const uint64_t rows, opened_from_->Number("row_count"));
  RETURN_IF_ERROR(raw_->Verify(
      0, rows,
      [this](uint32_t slot) {
        const RecordTail& tail = table().Tail(slot);
        return tail.state.load(std::memory_order_acquire) != RowState::kFree &&
               SeenAt(tail, opened_sequence_);
      },
      append_lock_));
  RETURN_IF_ERROR(table().records.Adopt(append_lock_));
  RETURN_IF_ERROR(graph_.upper().Adopt(append_lock_));
  RETURN_IF_ERROR(raw_->Adopt(append_lock_));
  RETURN_IF_ERROR(ids_.Adopt(append_lock_));
  opened_from_.reset();
  return absl::OkStatus();
}

}  // namespace vectron::index
