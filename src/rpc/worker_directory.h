#pragma once

// The workers of the cluster by id: a client for each, made when it is first asked for and kept, so
// that whoever holds one may use it as long as the directory lives. A worker's address may change
// when it starts again.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "model/ids.h"
#include "rpc/channel_pool.h"
#include "rpc/worker_client.h"

namespace vectron::rpc {

// Thread-safe.
class WorkerDirectory {
 public:
  // clock outlives it.
  WorkerDirectory(ChannelOptions options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  struct Address {
    WorkerId worker;
    std::string address;  // "host:port"
  };
  // Who there is; those that are not named are not known any more.
  void Update(const std::vector<Address>& workers);
  // Null when it is not known.
  WorkerApi* Find(WorkerId worker);
  std::vector<WorkerId> Known() const;

 private:
  struct Entry {
    std::string address;
    WorkerClient* client = nullptr;  // null until asked for
  };

  const ChannelOptions options_;
  const Clock& clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Entry> workers_ ABSL_GUARDED_BY(mutex_);
  // All ever made, by address: a worker that comes and goes at one address has one client.
  absl::flat_hash_map<std::string, std::unique_ptr<WorkerClient>> clients_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::rpc
