#include "shard/point_store.h"

#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "index/half.h"
#include "storage/layout.h"

namespace vectron::shard {

std::span<const float> PointStore::Rounded(std::span<const float> vector,
                                           std::vector<float>& buffer) const {
  if (storage_ == VectorStorage::kF32) return vector;
  buffer.resize(vector.size());
  for (size_t i = 0; i < vector.size(); ++i) buffer[i] = index::FromHalf(index::ToHalf(vector[i]));
  return buffer;
}

void PointStore::Put(storage::WriteBatch& batch, const NewPoint& point) const {
  CHECK_EQ(point.vector.size(), size_t{dimension_});
  batch.Put(storage::kPoints, std::string(point.id),
            storage::EncodePointValue(point.version, point.payload));
  std::string value;
  if (storage_ == VectorStorage::kF32) {
    value.reserve(point.vector.size_bytes() + sizeof point.version);
    value.append(reinterpret_cast<const char*>(point.vector.data()), point.vector.size_bytes());
  } else {
    std::vector<uint16_t> halves(point.vector.size());
    index::ToHalf(point.vector, halves.data());
    value.append(reinterpret_cast<const char*>(halves.data()), halves.size() * sizeof(uint16_t));
  }
  PutFixed(value, point.version);
  batch.Put(storage::kVectors, std::string(point.id), std::move(value));
}

void PointStore::Erase(storage::WriteBatch& batch, std::string_view id) const {
  batch.Delete(storage::kPoints, std::string(id));
  batch.Delete(storage::kVectors, std::string(id));
}

absl::StatusOr<std::vector<std::optional<PointStore::Point>>> PointStore::ReadPoints(
    const std::vector<std::string_view>& ids) const {
  ASSIGN_OR_RETURN(const auto values, kv_.MultiGet(storage::kPoints, ids));
  std::vector<std::optional<Point>> points(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!values[i].has_value()) continue;
    ASSIGN_OR_RETURN(const storage::PointValue value, storage::DecodePointValue(*values[i]));
    points[i] = Point{value.version, std::string(value.payload)};
  }
  return points;
}

absl::StatusOr<PointStore::Vector> PointStore::DecodeVector(std::string_view id,
                                                            std::string_view value) const {
  const size_t component_bytes = storage_ == VectorStorage::kF32 ? sizeof(float) : sizeof(uint16_t);
  const size_t wanted = dimension_ * component_bytes + sizeof(uint64_t);
  if (value.size() != wanted) {
    return DataLoss("stored vector of '{}' has {} bytes, wanted {}", id, value.size(), wanted);
  }
  Vector vector;
  vector.components.resize(dimension_);
  if (storage_ == VectorStorage::kF32) {
    std::memcpy(vector.components.data(), value.data(), dimension_ * sizeof(float));
  } else {
    for (uint32_t i = 0; i < dimension_; ++i) {
      vector.components[i] =
          index::FromHalf(LoadFixed<uint16_t>(value.data() + i * sizeof(uint16_t)));
    }
  }
  vector.version = LoadFixed<uint64_t>(value.data() + value.size() - sizeof(uint64_t));
  return vector;
}

absl::StatusOr<std::optional<PointStore::Vector>> PointStore::ReadVector(
    std::string_view id) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> value, kv_.Get(storage::kVectors, id));
  if (!value.has_value()) return std::nullopt;
  ASSIGN_OR_RETURN(Vector vector, DecodeVector(id, *value));
  return vector;
}

absl::StatusOr<std::vector<std::optional<PointStore::Vector>>> PointStore::ReadVectors(
    const std::vector<std::string_view>& ids) const {
  ASSIGN_OR_RETURN(const auto values, kv_.MultiGet(storage::kVectors, ids));
  std::vector<std::optional<Vector>> vectors(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!values[i].has_value()) continue;
    ASSIGN_OR_RETURN(vectors[i], DecodeVector(ids[i], *values[i]));
  }
  return vectors;
}

absl::StatusOr<std::optional<PointRecord>> PointStore::ReadRecord(std::string_view id,
                                                                  bool with_vector) const {
  // The two reads may fall on two sides of a write; versions tell, and the next try finds the newer
  // state. A point that is written faster than it can be read twice is a fault.
  for (int tries = 0; tries < 1'000; ++tries) {
    ASSIGN_OR_RETURN(const std::optional<std::string> bytes, kv_.Get(storage::kPoints, id));
    if (!bytes.has_value()) return std::nullopt;
    ASSIGN_OR_RETURN(const storage::PointValue value, storage::DecodePointValue(*bytes));
    PointRecord record;
    record.id = id;
    record.version = value.version;
    record.payload = value.payload;
    if (!with_vector) return record;
    ASSIGN_OR_RETURN(std::optional<Vector> vector, ReadVector(id));
    if (vector.has_value() && vector->version == value.version) {
      record.vector = std::move(vector->components);
      return record;
    }
  }
  return DataLoss("point '{}': payload and vector are of different versions", id);
}

absl::Status PointStore::ScanPoints(
    std::string_view after,
    const std::function<bool(std::string_view id, uint64_t version, std::string_view payload)>&
        visit) const {
  std::string begin;
  if (!after.empty()) begin = std::string(after) + '\0';
  absl::Status status;
  const absl::Status scanned = kv_.Scan(
      storage::kPoints, begin, {}, nullptr, [&](std::string_view id, std::string_view bytes) {
        const absl::StatusOr<storage::PointValue> value = storage::DecodePointValue(bytes);
        if (!value.ok()) {
          status = Annotate(value.status(), id);
          return false;
        }
        return visit(id, value->version, value->payload);
      });
  RETURN_IF_ERROR(scanned);
  return status;
}

absl::StatusOr<uint64_t> PointStore::ReadNumber(std::string_view meta_key) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> value, kv_.Get(storage::kMeta, meta_key));
  if (!value.has_value()) return uint64_t{0};
  return storage::DecodeNumber(*value);
}

}  // namespace vectron::shard
