#include "shard/request_window.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "storage/layout.h"

namespace vectron::shard {
namespace {

// The serialised form begins with its version, in the bits above the count. Version 0 has no
// fingerprints.
constexpr uint64_t kVersion = 1;
constexpr int kVersionShift = 56;

}  // namespace

std::optional<RequestWindow::Known> RequestWindow::Find(std::string_view request_id) const {
  const auto found = known_.find(std::string(request_id));
  if (found == known_.end()) return std::nullopt;
  return found->second;
}

void RequestWindow::Add(std::string_view request_id, const Known& known,
                        storage::WriteBatch& batch) {
  CHECK(order_.empty() || order_.back().first < known.index);
  order_.emplace_back(known.index, request_id);
  known_[std::string(request_id)] = known;
  batch.Put(storage::kRequests, storage::RequestKey(request_id),
            storage::EncodeRequestValue({known.index, known.fingerprint}));
  batch.Put(storage::kRequests, storage::RequestOrderKey(known.index), std::string(request_id));
  if (order_.size() <= capacity_) return;
  const auto& [oldest_index, oldest_id] = order_.front();
  batch.Delete(storage::kRequests, storage::RequestKey(oldest_id));
  batch.Delete(storage::kRequests, storage::RequestOrderKey(oldest_index));
  known_.erase(oldest_id);
  order_.pop_front();
}

absl::Status RequestWindow::Load(const storage::Kv& kv) {
  order_.clear();
  known_.clear();
  size_t values = 0;
  absl::Status status;
  // First the order, then, by keys that are greater, what is known of each.
  const auto visit = [&](std::string_view key, std::string_view value) {
    if (const auto index = storage::ParseRequestOrderKey(key); index.has_value()) {
      order_.emplace_back(*index, value);
      known_[std::string(value)] = {.index = *index};
      return true;
    }
    const auto request_id = storage::ParseRequestKey(key);
    const auto found =
        request_id.has_value() ? known_.find(std::string(*request_id)) : known_.end();
    const auto decoded = storage::DecodeRequestValue(value);
    if (!decoded.ok()) {
      status = decoded.status();
    } else if (found == known_.end() || found->second.index != decoded->index) {
      status = DataLoss("request window: an id without its position");
    } else {
      found->second.fingerprint = decoded->fingerprint;
      values += 1;
    }
    return status.ok();
  };
  RETURN_IF_ERROR(kv.Scan(storage::kRequests, storage::RequestOrderKey(0), {}, nullptr, visit));
  RETURN_IF_ERROR(status);
  if (known_.size() != order_.size() || values != order_.size()) {
    return DataLoss("request window: {} ids, {} positions", values, order_.size());
  }
  return absl::OkStatus();
}

std::string RequestWindow::Serialize() const {
  std::string out;
  PutFixed(out, kVersion << kVersionShift | static_cast<uint64_t>(order_.size()));
  for (const auto& [index, request_id] : order_) {
    PutFixed(out, index);
    PutFixed(out, known_.at(request_id).fingerprint);
    PutLengthPrefixed(out, request_id);
  }
  return out;
}

absl::Status RequestWindow::Parse(std::string_view bytes) {
  order_.clear();
  known_.clear();
  ByteReader reader(bytes);
  uint64_t count = 0;
  reader.ReadFixed(count);
  const uint64_t version = count >> kVersionShift;
  if (version > kVersion) {
    return FailedPrecondition("request window: version {}, newest known {}", version, kVersion);
  }
  count &= (uint64_t{1} << kVersionShift) - 1;
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    Known known;
    std::string_view request_id;
    if (!reader.ReadFixed(known.index)) break;
    if (version > 0 && !reader.ReadFixed(known.fingerprint)) break;
    if (!reader.ReadLengthPrefixed(request_id)) break;
    order_.emplace_back(known.index, request_id);
    known_[std::string(request_id)] = known;
  }
  if (!reader.ok() || reader.remaining() != 0 || known_.size() != count) {
    return DataLoss("request window: cut short or contradictory");
  }
  return absl::OkStatus();
}

}  // namespace vectron::shard
