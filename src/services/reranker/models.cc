#include "services/reranker/models.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr std::string_view kModelMagic("VECTRANK", 8);
constexpr std::string_view kMarksMagic("VECTRMRK", 8);
constexpr uint32_t kFormatVersion = 1;
constexpr uint64_t kSaveRecords = 500;
constexpr size_t kKeptVersions = 10;
constexpr std::string_view kSuffix = ".model";
constexpr size_t kMaxSources = 4'096;

// Magic, version, length, body, crc32c of the body.
std::string Sealed(std::string_view magic, std::string_view body) {
  std::string out(magic);
  PutFixed(out, kFormatVersion);
  PutFixed<uint64_t>(out, body.size());
  out += body;
  PutFixed(out, Crc32c(body));
  return out;
}

absl::StatusOr<std::string> Unsealed(std::string_view magic, std::string_view bytes) {
  ByteReader reader(bytes);
  std::string_view found;
  std::string_view body;
  uint32_t version = 0;
  uint32_t crc = 0;
  uint64_t size = 0;
  if (!reader.ReadBytes(magic.size(), found) || found != magic) return DataLoss("bad magic");
  if (!reader.ReadFixed(version) || version != kFormatVersion) return DataLoss("bad version");
  if (!reader.ReadFixed(size) || !reader.ReadBytes(size, body) || !reader.ReadFixed(crc) ||
      reader.remaining() != 0 || Crc32c(body) != crc) {
    return DataLoss("bad length or checksum");
  }
  return std::string(body);
}

void PutMarks(std::string& out, const std::map<std::string, uint64_t>& marks) {
  PutVarint(out, marks.size());
  for (const auto& [source, number] : marks) {
    PutLengthPrefixed(out, source);
    PutVarint(out, number);
  }
}

bool TakeMarks(ByteReader& reader, std::map<std::string, uint64_t>& marks) {
  uint64_t count = 0;
  if (!reader.ReadVarint(count) || count > kMaxSources) return false;
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view source;
    uint64_t number = 0;
    if (!reader.ReadLengthPrefixed(source) || !reader.ReadVarint(number)) return false;
    marks[std::string(source)] = number;
  }
  return true;
}

std::string KeyOfNames(std::string_view tenant, std::string_view collection) {
  std::string key;
  PutLengthPrefixed(key, tenant);
  PutLengthPrefixed(key, collection);
  return key;
}

LearnEvent EventOf(const v1::LearnRecord& record, Impression impression) {
  LearnEvent event{.impression = std::move(impression),
                   .items = {},
                   .end_user = record.end_user(),
                   .unix_ms = record.unix_ms()};
  for (const v1::LearnItem& item : record.items()) {
    event.items.push_back({.id = item.id(), .clicked = item.clicked(), .grade = item.grade()});
  }
  return event;
}

void FillEvidence(const ForgetfulMean& mean, v1::Evidence& evidence) {
  evidence.set_sessions(mean.n());
  evidence.set_mean(mean.mean());
  evidence.set_standard_error(mean.standard_error());
}

}  // namespace

Models::Models(std::string dir, const LearnedConfig& config, FileSystem& files, const Clock& clock)
    : dir_(std::move(dir)), config_(config), files_(files), clock_(clock) {}

absl::StatusOr<std::unique_ptr<Models>> Models::Open(std::string dir, const LearnedConfig& config,
                                                     FileSystem& files, const Clock& clock) {
  std::unique_ptr<Models> models(new Models(std::move(dir), config, files, clock));
  if (!models->dir_.empty()) {
    RETURN_IF_ERROR(files.MakeDirs(models->dir_));
    RETURN_IF_ERROR(models->ReadMarks());
  }
  return models;
}

Models::~Models() {
  const absl::Status saved = Save();
  if (!saved.ok()) LogWarning("ranking models are not saved: {}", MessageOf(saved));
}

