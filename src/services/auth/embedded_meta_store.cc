#include "services/auth/embedded_meta_store.h"

#include <algorithm>
#include <utility>

#include "absl/synchronization/notification.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::auth {
namespace {

constexpr storage::Column kColumn = 0;
constexpr char kRecordPrefix = 'k';
constexpr char kRevisionKey[] = "revision";

std::string Encode(int64_t revision, int64_t expires_unix_ms, std::string_view value) {
  std::string bytes;
  PutFixed<uint64_t>(bytes, static_cast<uint64_t>(revision));
  PutFixed<uint64_t>(bytes, static_cast<uint64_t>(expires_unix_ms));
  bytes += value;
  return bytes;
}

}  // namespace

class EmbeddedMetaStore::Subscription : public MetaSubscription {
 public:
  Subscription(EmbeddedMetaStore& store, std::string prefix, MetaListener& listener)
      : store_(store), prefix_(std::move(prefix)), listener_(listener) {
    store_.Run([this] {
      store_.DropExpired();
      listener_.OnSnapshot(store_.ReadNow(prefix_), store_.revision_);
      store_.subscriptions_.push_back(this);
    });
  }
  ~Subscription() override {
    store_.Run([this] { std::erase(store_.subscriptions_, this); });
  }
  void Tell(const std::vector<MetaTxn::Write>& writes, int64_t revision) {
    std::vector<MetaChange> changes;
    for (const MetaTxn::Write& write : writes) {
      if (write.key.starts_with(prefix_)) changes.push_back({write.key, write.value, revision});
    }
    if (!changes.empty()) listener_.OnChanges(std::move(changes), revision);
  }

 private:
  EmbeddedMetaStore& store_;
  const std::string prefix_;
  MetaListener& listener_;
};

EmbeddedMetaStore::EmbeddedMetaStore(std::unique_ptr<storage::Kv> kv, const Clock& clock)
    : kv_(std::move(kv)), clock_(clock) {}

EmbeddedMetaStore::~EmbeddedMetaStore() { CHECK(subscriptions_.empty()); }

absl::StatusOr<std::unique_ptr<EmbeddedMetaStore>> EmbeddedMetaStore::Open(
    std::unique_ptr<storage::Kv> kv, const Clock& clock) {
  CHECK(kv != nullptr);
  std::unique_ptr<EmbeddedMetaStore> store(new EmbeddedMetaStore(std::move(kv), clock));
  absl::Status loaded;
  store->Run([&] { loaded = store->Load(); });
  RETURN_IF_ERROR(loaded);
  return store;
}

void EmbeddedMetaStore::Run(const std::function<void()>& task) {
  absl::Notification done;
  thread_.Schedule([&] {
    task();
    done.Notify();
  });
  done.WaitForNotification();
}

absl::Status EmbeddedMetaStore::Load() {
  ASSIGN_OR_RETURN(const std::optional<std::string> revision, kv_->Get(kColumn, kRevisionKey));
  if (revision) {
    if (revision->size() != sizeof(uint64_t))
      return DataLoss("auth store: its revision is damaged");
    revision_ = static_cast<int64_t>(LoadFixed<uint64_t>(revision->data()));
  }
  std::string damaged;
  const std::string begin(1, kRecordPrefix);
  const std::string end(1, kRecordPrefix + 1);
  RETURN_IF_ERROR(
      kv_->Scan(kColumn, begin, end, nullptr, [&](std::string_view key, std::string_view bytes) {
        if (bytes.size() < 2 * sizeof(uint64_t)) {
          damaged = std::string(key);
          return false;
        }
        Record record;
        record.revision = static_cast<int64_t>(LoadFixed<uint64_t>(bytes.data()));
        record.expires_unix_ms = static_cast<int64_t>(LoadFixed<uint64_t>(bytes.data() + 8));
        record.value = std::string(bytes.substr(16));
        Place(std::string(key.substr(1)), std::move(record));
        return true;
      }));
  if (!damaged.empty()) return DataLoss("auth store: the record of '{}' is damaged", damaged);
  return absl::OkStatus();
}

