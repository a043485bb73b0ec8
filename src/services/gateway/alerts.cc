#include "services/gateway/alerts.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::gateway {
namespace {

constexpr std::string_view kMagic = "VECALERT";
constexpr uint32_t kVersion = 1;
constexpr std::string_view kSurplusSubject = "*";  // the alert that stands for what is too much
constexpr std::string_view kSystem = "system";
constexpr uint64_t kMaxStoredBytes = uint64_t{16} << 20;  // far above what the limits allow

constexpr uint32_t kNumberBits = 32;  // of an id; the book's own number is above them
constexpr uint64_t kBooks = uint64_t{1} << 20;

uint64_t FirstId(uint64_t seed) { return (1 + Mix64(seed) % (kBooks - 1)) << kNumberBits; }

void PutAlert(const AlertRecord& alert, bool muted, std::string& out) {
  PutFixed(out, alert.id);
  out.push_back(static_cast<char>(alert.rule));
  out.push_back(static_cast<char>(alert.level));
  out.push_back(static_cast<char>(muted ? 1 : 0));
  PutFixed(out, alert.raised_unix_ms);
  PutFixed(out, alert.resolved_unix_ms);
  for (const std::string* text :
       {&alert.subject, &alert.title, &alert.message, &alert.resolved_by}) {
    PutLengthPrefixed(out, *text);
  }
}

bool GetAlert(ByteReader& reader, AlertRecord& alert, bool& muted) {
  uint8_t rule = 0;
  uint8_t level = 0;
  uint8_t muted_byte = 0;
  reader.ReadFixed(alert.id);
  reader.ReadFixed(rule);
  reader.ReadFixed(level);
  reader.ReadFixed(muted_byte);
  reader.ReadFixed(alert.raised_unix_ms);
  reader.ReadFixed(alert.resolved_unix_ms);
  for (std::string* text : {&alert.subject, &alert.title, &alert.message, &alert.resolved_by}) {
    std::string_view bytes;
    reader.ReadLengthPrefixed(bytes);
    *text = bytes;
  }
  if (!reader.ok() || rule < 1 || rule > kAlertRules || level < 1 || level > 3) return false;
  alert.rule = static_cast<AlertRule>(rule);
  alert.level = static_cast<AlertLevel>(level);
  muted = muted_byte != 0;
  return true;
}

}  // namespace

std::string_view AlertRuleName(AlertRule rule) {
  constexpr std::array<std::string_view, kAlertRules> kNames = {"worker_down",
                                                                "shard_under_replicated",
                                                                "shard_no_leader",
                                                                "shard_failed",
                                                                "disk",
                                                                "memory",
                                                                "error_rate",
                                                                "latency",
                                                                "service_down",
                                                                "replicas_differ"};
  const auto number = static_cast<size_t>(rule);
  CHECK(number >= 1 && number <= kNames.size());
  return kNames[number - 1];
}

std::string_view AlertLevelName(AlertLevel level) {
  return level == AlertLevel::kInfo      ? "info"
         : level == AlertLevel::kWarning ? "warning"
                                         : "critical";
}

AlertPatience PatienceOf(AlertRule rule) {
  switch (rule) {
    case AlertRule::kWorkerDown:      // placement has waited three heartbeats already
    case AlertRule::kReplicasDiffer:  // what is never to be needs no second look
      return {.raise = 1, .clear = 3};
    case AlertRule::kShardUnderReplicated:  // a restart of a worker takes less
      return {.raise = 6, .clear = 3};
    case AlertRule::kShardNoLeader:  // an election takes less
    case AlertRule::kServiceDown:
      return {.raise = 2, .clear = 2};
    case AlertRule::kShardFailed:  // opening a shard takes less, mostly
      return {.raise = 3, .clear = 3};
    case AlertRule::kDiskFull:
    case AlertRule::kErrorRate:  // these look back a minute anyway
    case AlertRule::kLatency:
      return {.raise = 1, .clear = 6};
    case AlertRule::kMemory:
      return {.raise = 6, .clear = 6};
  }
  return {};
}

