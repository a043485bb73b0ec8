#pragma once

// What the Auth service knows of users, keys and ended sessions: a mirror in memory of what is in
// the store, so that checking a credential reads memory only. Thread-safe.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "services/auth/meta_store.h"
#include "services/auth/tokens.h"
#include "vectron/auth_store.pb.h"

namespace vectron::auth {

// Ended sessions and refreshed tokens that are kept until they expire, about 400 bytes of memory
// each. When there are so many no token is refreshed (ResourceExhausted) until some have expired;
// logins and logouts go on.
inline constexpr size_t kMaxEnded = 500'000;

// Keys of the store (docs/formats/auth-store.md).
inline constexpr char kStorePrefix[] = "vectron/auth/";
std::string UserKey(std::string_view user_id);
std::string EmailKey(std::string_view email);
std::string ApiKeyKey(std::string_view prefix);
std::string SigningKeyKey(std::string_view key_id);
std::string EndedSessionKey(std::string_view token_id);
std::string BootstrapKey();
std::string BeatKey();

// A record and the revision it was read at, for compare-and-set. Shared with readers; immutable.
template <typename T>
struct Stored {
  T record;
  int64_t revision = 0;
};
using UserPtr = std::shared_ptr<const Stored<store::v1::User>>;
using ApiKeyPtr = std::shared_ptr<const Stored<store::v1::ApiKey>>;
using BootstrapPtr = std::shared_ptr<const Stored<store::v1::Bootstrap>>;

// Whether it has the rights of an administrator.
bool IsAdmin(const store::v1::User& user);

class Directory : public MetaListener {
 public:
  // `secret`: from which the signing keys are derived. `clock` outlives it. `tells_at_once`: of the
  // store; then what is here is never behind.
  Directory(std::string secret, const Clock& clock, bool tells_at_once);

  void OnSnapshot(std::vector<MetaEntry> entries, int64_t revision) override;
  void OnChanges(std::vector<MetaChange> changes, int64_t revision) override;

  UserPtr FindUser(std::string_view user_id) const;
  UserPtr FindUserByEmail(std::string_view email) const;
  ApiKeyPtr FindKey(std::string_view prefix) const;
  bool SessionEnded(std::string_view token_id) const;
  BootstrapPtr bootstrap() const;
  std::shared_ptr<const KeyRing> key_ring() const;
  std::vector<ApiKeyPtr> KeysOf(std::string_view user_id) const;
  std::vector<UserPtr> ListUsers(std::string_view after_id, size_t limit) const;
  std::vector<UserPtr> LeavingUsers() const;
  // Ids of signing keys, oldest first, with the second they were made.
  std::vector<std::pair<std::string, int64_t>> SigningKeys() const;
  size_t user_count() const;
  size_t ended_count() const;
  // An administrator other than this user; null when there is none.
  UserPtr AdminBeside(std::string_view user_id) const;

  // Counts the changes of anything a verdict depends on.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Waits until the first snapshot; false when it does not come in time.
  bool WaitLoaded(int64_t timeout_ms) const;
  // Waits until what a commit of this revision wrote is here; false when it takes longer.
  bool WaitFor(int64_t revision, int64_t timeout_ms) const;

  // How far behind the store this may be: a beat is written to the store and comes back through the
  // subscription, and what is here is then at least as new as the moment it was written.
  MetaTxn::Write NextBeat();
  // Monotonic; the present where the store tells at once.
  int64_t fresh_at_nanos() const;

 private:
  void Apply(const MetaChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyUser(std::string_view id, const MetaChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyApiKey(std::string_view prefix, const MetaChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplySigningKey(std::string_view id, const MetaChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyBeat(std::string_view value);

  const std::string secret_;
  const Clock& clock_;
  const bool tells_at_once_;
  const std::string instance_;  // whose beats count

  mutable absl::Mutex mutex_;
  bool loaded_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, UserPtr, std::less<>> users_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::string> ids_by_email_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, ApiKeyPtr, std::less<>> keys_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, ApiKeyPtr>, std::less<>> keys_of_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int64_t> ended_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SigningKeyBytes> signing_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const KeyRing> ring_ ABSL_GUARDED_BY(mutex_);
  BootstrapPtr bootstrap_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> admins_ ABSL_GUARDED_BY(mutex_);  // ids

  absl::Mutex beat_mutex_;
  uint64_t beat_ ABSL_GUARDED_BY(beat_mutex_) = 0;
  std::map<uint64_t, int64_t> beats_ ABSL_GUARDED_BY(beat_mutex_);  // sent and not come back: when
  std::atomic<int64_t> fresh_at_nanos_{0};
  std::atomic<uint64_t> generation_{1};
};

}  // namespace vectron::auth
