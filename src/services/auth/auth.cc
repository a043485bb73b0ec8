#include "services/auth/auth.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/error_table.h"
#include "services/auth/secrets.h"

namespace vectron::auth {
namespace {

constexpr size_t kChangeThreads = 2;
constexpr size_t kMaxWaitingChanges = 256;
constexpr int64_t kBusyRetryMs = 1'000;
constexpr int64_t kMirrorTimeoutMs = 2'000;
constexpr int kMaxChangeTries = 5;
// A beat every half second bounds how old the mirror can be thought to be.
constexpr absl::Duration kBeatInterval = absl::Milliseconds(500);
constexpr int64_t kTendEveryNanos = int64_t{30} * 1'000'000'000;
constexpr int64_t kSigningKeyLifeSeconds = int64_t{30} * 24 * 3600;
constexpr int64_t kDaySeconds = int64_t{24} * 3600;
constexpr int kHashNiceness = 10;
constexpr uint64_t kHashSliceNanos = 100'000;

// Linux's struct sched_attr, which the C library does not declare and whose header does not go with
// it.
struct SchedulerAttributes {
  uint32_t size = 48;
  uint32_t policy = SCHED_OTHER;
  uint64_t flags = 0;
  int32_t nice = kHashNiceness;
  uint32_t priority = 0;
  uint64_t runtime_nanos = kHashSliceNanos;
  uint64_t deadline_nanos = 0;
  uint64_t period_nanos = 0;
};
static_assert(sizeof(SchedulerAttributes) == 48);

// Of the calling thread: hashing yields to whatever else wants the processor. The short slice is
// for schedulers that let a thread finish its slice (Linux 6.6 and later, 3 ms by default) before
// one that wakes up has its turn; kernels that know no slices of threads ignore it.
void BeNice() {
  const SchedulerAttributes attributes;
  if (::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return;
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  if (::setpriority(PRIO_PROCESS, thread, kHashNiceness) != 0)
    LogWarning("password hashes run at full priority: the system allows no other");
}

}  // namespace

Auth::Auth(AuthOptions options, const AuthDeps& deps, std::string secret)
    : options_(std::move(options)),
      deps_(deps),
      secret_(std::move(secret)),
      directory_(secret_, *deps.clock, deps.store->tells_at_once()),
      verifier_(directory_, secret_, *deps.clock),
      logins_(
          deps.metrics->AddCounter("vectron_logins_total", "Tries to log in.", {{"result", "ok"}})),
      failed_logins_(deps.metrics->AddCounter("vectron_logins_total", "Tries to log in.",
                                              {{"result", "refused"}})),
      password_checks_(deps.metrics->AddCounter("vectron_password_checks_total",
                                                "Passwords checked against a hash.")) {}

void Auth::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  beat_.reset();
  hashes_.reset();
}

Auth::~Auth() {
  Stop();
  changes_.reset();
  subscription_.reset();
}

absl::StatusOr<std::unique_ptr<Auth>> Auth::Open(AuthOptions options, const AuthDeps& deps) {
  CHECK(deps.store != nullptr && deps.clock != nullptr && deps.metrics != nullptr);
  CHECK(deps.remove_collections != nullptr);
  ASSIGN_OR_RETURN(std::string secret, LoadOrMakeSecretFile(options.secret_file));
  std::unique_ptr<Auth> auth(new Auth(std::move(options), deps, std::move(secret)));
  RETURN_IF_ERROR(auth->Start());
  return auth;
}

absl::Status Auth::Start() {
  dummy_hash_ = HashPassword(RandomBytes(kMinPasswordBytes), options_.hash_cost);
  SetTriesPerAccountMinute(options_.tries_per_account_minute);
  subscription_ = deps_.store->Subscribe(kStorePrefix, directory_);
  if (!directory_.WaitLoaded(options_.load_timeout_ms))
    return Unavailable("the Auth service's store did not answer within {} ms",
                       options_.load_timeout_ms);
  RETURN_IF_ERROR(EnsureSigningKey());
  RETURN_IF_ERROR(EnsureBootstrap());
  if (!deps_.store->tells_at_once()) RETURN_IF_ERROR(Commit({.writes = {directory_.NextBeat()}}));
  hashes_ = std::make_unique<ThreadPool>("password", options_.hash_threads);
  for (size_t i = 0; i < options_.hash_threads; ++i) hashes_->Schedule(BeNice);
  changes_ = std::make_unique<ThreadPool>("auth", kChangeThreads);
  beat_ = std::make_unique<ThreadPool>("auth-beat", 1);
  beat_->Schedule([this] { BeatUntilStopped(); });
  return absl::OkStatus();
}

void Auth::SetTriesPerAccountMinute(double tries) {
  const absl::MutexLock lock(&tries_mutex_);
  if (tries == tries_per_minute_) return;  // what accounts have used up stays used up
  tries_per_minute_ = tries;
  tries_ =
      tries > 0 ? std::make_shared<rpc::TokenBuckets>(tries / 60, std::max(1.0, tries)) : nullptr;
}

std::shared_ptr<rpc::TokenBuckets> Auth::Tries() const {
  const absl::MutexLock lock(&tries_mutex_);
  return tries_;
}

absl::StatusOr<std::string> Auth::AddSigningKey() {
  store::v1::SigningKey key;
  key.set_id(Base64UrlEncode(RandomBytes(9)));
  key.set_salt(RandomBytes(32));
  // Later than all others, so that there is one newest.
  const auto keys = directory_.SigningKeys();
  key.set_created_at(std::max(NowSeconds(), keys.empty() ? int64_t{0} : keys.back().second + 1));
  RETURN_IF_ERROR(
      Commit({.compares = {{SigningKeyKey(key.id()), 0}},
              .writes = {{.key = SigningKeyKey(key.id()), .value = key.SerializeAsString()}}}));
  return key.id();
}

absl::Status Auth::EnsureSigningKey() {
  if (!directory_.key_ring()->empty()) return absl::OkStatus();
  return AddSigningKey().status();
}

absl::Status Auth::EnsureBootstrap() {
  const auto files = NewPosixFileSystem();
  if (directory_.AdminBeside("") != nullptr) return files->Remove(options_.bootstrap_file);
  const BootstrapPtr wanted = directory_.bootstrap();
  ASSIGN_OR_RETURN(const bool exists, files->Exists(options_.bootstrap_file));
  if (wanted != nullptr) {
    if (exists) {
      ASSIGN_OR_RETURN(std::string text, files->ReadAll(options_.bootstrap_file));
      while (!text.empty() && text.back() == '\n') text.pop_back();
      if (HoldsBootstrapSecret(text)) return absl::OkStatus();
    }
    // Of another instance, which has the file.
    if (!deps_.store->tells_at_once()) return absl::OkStatus();
  }
  const std::string secret = Base64UrlEncode(RandomBytes(32));
  RETURN_IF_ERROR(WriteSecretFile(options_.bootstrap_file, secret + "\n"));
  store::v1::Bootstrap record;
  record.set_hash(std::string(AsText(HmacSha256(secret_, "vectron bootstrap " + secret))));
  const absl::Status status =
      Commit({.compares = {{BootstrapKey(), wanted == nullptr ? 0 : wanted->revision}},
              .writes = {{.key = BootstrapKey(), .value = record.SerializeAsString()}}});
  if (absl::IsAborted(status)) return files->Remove(options_.bootstrap_file);
  RETURN_IF_ERROR(status);
  new_bootstrap_secret_ = secret;
  return absl::OkStatus();
}

bool Auth::HoldsBootstrapSecret(std::string_view shown) const {
  const BootstrapPtr wanted = directory_.bootstrap();
  if (wanted == nullptr) return false;
  const Sha256 hash = HmacSha256(secret_, fmt::format("vectron bootstrap {}", shown));
  return rpc::SecretsEqual(AsText(hash), wanted->record.hash());
}

void Auth::BeatUntilStopped() {
  std::optional<int64_t> tended_nanos;
  bool failing = false;
  do {
    if (!deps_.store->tells_at_once()) {
      const absl::StatusOr<int64_t> beat = deps_.store->Commit({.writes = {directory_.NextBeat()}});
      if (beat.ok() == failing) {
        failing = !beat.ok();
        if (failing) LogError("auth store: {}", MessageOf(beat.status()));
        if (!failing) LogInfo("auth store: it answers again");
      }
    }
    const int64_t now = deps_.clock->MonotonicNanos();
    if (!failing && (!tended_nanos || now - *tended_nanos >= kTendEveryNanos)) {
      tended_nanos = now;
      TendSigningKeys();
      FinishLeaving();
    }
  } while (!stop_.WaitForNotificationWithTimeout(kBeatInterval));
}

void Auth::TendSigningKeys() {
  const auto keys = directory_.SigningKeys();
  const int64_t now = NowSeconds();
  absl::Status status;
  if (keys.empty() || now - keys.back().second > kSigningKeyLifeSeconds)
    status = AddSigningKey().status();
  // A key signs until its successor has spread, and what it signed lives for kSdkTokenSeconds.
  for (size_t i = 0; i + 1 < keys.size(); ++i) {
    if (keys[i + 1].second + kSdkTokenSeconds + kDaySeconds > now) break;
    const std::string key = SigningKeyKey(keys[i].first);
    const absl::Status dropped = Commit({.writes = {{.key = key, .value = std::nullopt}}});
    if (!dropped.ok()) status = dropped;
  }
  if (!status.ok()) LogWarning("auth: signing keys stay as they are: {}", MessageOf(status));
}

void Auth::FinishLeaving() {
  for (const UserPtr& user : directory_.LeavingUsers()) {
    const std::string id = user->record.id();
    FinishDelete(id, [id](const absl::Status& status) {
      if (!status.ok()) LogWarning("auth: user {} is not deleted yet: {}", id, MessageOf(status));
    });
  }
}

absl::Status Auth::Commit(const MetaTxn& txn) {
  ASSIGN_OR_RETURN(const int64_t revision, deps_.store->Commit(txn));
  // What is durable counts; a mirror that is late only delays when it is seen here.
  if (!directory_.WaitFor(revision, kMirrorTimeoutMs))
    LogWarning("auth: revision {} is not mirrored after {} ms", revision, kMirrorTimeoutMs);
  return absl::OkStatus();
}

absl::StatusOr<UserPtr> Auth::ChangeUser(const std::string& user_id, const UserChange& change) {
  for (int i = 0; i < kMaxChangeTries; ++i) {
    const UserPtr user = directory_.FindUser(user_id);
    if (user == nullptr) return NotFound("user '{}' does not exist", user_id);
    store::v1::User next = user->record;
    RETURN_IF_ERROR(change(next));
    MetaTxn txn{.compares = {{UserKey(user_id), user->revision}},
                .writes = {{.key = UserKey(user_id), .value = next.SerializeAsString()}}};
    int64_t seen = user->revision;
    if (IsAdmin(user->record) && !IsAdmin(next)) {
      // Another one has to be there still when this one goes, also when instances let two go at the
      // same time: then each waits for the record that the other changes.
      const UserPtr other = directory_.AdminBeside(user_id);
      if (other == nullptr) return FailedPrecondition("the last administrator has to stay one");
      txn.compares.push_back({UserKey(other->record.id()), other->revision});
      seen = std::max(seen, other->revision);
    }
    const absl::Status status = Commit(txn);
    if (status.ok()) {
      return std::make_shared<const Stored<store::v1::User>>(
          Stored<store::v1::User>{std::move(next), 0});
    }
    if (!absl::IsAborted(status)) return status;
    directory_.WaitFor(seen + 1, kMirrorTimeoutMs);
  }
  return Aborted("user '{}' is being changed by others", user_id);
}

Auth::Lane Auth::lane() { return {changes_.get(), &waiting_, kMaxWaitingChanges}; }

void Auth::Run(const Lane& lane, const Context& context, Done done,
               std::function<absl::Status()> work) {
  if (lane.waiting->fetch_add(1, std::memory_order_relaxed) >= lane.limit) {
    lane.waiting->fetch_sub(1, std::memory_order_relaxed);
    return done(rpc::WithRetryAfter(
        ResourceExhausted("{} such calls wait, the most allowed", lane.limit), kBusyRetryMs));
  }
  lane.pool->Schedule(
      [this, waiting = lane.waiting, &context, done = std::move(done), work = std::move(work)] {
        waiting->fetch_sub(1, std::memory_order_relaxed);
        if (context.deadline_nanos != 0 && context.deadline_nanos <= deps_.clock->MonotonicNanos())
          return done(DeadlineExceeded("the deadline passed while the call waited"));
        done(work());
      });
}

}  // namespace vectron::auth