absl::Status Models::ReadMarks() {
  const absl::MutexLock lock(&learn_mutex_);
  const absl::StatusOr<std::string> bytes = files_.ReadAll(dir_ + "/marks");
  if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
  if (!bytes.ok()) return bytes.status();
  const absl::StatusOr<std::string> body = Unsealed(kMarksMagic, *bytes);
  ByteReader reader(body.ok() ? std::string_view(*body) : std::string_view());
  if (!body.ok() || !TakeMarks(reader, durable_) || reader.remaining() != 0) {
    // Each model knows what it has applied, so sources may simply send again what they still have.
    LogWarning("{}/marks is damaged: feedback is asked for again", dir_);
    durable_.clear();
  }
  applied_ = durable_;
  return absl::OkStatus();
}

Models::EntryPtr Models::Find(const std::string& tenant, const std::string& collection) {
  const std::string key = KeyOfNames(tenant, collection);
  EntryPtr entry;
  {
    const absl::MutexLock lock(&mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      by_use_.splice(by_use_.begin(), by_use_, found->second);
      return *found->second;
    }
    entry = std::make_shared<Entry>();
    entry->tenant = tenant;
    entry->collection = collection;
    if (!dir_.empty()) entry->dir = fmt::format("{}/{:016x}", dir_, Hash64(key));
    Load(*entry);
    by_use_.push_front(entry);
    by_key_[key] = by_use_.begin();
    if (by_use_.size() > kMaxRerankModels) DropLeastUsed();
  }
  return entry;
}

void Models::DropLeastUsed() {
  const EntryPtr entry = by_use_.back();
  const absl::Status saved = SaveEntry(*entry);
  if (!saved.ok()) {  // stays until it can be
    LogWarning("model of collection '{}' is not saved: {}", entry->collection, MessageOf(saved));
    return;
  }
  by_key_.erase(KeyOfNames(entry->tenant, entry->collection));
  by_use_.pop_back();
}

std::vector<uint64_t> Models::VersionsOf(const Entry& entry) const {
  std::vector<uint64_t> versions;  // newest first
  if (entry.dir.empty()) return versions;
  const absl::StatusOr<std::vector<std::string>> names = files_.List(entry.dir);
  if (!names.ok()) return versions;
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    uint64_t version = 0;
    const char* end = name.data() + name.size() - kSuffix.size();
    if (std::from_chars(name.data(), end, version).ptr == end) versions.push_back(version);
  }
  std::sort(versions.rbegin(), versions.rend());
  return versions;
}

void Models::Load(Entry& entry) {
  const absl::MutexLock lock(&entry.mutex);
  for (const uint64_t version : VersionsOf(entry)) {
    entry.saved_version = std::max(entry.saved_version, version);
    if (entry.learner != nullptr) break;
    absl::StatusOr<Saved> saved = ReadVersion(entry, version);
    if (saved.ok()) {
      entry.learner = std::move(saved->learner);
      entry.applied = std::move(saved->applied);
    } else {
      LogWarning("ranking model {}/{} is passed over: {}", entry.dir, version,
                 MessageOf(saved.status()));
    }
  }
  if (entry.learner == nullptr) entry.learner = std::make_unique<Learner>(config_);
}

absl::StatusOr<Models::Saved> Models::ReadVersion(const Entry& entry, uint64_t version) const {
  if (entry.dir.empty()) return NotFound("models are not kept on disk");
  const absl::StatusOr<std::string> bytes =
      files_.ReadAll(fmt::format("{}/{:020}{}", entry.dir, version, kSuffix));
  if (absl::IsNotFound(bytes.status())) return NotFound("it is not among the saved ones");
  if (!bytes.ok()) {  // names a path, which users are not told
    LogWarning("ranking model: {}", MessageOf(bytes.status()));
    return DataLoss("it cannot be read");
  }
  ASSIGN_OR_RETURN(const std::string body, Unsealed(kModelMagic, *bytes));
  ByteReader reader(body);
  Saved saved;
  std::string_view tenant;
  std::string_view collection;
  std::string_view learner;
  if (!reader.ReadLengthPrefixed(tenant) || !reader.ReadLengthPrefixed(collection) ||
      !reader.ReadFixed(saved.unix_ms) || !TakeMarks(reader, saved.applied) ||
      !reader.ReadLengthPrefixed(learner) || reader.remaining() != 0) {
    return DataLoss("bad header");
  }
  if (tenant != entry.tenant || collection != entry.collection) {
    return DataLoss("of another collection");
  }
  absl::StatusOr<Learner> decoded = Learner::Decode(learner, config_);
  if (!decoded.ok()) return DataLoss("{}", MessageOf(decoded.status()));
  saved.learner = std::make_unique<Learner>(*std::move(decoded));
  return saved;
}

