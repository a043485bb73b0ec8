#pragma once

// The rows of one shard's store: points, vectors, and what moves with them. Keys and values as in
// storage/layout.h; a value of kVectors is the components (f32, or f16 when the schema says so) and
// then the u64 version, so that a vector and a payload read apart are known to belong together.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/point.h"
#include "storage/kv.h"

namespace vectron::shard {

// Thread-safe; batches are the caller's.
class PointStore {
 public:
  // kv outlives it.
  PointStore(storage::Kv& kv, const CollectionSchema& schema)
      : kv_(kv), dimension_(schema.dimension), storage_(schema.storage) {}

  storage::Kv& kv() const { return kv_; }

  // --- writing ---
  // The vector as it will be read back: rounded with f16. Returns `vector` itself with f32.
  std::span<const float> Rounded(std::span<const float> vector, std::vector<float>& buffer) const;
  struct NewPoint {
    std::string_view id;
    uint64_t version = 0;
    std::string_view payload;
    std::span<const float> vector;
  };
  void Put(storage::WriteBatch& batch, const NewPoint& point) const;
  void Erase(storage::WriteBatch& batch, std::string_view id) const;

  // --- reading ---
  struct Point {
    uint64_t version = 0;
    std::string payload;
  };
  // One entry per id.
  absl::StatusOr<std::vector<std::optional<Point>>> ReadPoints(
      const std::vector<std::string_view>& ids) const;
  struct Vector {
    uint64_t version = 0;
    std::vector<float> components;
  };
  absl::StatusOr<std::optional<Vector>> ReadVector(std::string_view id) const;
  absl::StatusOr<std::vector<std::optional<Vector>>> ReadVectors(
      const std::vector<std::string_view>& ids) const;
  // Payload and vector of one version, as of some moment during the call.
  absl::StatusOr<std::optional<PointRecord>> ReadRecord(std::string_view id,
                                                        bool with_vector) const;
  // Points after `after` (exclusive; "" from the start) in id order, until visit returns false.
  absl::Status ScanPoints(std::string_view after,
                          const std::function<bool(std::string_view id, uint64_t version,
                                                   std::string_view payload)>& visit) const;

  // --- what moves with the points ---
  // 0 when the store is new.
  absl::StatusOr<uint64_t> ReadNumber(std::string_view meta_key) const;

 private:
  absl::StatusOr<Vector> DecodeVector(std::string_view id, std::string_view value) const;

  storage::Kv& kv_;
  const uint32_t dimension_;
  const VectorStorage storage_;
};

}  // namespace vectron::shard
