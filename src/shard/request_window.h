#pragma once

// The request ids a shard remembers, so that a retried write applies once: the newest
// kRequestIdWindow ones, by log index, each with the fingerprint of its write, so that an id that
// is used for another write is told from a retry. Part of the replicated state: equal logs, equal
// windows. In the store (kRequests) and, for speed, here.

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

  struct Known {
    uint64_t index = 0;        // of the request's first application
    uint64_t fingerprint = 0;  // of its write; 0: not kept (by an earlier version)
    bool operator==(const Known&) const = default;
  };
  std::optional<Known> Find(std::string_view request_id) const;
  // Remembers a request, forgets the oldest when there are too many, and puts both into the batch.
  // known.index: above all earlier.
  void Add(std::string_view request_id, const Known& known, storage::WriteBatch& batch);
  size_t size() const { return order_.size(); }

  // From the store. DataLoss.
  absl::Status Load(const storage::Kv& kv);
  // For an index checkpoint, and back (docs/formats/shard-checkpoint.md). DataLoss,
  // FailedPrecondition (made by a newer version).
  std::string Serialize() const;
  absl::Status Parse(std::string_view bytes);

 private:
  const size_t capacity_;
  std::deque<std::pair<uint64_t, std::string>> order_;  // by index
  absl::flat_hash_map<std::string, Known> known_;
};

}  // namespace vectron::shard