absl::Status Models::SaveEntry(Entry& entry) {
  std::string body;
  uint64_t version = 0;
  {
    const absl::MutexLock lock(&entry.mutex);
    if (!entry.dirty || entry.dir.empty()) return absl::OkStatus();
    PutLengthPrefixed(body, entry.tenant);
    PutLengthPrefixed(body, entry.collection);
    PutFixed(body, clock_.UnixMillis());
    PutMarks(body, entry.applied);
    std::string learner;
    entry.learner->Encode(learner);
    PutLengthPrefixed(body, learner);
    version = ++entry.saved_version;
    entry.dirty = false;
  }
  const absl::Status written = WriteVersion(entry, version, body);
  if (!written.ok()) {
    const absl::MutexLock lock(&entry.mutex);
    entry.dirty = true;
  }
  return written;
}

absl::Status Models::WriteVersion(const Entry& entry, uint64_t version, std::string_view body) {
  RETURN_IF_ERROR(files_.MakeDirs(entry.dir));
  RETURN_IF_ERROR(files_.WriteAtomically(fmt::format("{}/{:020}{}", entry.dir, version, kSuffix),
                                         Sealed(kModelMagic, body)));
  const std::vector<uint64_t> versions = VersionsOf(entry);
  for (size_t i = kKeptVersions; i < versions.size(); ++i) {
    RETURN_IF_ERROR(files_.Remove(fmt::format("{}/{:020}{}", entry.dir, versions[i], kSuffix)));
  }
  return absl::OkStatus();
}

absl::Status Models::Save() {
  const absl::MutexLock lock(&learn_mutex_);
  std::vector<EntryPtr> entries;
  {
    const absl::MutexLock map_lock(&mutex_);
    entries.assign(by_use_.begin(), by_use_.end());
  }
  for (const EntryPtr& entry : entries) RETURN_IF_ERROR(SaveEntry(*entry));
  if (!dir_.empty() && applied_ != durable_) {
    std::string body;
    PutMarks(body, applied_);
    RETURN_IF_ERROR(files_.WriteAtomically(dir_ + "/marks", Sealed(kMarksMagic, body)));
  }
  durable_ = applied_;
  unsaved_records_ = 0;
  return absl::OkStatus();
}

void Models::Read(const std::string& tenant, const std::string& collection,
                  const std::function<void(const Learner&)>& read) {
  const EntryPtr entry = Find(tenant, collection);
  const absl::MutexLock lock(&entry->mutex);
  read(*entry->learner);
}

v1::LearnFeedbackResponse Models::Learn(const v1::LearnFeedbackRequest& request) {
  bool save = false;
  {
    const absl::MutexLock lock(&learn_mutex_);
    if (!applied_.contains(request.source()) && applied_.size() >= kMaxSources) return {};
    uint64_t& through = applied_[request.source()];
    for (const v1::LearnRecord& record : request.records()) {
      if (record.number() <= through) continue;
      through = record.number();
      ++unsaved_records_;
      absl::StatusOr<Impression> impression = DecodeImpression(record.impression());
      if (!impression.ok()) continue;
      const EntryPtr entry = Find(record.tenant(), record.collection());
      const absl::MutexLock entry_lock(&entry->mutex);
      uint64_t& mark = entry->applied[request.source()];
      if (record.number() <= mark) continue;  // learned before a crash lost the common mark
      mark = record.number();
      entry->learner->Apply(EventOf(record, *std::move(impression)));
      entry->dirty = true;
    }
    save = unsaved_records_ >= kSaveRecords;
  }
  if (save) {
    const absl::Status saved = Save();
    if (!saved.ok()) LogWarning("ranking models are not saved: {}", MessageOf(saved));
  }
  v1::LearnFeedbackResponse response;
  const absl::MutexLock lock(&learn_mutex_);
  response.set_applied_through(applied_[request.source()]);
  response.set_durable_through(dir_.empty() ? applied_[request.source()]
                                            : durable_[request.source()]);
  return response;
}