std::vector<MetaEntry> EmbeddedMetaStore::ReadNow(const std::string& prefix) const {
  std::vector<MetaEntry> entries;
  for (auto it = records_.lower_bound(prefix);
       it != records_.end() && it->first.starts_with(prefix); ++it) {
    entries.push_back({it->first, it->second.value, it->second.revision});
  }
  return entries;
}

void EmbeddedMetaStore::Place(const std::string& key, std::optional<Record> record) {
  const auto found = records_.find(key);
  if (found != records_.end()) {
    expiries_.erase({found->second.expires_unix_ms, key});
    records_.erase(found);
  }
  if (!record) return;
  if (record->expires_unix_ms != 0) expiries_.emplace(record->expires_unix_ms, key);
  records_.emplace(key, *std::move(record));
}

absl::Status EmbeddedMetaStore::Write(const std::vector<MetaTxn::Write>& writes) {
  const int64_t revision = revision_ + 1;
  const int64_t now = clock_.UnixMillis();
  storage::WriteBatch batch;
  for (const MetaTxn::Write& write : writes) {
    if (write.value) {
      const int64_t expires = write.ttl_seconds > 0 ? now + write.ttl_seconds * 1000 : 0;
      batch.Put(kColumn, kRecordPrefix + write.key, Encode(revision, expires, *write.value));
    } else {
      batch.Delete(kColumn, kRecordPrefix + write.key);
    }
  }
  std::string number;
  PutFixed<uint64_t>(number, static_cast<uint64_t>(revision));
  batch.Put(kColumn, kRevisionKey, std::move(number));
  RETURN_IF_ERROR(kv_->Write(batch, storage::Kv::Durability::kSynced));
  revision_ = revision;
  for (const MetaTxn::Write& write : writes) {
    std::optional<Record> record;
    if (write.value) {
      record = {*write.value, revision, write.ttl_seconds > 0 ? now + write.ttl_seconds * 1000 : 0};
    }
    Place(write.key, std::move(record));
  }
  for (Subscription* subscription : subscriptions_) subscription->Tell(writes, revision);
  return absl::OkStatus();
}

void EmbeddedMetaStore::DropExpired() {
  const int64_t now = clock_.UnixMillis();
  std::vector<MetaTxn::Write> writes;
  for (const auto& [expires, key] : expiries_) {
    if (expires > now) break;
    writes.push_back({.key = key, .value = std::nullopt});
  }
  if (writes.empty()) return;
  const absl::Status status = Write(writes);
  // They stay until the next time; whoever reads them knows when they end.
  if (!status.ok()) LogWarning("auth store: expired records stay: {}", MessageOf(status));
}

absl::StatusOr<int64_t> EmbeddedMetaStore::CommitNow(const MetaTxn& txn) {
  DropExpired();
  for (const MetaTxn::Compare& compare : txn.compares) {
    const auto found = records_.find(compare.key);
    const int64_t revision = found == records_.end() ? 0 : found->second.revision;
    if (revision != compare.revision) return Aborted("'{}' has changed meanwhile", compare.key);
  }
  RETURN_IF_ERROR(Write(txn.writes));
  return revision_;
}

absl::StatusOr<std::vector<MetaEntry>> EmbeddedMetaStore::Read(const std::string& prefix) {
  std::vector<MetaEntry> entries;
  Run([&] {
    DropExpired();
    entries = ReadNow(prefix);
  });
  return entries;
}

absl::StatusOr<int64_t> EmbeddedMetaStore::Commit(const MetaTxn& txn) {
  CHECK(txn.writes.size() <= kMaxTxnWrites);
  absl::StatusOr<int64_t> result = 0;
  Run([&] { result = CommitNow(txn); });
  return result;
}

std::unique_ptr<MetaSubscription> EmbeddedMetaStore::Subscribe(const std::string& prefix,
                                                               MetaListener& listener) {
  return std::make_unique<Subscription>(*this, prefix, listener);
}

}  // namespace vectron::auth
