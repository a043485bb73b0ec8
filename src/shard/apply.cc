#include "shard/apply.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <unordered_map>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/text.h"
#include "storage/layout.h"

namespace vectron::shard {
namespace {

// Rows reserved beyond what was asked for, so that single writes reserve rarely.
constexpr uint64_t kSpareRows = 64;
// Rows of a fill from the store that are read together.
constexpr size_t kFillRows = 256;

bool AllFinite(std::span<const float> values) {
  uint32_t seen = 0;
  for (const float value : values) {
    seen |= (std::bit_cast<uint32_t>(value) & 0x7f800000) == 0x7f800000 ? 1u : 0u;
  }
  return seen == 0;
}

bool AllZero(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return value == 0; });
}

// What a point adds to the digest of all: a sum, so that it does not matter in which order. The
// same in every version: placement replaces replicas whose digests are outvoted.
uint64_t DigestOf(std::string_view id, uint64_t version) { return Mix64(Hash64(id, version)); }

uint8_t FlagsOf(std::string_view payload) { return payload.empty() ? uint8_t{0} : kHasPayload; }

// Gives new rows slots in an index that is being filled, some at a time.
class Filler {
 public:
  Filler(const PointStore& store, Indexes& indexes) : store_(store), indexes_(indexes) {}

  absl::Status Add(std::string_view id, std::string_view payload) {
    ids_.emplace_back(id);
    payloads_.emplace_back(payload);
    return ids_.size() < kFillRows ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    RETURN_IF_ERROR(indexes_.vectors->Reserve(ids_.size()));
    ASSIGN_OR_RETURN(const auto vectors, store_.ReadVectors({ids_.begin(), ids_.end()}));
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (!vectors[i].has_value()) return DataLoss("stored point '{}' has no vector", ids_[i]);
      const uint32_t slot = indexes_.vectors->Upsert({.id = ids_[i],
                                                      .vector = vectors[i]->components,
                                                      .version = vectors[i]->version,
                                                      .flags = FlagsOf(payloads_[i])});
      indexes_.filters.Add(slot, ids_[i], payloads_[i]);
    }
    ids_.clear();
    payloads_.clear();
    return absl::OkStatus();
  }

 private:
  const PointStore& store_;
  Indexes& indexes_;
  std::vector<std::string> ids_;
  std::vector<std::string> payloads_;
};

}  // namespace

StateMachine::StateMachine(const CollectionSchema& schema, storage::Kv& kv)
    : schema_(schema), store_(kv, schema), requests_(kRequestIdWindow) {}

absl::Status StateMachine::ReadStoreState() {
  ASSIGN_OR_RETURN(store_applied_, store_.ReadNumber(storage::kAppliedKey));
  ASSIGN_OR_RETURN(store_points_, store_.ReadNumber(storage::kPointCountKey));
  return ReadDigest();
}

absl::StatusOr<uint64_t> StateMachine::ScanDigest() const {
  uint64_t digest = 0;
  RETURN_IF_ERROR(store_.ScanPoints(
      "", [&digest](std::string_view id, uint64_t version, std::string_view /*payload*/) {
        digest += DigestOf(id, version);
        return true;
      }));
  return digest;
}

absl::Status StateMachine::ReadDigest() {
  ASSIGN_OR_RETURN(const auto stored, store_.kv().Get(storage::kMeta, storage::kDigestKey));
  const std::string bytes = stored.value_or(std::string());
  ByteReader reader(bytes);
  Mark mark;
  const bool read = reader.ReadFixed(mark.index) && reader.ReadFixed(mark.digest);
  if (!read || mark.index != store_applied_) {  // a version that knows of no digests wrote last
    mark.index = store_applied_;
    ASSIGN_OR_RETURN(mark.digest, ScanDigest());
  }
  {
    const absl::MutexLock lock(&appender_);
    digest_ = mark.digest;
  }
  const absl::MutexLock lock(&mark_mutex_);
  mark_ = mark;
  return absl::OkStatus();
}

StateMachine::Mark StateMachine::mark() const {
  const absl::MutexLock lock(&mark_mutex_);
  return mark_;
}

absl::Status StateMachine::Restore(std::unique_ptr<index::VectorIndex> vectors,
                                   const Image& image) {
  RETURN_IF_ERROR(ReadStoreState());
  if (vectors->applied_index() != image.applied_index || image.applied_index > store_applied_ ||
      vectors->stats().live != image.points) {
    return DataLoss("index checkpoint: index at {} with {} rows, image at {} with {}, store at {}",
                    vectors->applied_index(), vectors->stats().live, image.applied_index,
                    image.points, store_applied_);
  }
  auto indexes = std::make_shared<Indexes>(std::move(vectors), schema_);
  RETURN_IF_ERROR(indexes->filters.Load(image.filters));
  {
    const absl::MutexLock lock(&appender_);
    RETURN_IF_ERROR(requests_.Parse(image.requests));
  }
  SetIndexes(std::move(indexes));
  points_ = image.points;
  prepared_ = image.applied_index;
  writing_ = store_applied_;
  Publish(image.applied_index);
  return absl::OkStatus();
}

