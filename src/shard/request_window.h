#pragma once

// The request ids a shard remembers, so that a retried write applies once: the newest
// kRequestIdWindow ones, by log index. Part of the replicated state: equal logs, equal windows. In
// the store (kRequests) and, for speed, here.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "storage/kv.h"

namespace vectron::shard {

// Thread-compatible.
class RequestWindow {
 public:
  explicit RequestWindow(size_t capacity) : capacity_(capacity) {}

  // The log index of the request's first application.
  std::optional<uint64_t> Find(std::string_view request_id) const;
  // Remembers a request, forgets the oldest when there are too many, and puts both into the batch.
  // index: above all earlier.
  void Add(std::string_view request_id, uint64_t index, storage::WriteBatch& batch);
  size_t size() const { return order_.size(); }

  // From the store. DataLoss.
  absl::Status Load(const storage::Kv& kv);
  // For an index checkpoint, and back. DataLoss.
  std::string Serialize() const;
  absl::Status Parse(std::string_view bytes);

 private:
  const size_t capacity_;
  std::deque<std::pair<uint64_t, std::string>> order_;  // by index
  absl::flat_hash_map<std::string, uint64_t> indexes_;
};

}  // namespace vectron::shard
