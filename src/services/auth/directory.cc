#include "services/auth/directory.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/log.h"

namespace vectron::auth {
namespace {

constexpr size_t kMaxBeats = 64;  // that have not come back; older ones are forgotten

std::string Key(std::string_view kind, std::string_view name) {
  return fmt::format("{}{}/{}", kStorePrefix, kind, name);
}

// Null, with a line in the log, for a record that cannot be read: its owner is then unknown here,
// and refused.
template <typename T>
std::shared_ptr<const Stored<T>> Parse(const MetaChange& change) {
  auto stored = std::make_shared<Stored<T>>();
  if (!stored->record.ParseFromString(*change.value)) {
    LogError("auth store: the record of '{}' is damaged", change.key);
    return nullptr;
  }
  stored->revision = change.revision;
  return stored;
}

}  // namespace

bool IsAdmin(const store::v1::User& user) {
  return user.role() == v1::ROLE_ADMIN && !user.leaving();
}

std::string UserKey(std::string_view user_id) { return Key("user", user_id); }
std::string EmailKey(std::string_view email) { return Key("email", email); }
std::string ApiKeyKey(std::string_view prefix) { return Key("key", prefix); }
std::string SigningKeyKey(std::string_view key_id) { return Key("signing", key_id); }
std::string EndedSessionKey(std::string_view token_id) { return Key("ended", token_id); }
std::string BootstrapKey() { return Key("bootstrap", ""); }
std::string BeatKey() { return Key("beat", ""); }

Directory::Directory(std::string secret, const Clock& clock, bool tells_at_once)
    : secret_(std::move(secret)),
      clock_(clock),
      tells_at_once_(tells_at_once),
      instance_(RandomUuid()),
      ring_(std::make_shared<const KeyRing>()) {}

void Directory::OnSnapshot(std::vector<MetaEntry> entries, int64_t revision) {
  const absl::MutexLock lock(&mutex_);
  users_.clear();
  ids_by_email_.clear();
  keys_.clear();
  keys_of_.clear();
  ended_.clear();
  signing_.clear();
  bootstrap_ = nullptr;
  admins_.clear();
  for (MetaEntry& entry : entries)
    Apply({std::move(entry.key), std::move(entry.value), entry.revision});
  revision_ = revision;
  loaded_ = true;
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

void Directory::OnChanges(std::vector<MetaChange> changes, int64_t revision) {
  std::string beat;
  {
    const absl::MutexLock lock(&mutex_);
    bool matters = false;
    for (const MetaChange& change : changes) {
      if (change.key == BeatKey()) {
        beat = change.value.value_or("");
        continue;
      }
      matters = true;
      Apply(change);
    }
    revision_ = revision;
    if (matters) generation_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (!beat.empty()) ApplyBeat(beat);
}

void Directory::Apply(const MetaChange& change) {
  std::string_view key = change.key;
  if (!key.starts_with(kStorePrefix)) return;
  key.remove_prefix(sizeof kStorePrefix - 1);
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view kind = key.substr(0, slash);
  const std::string_view name = key.substr(slash + 1);
  if (kind == "user") {
    ApplyUser(name, change);
  } else if (kind == "key") {
    ApplyApiKey(name, change);
  } else if (kind == "signing") {
    ApplySigningKey(name, change);
  } else if (kind == "email") {
    if (change.value) {
      ids_by_email_[std::string(name)] = *change.value;
    } else {
      ids_by_email_.erase(std::string(name));
    }
  } else if (kind == "ended") {
    if (change.value) {
      ended_[std::string(name)] = change.revision;
    } else {
      ended_.erase(std::string(name));
    }
  } else if (kind == "bootstrap") {
    bootstrap_ = change.value ? Parse<store::v1::Bootstrap>(change) : nullptr;
  }
}

void Directory::ApplyUser(std::string_view id, const MetaChange& change) {
  const auto found = users_.find(id);
  if (found != users_.end()) {
    admins_.erase(found->first);
    users_.erase(found);
  }
  if (!change.value) return;
  UserPtr user = Parse<store::v1::User>(change);
  if (user == nullptr) return;
  if (IsAdmin(user->record)) admins_.emplace(id);
  users_.emplace(std::string(id), std::move(user));
}

void Directory::ApplyApiKey(std::string_view prefix, const MetaChange& change) {
  const auto found = keys_.find(prefix);
  if (found != keys_.end()) {
    const auto owner = keys_of_.find(found->second->record.user_id());
    CHECK(owner != keys_of_.end());
    owner->second.erase(std::string(prefix));
    if (owner->second.empty()) keys_of_.erase(owner);
    keys_.erase(found);
  }
  if (!change.value) return;
  ApiKeyPtr key = Parse<store::v1::ApiKey>(change);
  if (key == nullptr) return;
  keys_of_[key->record.user_id()][std::string(prefix)] = key;
  keys_.emplace(std::string(prefix), std::move(key));
}

void Directory::ApplySigningKey(std::string_view id, const MetaChange& change) {
  signing_.erase(std::string(id));
  if (change.value) {
    const auto stored = Parse<store::v1::SigningKey>(change);
    if (stored != nullptr) {
      const std::string what = fmt::format("vectron token key {} {}", id, stored->record.salt());
      signing_[std::string(id)] = {Algorithm::kHs256,
                                   std::string(AsText(HmacSha256(secret_, what))),
                                   stored->record.created_at()};
    }
  }
  auto ring = std::make_shared<KeyRing>();
  for (const auto& [name, key] : signing_) ring->Add(name, key);
  ring_ = std::move(ring);
}

UserPtr Directory::FindUser(std::string_view user_id) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = users_.find(user_id);
  return found == users_.end() ? nullptr : found->second;
}

UserPtr Directory::FindUserByEmail(std::string_view email) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto id = ids_by_email_.find(std::string(email));
  if (id == ids_by_email_.end()) return nullptr;
  const auto found = users_.find(id->second);
  return found == users_.end() ? nullptr : found->second;
}

ApiKeyPtr Directory::FindKey(std::string_view prefix) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = keys_.find(prefix);
  return found == keys_.end() ? nullptr : found->second;
}