void Models::FillStatus(const Entry& entry, v1::ModelStatus& status) const {
  const Learner& learner = *entry.learner;
  const Gate& gate = learner.gate();
  status.set_collection(entry.collection);
  status.set_state(std::string(StateName(gate.state())));
  status.set_held(gate.held());
  status.set_events(learner.events());
  FillEvidence(gate.pairs(), *status.mutable_shadow());
  FillEvidence(gate.live(), *status.mutable_live());
  FillEvidence(gate.fit(), *status.mutable_guard());
  const SnipsRates& snips = learner.snips();
  if (snips.model_weight > 0) status.set_snips_model(snips.model_clicks / snips.model_weight);
  if (snips.rule_weight > 0) status.set_snips_rule(snips.rule_clicks / snips.rule_weight);
  status.set_canaries(gate.canaries());
  status.set_promotions(gate.promotions());
  status.set_rollbacks(gate.rollbacks());
  status.set_last_change(gate.last_change());
  for (size_t i = 0; i < kDenseCount; ++i) {
    v1::NamedWeight& weight = *status.add_weights();
    weight.set_name(std::string(FeatureName(i)));
    weight.set_value(learner.model().weight(i));
  }
  for (size_t i = 0; i < kShown; ++i) {
    status.add_position_bias(std::exp(learner.model().LogBias(i)));
  }
}

v1::ModelStatus Models::Status(const std::string& tenant, const std::string& collection) {
  v1::ModelStatus status;
  const EntryPtr entry = Find(tenant, collection);
  const absl::MutexLock lock(&entry->mutex);
  FillStatus(*entry, status);
  for (const uint64_t number : VersionsOf(*entry)) {
    const absl::StatusOr<Saved> saved = ReadVersion(*entry, number);
    if (!saved.ok()) continue;
    v1::ModelVersion& version = *status.add_versions();
    version.set_version(number);
    version.set_events(saved->learner->events());
    version.set_saved_unix_ms(saved->unix_ms);
    version.set_state(std::string(StateName(saved->learner->gate().state())));
  }
  return status;
}

absl::StatusOr<v1::ModelStatus> Models::Control(const v1::ControlModelRequest& request) {
  {
    const absl::MutexLock learn_lock(&learn_mutex_);
    const EntryPtr entry = Find(request.tenant(), request.collection());
    const absl::MutexLock lock(&entry->mutex);
    if (entry->learner->events() == 0 && request.action() != v1::MODEL_RESTORE) {
      return FailedPrecondition("nothing has been learned yet");
    }
    switch (request.action()) {
      case v1::MODEL_PROMOTE:
        entry->learner->Promote();
        break;
      case v1::MODEL_ROLLBACK:
        entry->learner->Rollback();
        break;
      case v1::MODEL_RESUME:
        entry->learner->Resume();
        break;
      case v1::MODEL_RESTORE: {
        absl::StatusOr<Saved> saved = ReadVersion(*entry, request.version());
        if (!saved.ok()) {
          return NotFound("version {}: {}", request.version(), MessageOf(saved.status()));
        }
        saved->learner->Succeed(*entry->learner);
        entry->learner = std::move(saved->learner);
        break;
      }
      case v1::MODEL_RESET: {
        auto fresh = std::make_unique<Learner>(config_);
        fresh->Succeed(*entry->learner);
        entry->learner = std::move(fresh);
        break;
      }
      default:
        return InvalidArgument("action is {}, wanted one of ModelAction",
                               static_cast<int>(request.action()));
    }
    entry->dirty = true;
  }
  RETURN_IF_ERROR(Save());
  return Status(request.tenant(), request.collection());
}

}  // namespace vectron::reranker
