#pragma once

// Where the Auth service keeps its records: small, ordered, changed by compare-and-set. Two
// implementations with one contract test: over a Kv of this process and over etcd.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vectron::auth {

struct MetaEntry {
  std::string key;
  std::string value;
  int64_t revision = 0;  // of the transaction that wrote it last
};

// All or nothing: when every compared key is as expected, all writes happen.
struct MetaTxn {
  struct Compare {
    std::string key;
    int64_t revision = 0;  // the key's present one; 0: there is no such key
  };
  struct Write {
    std::string key;
    std::optional<std::string> value;  // nullopt: delete
    int64_t ttl_seconds = 0;           // of a put: after this it may go by itself; 0: stays
  };
  std::vector<Compare> compares = {};
  std::vector<Write> writes = {};  // at most kMaxTxnWrites, keys distinct
};
inline constexpr size_t kMaxTxnWrites = 100;  // etcd takes 128 operations by default
inline constexpr size_t kMaxMetaValueBytes = size_t{64} << 10;

// One key that was written (value) or deleted or has expired (nullopt).
struct MetaChange {
  std::string key;
  std::optional<std::string> value;
  int64_t revision = 0;
};

// Told what is under a prefix: first everything, then each change, in order and one call at a time.
// After an interruption everything comes again.
class MetaListener {
 public:
  virtual ~MetaListener() = default;
  virtual void OnSnapshot(std::vector<MetaEntry> entries, int64_t revision) = 0;
  virtual void OnChanges(std::vector<MetaChange> changes, int64_t revision) = 0;
};

// Ends the subscription: no call to the listener is running when it is gone, none follows.
class MetaSubscription {
 public:
  virtual ~MetaSubscription() = default;
};

// Thread-safe; all calls block, for a few seconds at most. Errors: Unavailable (cannot be reached,
// or the outcome of a commit is unknown), those of the store below.
class MetaStore {
 public:
  virtual ~MetaStore() = default;
  // Everything under the prefix, by key.
  virtual absl::StatusOr<std::vector<MetaEntry>> Read(const std::string& prefix) = 0;
  // Durable when it returns, with the revision it got: higher than all before. Aborted when a
  // compared key is not as expected.
  virtual absl::StatusOr<int64_t> Commit(const MetaTxn& txn) = 0;
  // The listener outlives the subscription, and the subscription does not outlive the store. Not to
  // be ended from within the listener.
  virtual std::unique_ptr<MetaSubscription> Subscribe(const std::string& prefix,
                                                      MetaListener& listener) = 0;
  // A subscriber has been told of a commit by the time Commit returns, whoever made it.
  virtual bool tells_at_once() const = 0;
};

}  // namespace vectron::auth