absl::StatusOr<std::unique_ptr<AlertBook>> AlertBook::Open(const std::string& path,
                                                           FileSystem& files, uint64_t seed) {
  std::unique_ptr<AlertBook> book(new AlertBook(path, files, FirstId(seed)));
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return book;
  ASSIGN_OR_RETURN(const std::string bytes, files.ReadAll(path));
  const absl::Status loaded = book->Load(bytes);
  if (!loaded.ok()) {
    LogWarning("{}: {}; the book of alerts begins anew", path, MessageOf(loaded));
    return std::unique_ptr<AlertBook>(new AlertBook(path, files, FirstId(seed)));
  }
  return book;
}

absl::Status AlertBook::Load(std::string_view bytes) {
  const absl::MutexLock lock(&mutex_);
  if (bytes.size() > kMaxStoredBytes || bytes.size() < kMagic.size() + 8) {
    return DataLoss("{} bytes are no book of alerts", bytes.size());
  }
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (Crc32c(body) != LoadFixed<uint32_t>(bytes.data() + body.size())) {
    return DataLoss("the checksum does not match");
  }
  ByteReader reader(body);
  std::string_view magic;
  uint32_t version = 0;
  uint64_t next_id = 0;
  uint64_t active = 0;
  uint64_t resolved = 0;
  reader.ReadBytes(kMagic.size(), magic);
  reader.ReadFixed(version);
  reader.ReadFixed(next_id);
  reader.ReadVarint(active);
  reader.ReadVarint(resolved);
  if (!reader.ok() || magic != kMagic || version != kVersion) {
    return DataLoss("version {} is not known", version);
  }
  // Before books had a number their ids began with 1: those given out stay, the next have one.
  if (next_id >> kNumberBits != 0) next_id_ = next_id;
  for (uint64_t i = 0; i < active + resolved; ++i) {
    AlertRecord alert;
    bool muted = false;
    if (!GetAlert(reader, alert, muted)) return DataLoss("alert {} is damaged", i);
    if (i >= active) {
      history_.push_back(std::move(alert));
      continue;
    }
    Key key{alert.rule, alert.subject};
    entries_[std::move(key)] = {.phase = muted ? Phase::kMuted : Phase::kActive,
                                .alert = std::move(alert)};
  }
  return absl::OkStatus();
}

std::string AlertBook::Encode() const {
  std::string standing;
  uint64_t count = 0;
  for (const auto& [key, entry] : entries_) {
    if (entry.phase == Phase::kPending) continue;  // it is seen again soon
    PutAlert(entry.alert, entry.phase == Phase::kMuted, standing);
    ++count;
  }
  std::string bytes(kMagic);
  PutFixed(bytes, kVersion);
  PutFixed(bytes, next_id_);
  PutVarint(bytes, count);
  PutVarint(bytes, history_.size());
  bytes += standing;
  for (const AlertRecord& alert : history_) PutAlert(alert, false, bytes);
  PutFixed(bytes, Crc32c(bytes));
  return bytes;
}

absl::Status AlertBook::Store() {
  const absl::MutexLock storing(&store_mutex_);
  std::string bytes;
  {
    const absl::MutexLock lock(&mutex_);
    bytes = Encode();
  }
  return files_.WriteAtomically(path_, bytes);
}

bool AlertBook::Stands(AlertRule rule, std::string_view subject) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(Key{rule, std::string(subject)});
  return found != entries_.end() && found->second.phase != Phase::kPending;
}

AlertBook::Conditions AlertBook::Select(const std::vector<AlertCondition>& conditions,
                                        std::deque<AlertCondition>& made) const {
  struct Surplus {
    size_t count = 0;
    AlertLevel level = AlertLevel::kInfo;
    std::string example;
  };
  std::map<AlertRule, Surplus> surplus;
  Conditions selected;
  size_t room = kMaxTracked - std::min(kMaxTracked, entries_.size());
  for (const AlertCondition& condition : conditions) {
    Key key{condition.rule, condition.subject};
    const auto twin = selected.find(key);
    if (twin != selected.end()) {
      if (condition.level > twin->second->level) twin->second = &condition;
    } else if (entries_.contains(key)) {
      selected.emplace(std::move(key), &condition);
    } else if (room > 0) {
      --room;
      selected.emplace(std::move(key), &condition);
    } else {
      Surplus& more = surplus[condition.rule];
      if (more.count++ == 0) more.example = condition.title;
      more.level = std::max(more.level, condition.level);
    }
  }
  for (const auto& [rule, more] : surplus) {
    made.push_back(
        {.rule = rule,
         .subject = std::string(kSurplusSubject),
         .level = more.level,
         .title = fmt::format("{} further alerts of this kind", more.count),
         .message = fmt::format("Too many to follow one by one; for example: {}", more.example)});
    selected[{rule, std::string(kSurplusSubject)}] = &made.back();
  }
  return selected;
}