absl::Status StateMachine::CatchUpWithStore(std::unique_ptr<index::VectorIndex> vectors,
                                            const Image* image) {
  RETURN_IF_ERROR(ReadStoreState());
  auto indexes = std::make_shared<Indexes>(std::move(vectors), schema_);
  if (image != nullptr) RETURN_IF_ERROR(indexes->filters.Load(image->filters));
  RETURN_IF_ERROR(Fill(*indexes));
  indexes->vectors->Commit(store_applied_);
  points_ = indexes->vectors->stats().live;
  if (points_ != store_points_) {
    return DataLoss("store holds {} points, its count says {}", points_.load(), store_points_);
  }
  {
    const absl::MutexLock lock(&appender_);
    RETURN_IF_ERROR(requests_.Load(store_.kv()));
  }
  SetIndexes(std::move(indexes));
  prepared_ = store_applied_;
  writing_ = store_applied_;
  Publish(store_applied_);
  return absl::OkStatus();
}

absl::Status StateMachine::Fill(Indexes& indexes) const {
  std::unordered_map<std::string, uint64_t> known;
  {
    const index::Snapshot snapshot = indexes.vectors->TakeSnapshot();
    indexes.vectors->ForEachRow(snapshot, [&](uint32_t, std::string_view id, uint64_t version) {
      known.emplace(id, version);
    });
  }
  Filler filler(store_, indexes);
  absl::Status filled;
  RETURN_IF_ERROR(
      store_.ScanPoints("", [&](std::string_view id, uint64_t version, std::string_view payload) {
        const auto found = known.empty() ? known.end() : known.find(std::string(id));
        const bool current = found != known.end() && found->second == version;
        if (found != known.end()) known.erase(found);
        if (!current) filled = filler.Add(id, payload);
        return filled.ok();
      }));
  RETURN_IF_ERROR(filled);
  RETURN_IF_ERROR(filler.Flush());
  for (const auto& [id, version] : known) indexes.vectors->Remove(id);
  return absl::OkStatus();
}

bool StateMachine::AgreesWithStore() const {
  CHECK_EQ(published(), store_applied_);
  return points_ == store_points_ && indexes()->vectors->stats().live == store_points_;
}

absl::Status StateMachine::CheckApplicable(const Command& command) const {
  for (const std::string_view id : command.ids) {
    if (id.empty()) return DataLoss("a point without an id");
  }
  if (command.kind == CommandKind::kPutKey || command.kind == CommandKind::kDeleteKey) {
    return command.key.empty() ? DataLoss("an empty key") : absl::OkStatus();
  }
  if (command.kind == CommandKind::kDelete) return absl::OkStatus();
  if (command.dimension != schema_.dimension) {
    return DataLoss("vectors of dimension {}, the collection has {}", command.dimension,
                    schema_.dimension);
  }
  if (!AllFinite(command.vectors)) return DataLoss("a vector with NaN or infinity");
  if (schema_.metric != Metric::kCosine) return absl::OkStatus();
  for (size_t i = 0; i < command.ids.size(); ++i) {
    if (AllZero(command.vector(i))) return DataLoss("a zero vector with the cosine metric");
  }
  return absl::OkStatus();
}

absl::Status StateMachine::EnsureRoom(uint64_t rows) {
  if (rows <= reserved_rows_) return absl::OkStatus();
  const uint64_t wanted = rows + kSpareRows;
  RETURN_IF_ERROR(appending_->vectors->Reserve(wanted));
  reserved_rows_ = wanted;
  return absl::OkStatus();
}

absl::StatusOr<size_t> StateMachine::Prepare(std::span<const Entry> entries) {
  CHECK(!has_group_);
  CHECK(!entries.empty());
  const absl::MutexLock lock(&appender_);
  const std::vector<uint32_t> freed = appending_->vectors->TakeFreedSlots();
  appending_->filters.ClearSlots(freed);

  group_ = Group{};
  group_.index_only = entries[0].index <= store_applied_;
  size_t count = 0;
  size_t bytes = 0;
  for (const Entry& entry : entries) {
    if (bytes > kMaxGroupBytes || (entry.index <= store_applied_) != group_.index_only) break;
    if (entry.index > std::max(prepared_.load(), group_.last_index)) {
      absl::StatusOr<WriteResult> result = WriteResult{entry.index, false};
      if (!entry.command.empty()) {
        absl::StatusOr<Command> command = DecodeCommand(entry.command);
        absl::Status applicable = command.ok() ? CheckApplicable(*command) : command.status();
        if (applicable.ok()) applicable = EnsureRoom(command->ids.size());
        if (!applicable.ok()) {
          if (count > 0) break;  // what came before is finished first
          return Annotate(applicable, fmt::format("log entry {}", entry.index));
        }
        result = ApplyCommand(*command, entry.index);
      }
      group_.last_index = entry.index;
      group_.outcomes.push_back({entry.index, std::move(result)});
    }
    count += 1;
    bytes += entry.command.size();
  }
  group_.digest = digest_;
  has_group_ = group_.last_index != 0;
  if (has_group_) prepared_ = group_.last_index;
  return count;
}