bool Directory::SessionEnded(std::string_view token_id) const {
  const absl::ReaderMutexLock lock(&mutex_);
  return ended_.contains(std::string(token_id));
}

BootstrapPtr Directory::bootstrap() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return bootstrap_;
}

std::shared_ptr<const KeyRing> Directory::key_ring() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return ring_;
}

std::vector<ApiKeyPtr> Directory::KeysOf(std::string_view user_id) const {
  const absl::ReaderMutexLock lock(&mutex_);
  std::vector<ApiKeyPtr> keys;
  const auto found = keys_of_.find(user_id);
  if (found == keys_of_.end()) return keys;
  for (const auto& [prefix, key] : found->second) keys.push_back(key);
  return keys;
}

std::vector<UserPtr> Directory::ListUsers(std::string_view after_id, size_t limit) const {
  const absl::ReaderMutexLock lock(&mutex_);
  std::vector<UserPtr> users;
  for (auto it = users_.upper_bound(after_id); it != users_.end() && users.size() < limit; ++it)
    users.push_back(it->second);
  return users;
}

std::vector<UserPtr> Directory::LeavingUsers() const {
  const absl::ReaderMutexLock lock(&mutex_);
  std::vector<UserPtr> users;
  for (const auto& [id, user] : users_) {
    if (user->record.leaving()) users.push_back(user);
  }
  return users;
}

std::vector<std::pair<std::string, int64_t>> Directory::SigningKeys() const {
  const absl::ReaderMutexLock lock(&mutex_);
  std::vector<std::pair<std::string, int64_t>> keys;
  for (const auto& [id, key] : signing_) keys.emplace_back(id, key.created_at);
  std::sort(keys.begin(), keys.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  return keys;
}

size_t Directory::user_count() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return users_.size();
}

size_t Directory::ended_count() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return ended_.size();
}

UserPtr Directory::AdminBeside(std::string_view user_id) const {
  const absl::ReaderMutexLock lock(&mutex_);
  for (const std::string& id : admins_) {
    if (id != user_id) return users_.find(id)->second;
  }
  return nullptr;
}

bool Directory::WaitLoaded(int64_t timeout_ms) const {
  const absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&loaded_), absl::Milliseconds(timeout_ms));
}

bool Directory::WaitFor(int64_t revision, int64_t timeout_ms) const {
  const auto here = [this, revision]()
                        ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return revision_ >= revision; };
  const absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&here), absl::Milliseconds(timeout_ms));
}

MetaTxn::Write Directory::NextBeat() {
  const absl::MutexLock lock(&beat_mutex_);
  beats_[++beat_] = clock_.MonotonicNanos();
  if (beats_.size() > kMaxBeats) beats_.erase(beats_.begin());
  return {.key = BeatKey(), .value = fmt::format("{} {}", instance_, beat_)};
}

void Directory::ApplyBeat(std::string_view value) {
  if (!value.starts_with(instance_) || value.size() <= instance_.size()) return;
  value.remove_prefix(instance_.size() + 1);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) return;
  const absl::MutexLock lock(&beat_mutex_);
  const auto sent = beats_.find(number);
  if (sent == beats_.end()) return;
  fresh_at_nanos_.store(sent->second, std::memory_order_release);
  beats_.erase(beats_.begin(), std::next(sent));
}

int64_t Directory::fresh_at_nanos() const {
  if (tells_at_once_) return clock_.MonotonicNanos();
  return fresh_at_nanos_.load(std::memory_order_acquire);
}

}  // namespace vectron::auth