bool AlertBook::Note(const AlertCondition& condition, const Key& key, int64_t unix_ms) {
  Entry& entry = entries_[key];
  AlertRecord& alert = entry.alert;
  if (entry.phase == Phase::kMuted) {
    entry.streak = 0;
    return false;
  }
  const bool graver_or_milder = alert.level != condition.level;
  alert.level = condition.level;
  alert.title = condition.title;
  alert.message = condition.message;
  if (entry.phase == Phase::kActive) {
    entry.streak = 0;
    return graver_or_milder;  // the words alone change with every sample
  }
  if (++entry.streak < PatienceOf(condition.rule).raise) return false;
  alert.id = next_id_++;
  alert.rule = condition.rule;
  alert.subject = condition.subject;
  alert.raised_unix_ms = unix_ms;
  entry.phase = Phase::kActive;
  entry.streak = 0;
  return true;
}

bool AlertBook::NoteAbsent(const Conditions& present, int64_t unix_ms) {
  bool changed = false;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (present.contains(it->first)) {
      ++it;
    } else if (entry.phase == Phase::kPending) {
      it = entries_.erase(it);
    } else if (++entry.streak < PatienceOf(it->first.first).clear) {
      ++it;
    } else {
      changed = true;
      if (entry.phase == Phase::kActive) {
        entry.alert.resolved_unix_ms = unix_ms;
        entry.alert.resolved_by = kSystem;
        Remember(std::move(entry.alert));
      }
      it = entries_.erase(it);
    }
  }
  return changed;
}

void AlertBook::Remember(AlertRecord alert) {
  history_.push_front(std::move(alert));
  if (history_.size() > kMaxHistory) history_.pop_back();
}

absl::Status AlertBook::Update(int64_t unix_ms, const std::vector<AlertCondition>& conditions) {
  bool changed = false;
  {
    const absl::MutexLock lock(&mutex_);
    std::deque<AlertCondition> made;  // a deque: pointers into it stay
    const Conditions selected = Select(conditions, made);
    changed = NoteAbsent(selected, unix_ms);
    for (const auto& [key, condition] : selected) {
      if (Note(*condition, key, unix_ms)) changed = true;
    }
  }
  return changed ? Store() : absl::OkStatus();
}

absl::StatusOr<AlertRecord> AlertBook::Resolve(uint64_t id, const std::string& by,
                                               int64_t unix_ms) {
  AlertRecord resolved;
  {
    const absl::MutexLock lock(&mutex_);
    const auto known = std::find_if(history_.begin(), history_.end(),
                                    [id](const AlertRecord& alert) { return alert.id == id; });
    if (known != history_.end()) return *known;
    const auto found = std::find_if(entries_.begin(), entries_.end(), [id](const auto& item) {
      return item.second.phase == Phase::kActive && item.second.alert.id == id;
    });
    if (found == entries_.end()) return NotFound("alert {} does not exist, or no longer", id);
    Entry& entry = found->second;
    entry.alert.resolved_unix_ms = unix_ms;
    entry.alert.resolved_by = by;
    entry.phase = Phase::kMuted;
    resolved = entry.alert;
    Remember(resolved);
  }
  RETURN_IF_ERROR(Store());
  return resolved;
}

std::vector<AlertRecord> AlertBook::Active() const {
  std::vector<AlertRecord> active;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [key, entry] : entries_) {
      if (entry.phase == Phase::kActive) active.push_back(entry.alert);
    }
  }
  std::sort(active.begin(), active.end(), [](const AlertRecord& a, const AlertRecord& b) {
    if (a.level != b.level) return a.level > b.level;
    return a.id > b.id;
  });
  return active;
}

std::vector<AlertRecord> AlertBook::Resolved() const {
  const absl::MutexLock lock(&mutex_);
  return {history_.begin(), history_.end()};
}

size_t AlertBook::active_count() const {
  const absl::MutexLock lock(&mutex_);
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& item) {
    return item.second.phase == Phase::kActive;
  }));
}

}  // namespace vectron::gateway