absl::StatusOr<WriteResult> StateMachine::ApplyCommand(const Command& command, uint64_t log_index) {
  RequestWindow::Known request{.index = log_index};
  if (!command.request_id.empty()) {
    request.fingerprint = Fingerprint(command);
    const auto first = requests_.Find(command.request_id);
    if (first.has_value()) {
      if (first->fingerprint == request.fingerprint || first->fingerprint == 0) {
        return WriteResult{first->index, true};
      }
      return InvalidArgument(
          "request id {} was used for another write; nothing of this one was written",
          Quote(command.request_id));
    }
  }
  if (command.insert_only) {
    for (const std::string_view id : command.ids) {
      if (appending_->vectors->Find(id).has_value()) {
        return AlreadyExists("point '{}' exists; nothing of its shard's part was written", id);
      }
    }
  }
  if (!command.request_id.empty()) requests_.Add(command.request_id, request, group_.batch);
  switch (command.kind) {
    case CommandKind::kUpsert:
      return ApplyUpsert(command, log_index);
    case CommandKind::kDelete:
      return ApplyDelete(command, log_index);
    case CommandKind::kPutKey:
    case CommandKind::kDeleteKey:
      break;
  }
  return ApplyKey(command, log_index);
}

WriteResult StateMachine::ApplyUpsert(const Command& command, uint64_t log_index) {
  uint64_t added = 0;
  for (size_t i = 0; i < command.ids.size(); ++i) {
    const std::string_view id = command.ids[i];
    const std::string_view payload = command.payloads[i];
    const std::optional<index::VectorIndex::Located> before = appending_->vectors->Find(id);
    if (!before.has_value()) ++added;
    if (!group_.index_only) {
      digest_ += DigestOf(id, log_index);
      if (before.has_value()) digest_ -= DigestOf(id, before->version);
    }
    const std::span<const float> vector = store_.Rounded(command.vector(i), rounded_);
    const uint32_t slot = appending_->vectors->Upsert(
        {.id = id, .vector = vector, .version = log_index, .flags = FlagsOf(payload)});
    appending_->filters.Add(slot, id, payload);
    if (!group_.index_only) store_.Put(group_.batch, {id, log_index, payload, vector});
  }
  reserved_rows_ -= std::min<uint64_t>(reserved_rows_, command.ids.size());
  points_.fetch_add(added, std::memory_order_relaxed);
  rows_applied_.fetch_add(command.ids.size(), std::memory_order_relaxed);
  return {log_index, false};
}

WriteResult StateMachine::ApplyDelete(const Command& command, uint64_t log_index) {
  const std::string_view id = command.ids.front();
  const std::optional<index::VectorIndex::Located> before = appending_->vectors->Find(id);
  if (!before.has_value()) return {log_index, false};
  appending_->vectors->Remove(id);
  points_.fetch_sub(1, std::memory_order_relaxed);
  if (!group_.index_only) {
    digest_ -= DigestOf(id, before->version);
    store_.Erase(group_.batch, id);
  }
  return {log_index, false};
}

// Keys are in the store alone.
WriteResult StateMachine::ApplyKey(const Command& command, uint64_t log_index) {
  if (group_.index_only) return {log_index, false};
  std::string key = storage::RawKey(command.key);
  if (command.kind == CommandKind::kPutKey) {
    group_.batch.Put(storage::kMeta, std::move(key), std::string(command.value));
  } else {
    group_.batch.Delete(storage::kMeta, std::move(key));
  }
  return {log_index, false};
}

