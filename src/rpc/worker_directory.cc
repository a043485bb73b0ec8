#include "rpc/worker_directory.h"

#include <algorithm>
#include <utility>

namespace vectron::rpc {

void WorkerDirectory::Update(const std::vector<Address>& workers) {
  const absl::MutexLock lock(&mutex_);
  absl::flat_hash_map<uint64_t, Entry> next;
  for (const Address& worker : workers) {
    Entry& entry = next[worker.worker.value];
    entry.address = worker.address;
    const auto before = workers_.find(worker.worker.value);
    if (before != workers_.end() && before->second.address == worker.address) {
      entry.client = before->second.client;
    }
  }
  workers_ = std::move(next);
}

WorkerApi* WorkerDirectory::Find(WorkerId worker) {
  {
    const absl::ReaderMutexLock lock(&mutex_);
    const auto found = workers_.find(worker.value);
    if (found == workers_.end()) return nullptr;
    if (found->second.client != nullptr) return found->second.client;
  }
  const absl::MutexLock lock(&mutex_);
  const auto found = workers_.find(worker.value);
  if (found == workers_.end()) return nullptr;
  Entry& entry = found->second;
  std::unique_ptr<WorkerClient>& client = clients_[entry.address];
  if (client == nullptr) client = std::make_unique<WorkerClient>(entry.address, options_, clock_);
  entry.client = client.get();
  return entry.client;
}

std::vector<WorkerId> WorkerDirectory::Known() const {
  std::vector<WorkerId> known;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [id, entry] : workers_) known.push_back(WorkerId{id});
  }
  std::sort(known.begin(), known.end());
  return known;
}

}  // namespace vectron::rpc
