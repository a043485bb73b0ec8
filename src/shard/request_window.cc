#include "shard/request_window.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "storage/layout.h"

namespace vectron::shard {

std::optional<uint64_t> RequestWindow::Find(std::string_view request_id) const {
  const auto found = indexes_.find(std::string(request_id));
  if (found == indexes_.end()) return std::nullopt;
  return found->second;
}

void RequestWindow::Add(std::string_view request_id, uint64_t index, storage::WriteBatch& batch) {
  CHECK(order_.empty() || order_.back().first < index);
  order_.emplace_back(index, request_id);
  indexes_[std::string(request_id)] = index;
  batch.Put(storage::kRequests, storage::RequestKey(request_id),
            storage::EncodeRequestValue(index, ""));
  batch.Put(storage::kRequests, storage::RequestOrderKey(index), std::string(request_id));
  if (order_.size() <= capacity_) return;
  const auto& [oldest_index, oldest_id] = order_.front();
  batch.Delete(storage::kRequests, storage::RequestKey(oldest_id));
  batch.Delete(storage::kRequests, storage::RequestOrderKey(oldest_index));
  indexes_.erase(oldest_id);
  order_.pop_front();
}

absl::Status RequestWindow::Load(const storage::Kv& kv) {
  order_.clear();
  indexes_.clear();
  const std::string begin = storage::RequestOrderKey(0);
  absl::Status status;
  RETURN_IF_ERROR(kv.Scan(storage::kRequests, begin, {}, nullptr,
                          [&](std::string_view key, std::string_view request_id) {
                            const auto index = storage::ParseRequestOrderKey(key);
                            if (!index.has_value()) return false;
                            order_.emplace_back(*index, request_id);
                            indexes_[std::string(request_id)] = *index;
                            return true;
                          }));
  if (indexes_.size() != order_.size()) {
    return DataLoss("request window: {} ids, {} positions", indexes_.size(), order_.size());
  }
  return absl::OkStatus();
}

std::string RequestWindow::Serialize() const {
  std::string out;
  PutFixed(out, static_cast<uint64_t>(order_.size()));
  for (const auto& [index, request_id] : order_) {
    PutFixed(out, index);
    PutLengthPrefixed(out, request_id);
  }
  return out;
}

absl::Status RequestWindow::Parse(std::string_view bytes) {
  order_.clear();
  indexes_.clear();
  ByteReader reader(bytes);
  uint64_t count = 0;
  reader.ReadFixed(count);
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    uint64_t index = 0;
    std::string_view request_id;
    if (!reader.ReadFixed(index) || !reader.ReadLengthPrefixed(request_id)) break;
    order_.emplace_back(index, request_id);
    indexes_[std::string(request_id)] = index;
  }
  if (!reader.ok() || reader.remaining() != 0 || indexes_.size() != count) {
    return DataLoss("request window: cut short or contradictory");
  }
  return absl::OkStatus();
}

}  // namespace vectron::shard
