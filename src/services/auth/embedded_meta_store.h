#pragma once

// The Auth service's records in a Kv of this process (docs/formats/auth-store.md).

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "services/auth/meta_store.h"
#include "storage/kv.h"

namespace vectron::auth {

// One thread does everything, so commits have one order and need no lock. What has expired goes
// with the next commit or read.
class EmbeddedMetaStore : public MetaStore {
 public:
  // `kv` has one column. DataLoss when it holds something else.
  static absl::StatusOr<std::unique_ptr<EmbeddedMetaStore>> Open(std::unique_ptr<storage::Kv> kv,
                                                                 const Clock& clock);
  ~EmbeddedMetaStore() override;

  absl::StatusOr<std::vector<MetaEntry>> Read(const std::string& prefix) override;
  absl::StatusOr<int64_t> Commit(const MetaTxn& txn) override;
  std::unique_ptr<MetaSubscription> Subscribe(const std::string& prefix,
                                              MetaListener& listener) override;
  bool tells_at_once() const override { return true; }

 private:
  class Subscription;
  struct Record {
    std::string value;
    int64_t revision = 0;
    int64_t expires_unix_ms = 0;  // 0: never
  };

  EmbeddedMetaStore(std::unique_ptr<storage::Kv> kv, const Clock& clock);
  absl::Status Load();
  // Runs `task` on the thread and waits for it.
  void Run(const std::function<void()>& task);
  // Below: on the thread only.
  absl::StatusOr<int64_t> CommitNow(const MetaTxn& txn);
  absl::Status Write(const std::vector<MetaTxn::Write>& writes);
  void DropExpired();
  std::vector<MetaEntry> ReadNow(const std::string& prefix) const;

  const std::unique_ptr<storage::Kv> kv_;
  const Clock& clock_;
  // Puts a record in place of what was under the key; nullopt: nothing.
  void Place(const std::string& key, std::optional<Record> record);

  std::map<std::string, Record> records_;               // of the thread, as the next three
  std::set<std::pair<int64_t, std::string>> expiries_;  // of the records that expire, soonest first
  int64_t revision_ = 0;
  std::vector<Subscription*> subscriptions_;
  ThreadPool thread_{"auth-store", 1};  // last: it uses everything above
};

}  // namespace vectron::auth
