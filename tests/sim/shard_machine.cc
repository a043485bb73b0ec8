#include "sim/shard_machine.h"

#include <fmt/format.h>

#include <map>

#include "base/bytes.h"
#include "base/random.h"
#include "base/status.h"
#include "index/memory_vector_index.h"
#include "storage/layout.h"

namespace vectron::sim {
namespace {

constexpr uint32_t kDimension = 2;
constexpr uint64_t kFlushesPerCheckpoint = 3;
constexpr char kCheckpointDir[] = "index";

std::unique_ptr<storage::MemoryKv> NewStore() {
  return std::make_unique<storage::MemoryKv>(storage::ShardStoreColumns().size(),
                                             storage::WriteAheadLog::kOff);
}

CollectionSchema Schema() {
  CollectionSchema schema;
  schema.name = "simulated";
  schema.dimension = kDimension;
  schema.payload_indexes = {{.field = "number", .type = PayloadType::kInteger}};
  return schema;
}

std::string IdOf(uint64_t key) { return fmt::format("k{}", key); }

}  // namespace

ShardMachine::ShardMachine(PlantedBug bug) : bug_(bug), schema_(Schema()), kv_(NewStore()) {}

index::IndexOptions ShardMachine::index_options() const {
  return {.dimension = schema_.dimension, .metric = schema_.metric, .storage = schema_.storage};
}

absl::Status ShardMachine::Open() {
  if (!has_checkpoint_) return OpenWithoutCheckpoint();
  state_ = std::make_unique<shard::StateMachine>(schema_, *kv_);
  ASSIGN_OR_RETURN(auto vectors,
                   index::MemoryVectorIndex::Open(index_options(), files_, kCheckpointDir));
  return state_->Restore(std::move(vectors), image_);
}

absl::Status ShardMachine::OpenWithoutCheckpoint() {
  has_checkpoint_ = false;
  state_ = std::make_unique<shard::StateMachine>(schema_, *kv_);
  ASSIGN_OR_RETURN(auto vectors, index::MemoryVectorIndex::Create(index_options(), files_));
  return state_->CatchUpWithStore(std::move(vectors), nullptr);
}

void ShardMachine::Crash() {
  state_.reset();
  kv_->SimulateCrash(storage::MemoryKv::Crash::kPower);
}

absl::Status ShardMachine::Apply(std::span<const shard::Entry> entries) {
  while (!entries.empty()) {
    ASSIGN_OR_RETURN(const size_t taken, state_->Prepare(entries));
    RETURN_IF_ERROR(state_->Finish());
    entries = entries.subspan(taken);
  }
  for (const shard::StateMachine::Outcome& outcome : state_->TakeOutcomes()) {
    RETURN_IF_ERROR(outcome.result.status());
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ShardMachine::Digest() const {
  uint64_t digest = state_->points();
  for (storage::Column column = 0; column < storage::ShardStoreColumns().size(); ++column) {
    RETURN_IF_ERROR(
        kv_->Scan(column, "", "", nullptr, [&digest](std::string_view key, std::string_view value) {
          digest = Hash64(value, Hash64(key, digest));
          return true;
        }));
  }
  // An exact search sees what a scan of the store sees.
  std::map<std::string, uint64_t> stored;
  RETURN_IF_ERROR(state_->store().ScanPoints(
      "", [&stored](std::string_view id, uint64_t version, std::string_view) {
        stored.emplace(id, version);
        return true;
      }));
  std::map<std::string, uint64_t> indexed;
  index::VectorIndex& vectors = *state_->indexes()->vectors;
  vectors.ForEachRow(vectors.TakeSnapshot(),
                     [&indexed](uint32_t, std::string_view id, uint64_t version) {
                       indexed.emplace(id, version);
                     });
  // An index that is behind its store catches up while entries are replayed.
  if (stored != indexed && state_->published() >= state_->store_applied()) {
    return Internal("the index has {} points, the store {}, or other versions of them",
                    indexed.size(), stored.size());
  }
  ASSIGN_OR_RETURN(const uint64_t scanned, state_->ScanDigest());
  const shard::StateMachine::Mark mark = state_->mark();
  if (mark.index == applied() && mark.digest != scanned) {
    return Internal("the digest of the points is not what a scan finds");
  }
  return digest;
}

absl::Status ShardMachine::Flush() {
  RETURN_IF_ERROR(kv_->Flush());
  const uint64_t stored = this->stored();
  if (++flushes_ % kFlushesPerCheckpoint == 0 && state_->published() == stored) {
    RETURN_IF_ERROR(WriteCheckpoint());
  }
  marks_ = {.needed = stored, .wished = has_checkpoint_ ? image_.applied_index : stored};
  return absl::OkStatus();
}

absl::Status ShardMachine::WriteCheckpoint() {
  shard::StateMachine::Cut cut = state_->TakeCut();
  RETURN_IF_ERROR(cut.indexes->vectors->WriteCheckpoint(cut.index, kCheckpointDir));
  cut.indexes->vectors->CheckpointPublished(cut.index);
  if (bug_ != PlantedBug::kCheckpointTorn || !has_checkpoint_) image_ = std::move(cut.image);
  has_checkpoint_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Machine::Copy> ShardMachine::MakeCopy() {
  RETURN_IF_ERROR(kv_->Flush());
  Copy copy{.index = stored(), .bytes = {}};
  for (storage::Column column = 0; column < storage::ShardStoreColumns().size(); ++column) {
    if (bug_ == PlantedBug::kCopyLacksRequests && column == storage::kRequests) continue;
    RETURN_IF_ERROR(kv_->Scan(column, "", "", nullptr,
                              [&copy, column](std::string_view key, std::string_view value) {
                                PutFixed(copy.bytes, column);
                                PutLengthPrefixed(copy.bytes, key);
                                PutLengthPrefixed(copy.bytes, value);
                                return true;
                              }));
  }
  return copy;
}

absl::Status ShardMachine::Install(const Copy& copy) {
  auto kv = bug_ == PlantedBug::kCopyOverOldData ? std::move(kv_) : NewStore();
  storage::WriteBatch batch;
  ByteReader reader(copy.bytes);
  while (reader.remaining() > 0) {
    storage::Column column = 0;
    std::string_view key;
    std::string_view value;
    if (!reader.ReadFixed(column) || !reader.ReadLengthPrefixed(key) ||
        !reader.ReadLengthPrefixed(value)) {
      return DataLoss("a copy is cut short");
    }
    batch.Put(column, std::string(key), std::string(value));
  }
  RETURN_IF_ERROR(kv->Write(batch, storage::Kv::Durability::kBuffered));
  RETURN_IF_ERROR(kv->Flush());
  state_.reset();
  kv_ = std::move(kv);
  RETURN_IF_ERROR(OpenWithoutCheckpoint());
  marks_ = {.needed = copy.index, .wished = copy.index};
  if (state_->published() == copy.index) return absl::OkStatus();
  return Internal("a copy of {} holds {}", copy.index, state_->published());
}

void ShardMachine::Wipe() {
  kv_ = NewStore();
  has_checkpoint_ = false;
  marks_ = {};
}

std::string ShardMachine::Encode(const Operation& operation) const {
  const std::string request = bug_ == PlantedBug::kRequestIdLost ? "" : operation.request_id;
  if (operation.is_delete) {
    return shard::EncodeDelete({.id = IdOf(operation.key), .request_id = request});
  }
  shard::UpsertWrite write;
  write.request_id = request;
  write.points.dimension = kDimension;
  write.points.ids = {IdOf(operation.key)};
  write.points.vectors = {static_cast<float>(operation.key), static_cast<float>(operation.number)};
  write.points.payloads = {fmt::format(R"({{"number":{}}})", operation.number)};
  return shard::EncodeUpsert(write);
}

absl::StatusOr<std::optional<uint64_t>> ShardMachine::Read(uint64_t key) const {
  ASSIGN_OR_RETURN(const auto record, state_->store().ReadRecord(IdOf(key), /*with_vector=*/true));
  const auto located = state_->indexes()->vectors->Find(IdOf(key));
  if (record.has_value() != located.has_value() ||
      (record.has_value() && record->version != located->version)) {
    return Internal("store and index disagree about point {}", IdOf(key));
  }
  if (!record.has_value()) return std::optional<uint64_t>();
  return std::optional<uint64_t>(record->version);
}

}  // namespace vectron::sim