absl::Status StateMachine::Finish() {
  if (!has_group_) return absl::OkStatus();
  if (!group_.index_only) {
    // Put again when an earlier call failed: the last one counts.
    group_.batch.Put(storage::kMeta, std::string(storage::kAppliedKey),
                     storage::EncodeNumber(group_.last_index));
    group_.batch.Put(storage::kMeta, std::string(storage::kPointCountKey),
                     storage::EncodeNumber(points()));
    std::string digest;
    PutFixed(digest, group_.last_index);
    PutFixed(digest, group_.digest);
    group_.batch.Put(storage::kMeta, std::string(storage::kDigestKey), std::move(digest));
    writing_ = group_.last_index;
    const absl::Status written =
        store_.kv().Write(group_.batch, storage::Kv::Durability::kBuffered);
    if (!written.ok()) {
      writing_ = published();  // a failed write left nothing
      return written;
    }
  }
  {
    const absl::MutexLock lock(&appender_);
    appending_->vectors->Commit(group_.last_index);
  }
  Publish(group_.last_index);
  if (!group_.index_only) {
    const absl::MutexLock lock(&mark_mutex_);
    mark_ = {group_.last_index, group_.digest};
  }
  finished_.insert(finished_.end(), std::make_move_iterator(group_.outcomes.begin()),
                   std::make_move_iterator(group_.outcomes.end()));
  group_ = Group{};
  has_group_ = false;
  return absl::OkStatus();
}

StateMachine::Cut StateMachine::TakeCut() {
  CHECK(!has_group_);
  const absl::MutexLock lock(&appender_);
  Cut cut;
  cut.indexes = indexes();
  cut.index = appending_->vectors->BeginCheckpoint();
  CHECK_EQ(cut.index.applied_index, published());
  cut.image = {cut.index.applied_index, points(), requests_.Serialize(),
               appending_->filters.Serialize()};
  return cut;
}

absl::Status StateMachine::Rebuild(std::unique_ptr<index::VectorIndex> empty) {
  CHECK(!has_group_);
  auto indexes = std::make_shared<Indexes>(std::move(empty), schema_);
  RETURN_IF_ERROR(Fill(*indexes));
  indexes->vectors->Commit(published());
  ASSIGN_OR_RETURN(const uint64_t stored, store_.ReadNumber(storage::kPointCountKey));
  points_ = indexes->vectors->stats().live;
  if (points_ != stored) {
    return DataLoss("store holds {} points, its count says {}", points(), stored);
  }
  RETURN_IF_ERROR(RenewDigest());
  SetIndexes(std::move(indexes));
  return absl::OkStatus();
}

// The digest was kept by the versions that the index told of.
absl::Status StateMachine::RenewDigest() {
  Mark mark{.index = published(), .digest = 0};
  ASSIGN_OR_RETURN(mark.digest, ScanDigest());
  std::string bytes;
  PutFixed(bytes, mark.index);
  PutFixed(bytes, mark.digest);
  storage::WriteBatch batch;
  batch.Put(storage::kMeta, std::string(storage::kDigestKey), std::move(bytes));
  RETURN_IF_ERROR(store_.kv().Write(batch, storage::Kv::Durability::kBuffered));
  {
    const absl::MutexLock lock(&appender_);
    digest_ = mark.digest;
  }
  const absl::MutexLock lock(&mark_mutex_);
  mark_ = mark;
  return absl::OkStatus();
}

void StateMachine::SetIndexes(std::shared_ptr<Indexes> indexes) {
  const absl::MutexLock lock(&appender_);
  appending_ = indexes.get();
  reserved_rows_ = 0;
  const absl::MutexLock indexes_lock(&indexes_mutex_);
  indexes_ = std::move(indexes);
}

std::shared_ptr<Indexes> StateMachine::indexes() const {
  const absl::MutexLock lock(&indexes_mutex_);
  return indexes_;
}

absl::Status StateMachine::Reserve(uint64_t rows) {
  const absl::MutexLock lock(&appender_);
  RETURN_IF_ERROR(EnsureRoom(promised_rows_ + rows));
  promised_rows_ += rows;
  return absl::OkStatus();
}

void StateMachine::Release(uint64_t rows) {
  const absl::MutexLock lock(&appender_);
  CHECK_GE(promised_rows_, rows);
  promised_rows_ -= rows;
}

void StateMachine::WithAppender(const std::function<void(const AppenderView&)>& body) {
  const absl::MutexLock lock(&appender_);
  const uint64_t prepared = prepared_;
  body({*appending_, prepared, prepared == published()});
}

void StateMachine::Publish(uint64_t log_index) {
  published_.store(log_index, std::memory_order_seq_cst);
  if (waiters_.load(std::memory_order_seq_cst) == 0) return;
  const absl::MutexLock lock(&wait_mutex_);
  published_changed_.SignalAll();
}

absl::Status StateMachine::WaitPublished(uint64_t index) {
  if (published() >= index) return absl::OkStatus();
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  absl::Status status;
  {
    const absl::MutexLock lock(&wait_mutex_);
    while (published() < index && halted_.ok()) published_changed_.Wait(&wait_mutex_);
    if (published() < index) status = halted_;
  }
  waiters_.fetch_sub(1, std::memory_order_seq_cst);
  return status;
}

void StateMachine::Halt(absl::Status why) {
  const absl::MutexLock lock(&wait_mutex_);
  halted_ = std::move(why);
  published_changed_.SignalAll();
}

}  // namespace vectron::shard
