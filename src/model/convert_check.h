#pragma once

// Checks that the readers of both wire forms share. Included by the .cc files of this folder only.

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "model/convert.h"

namespace vectron {

// Takes the points of an upsert one by one. For each: BeginPoint, append its components to
// vectors(), EndPoint. Confined to one thread.
class BatchBuilder {
 public:
  // Makes room for this many points.
  void Reserve(size_t points, size_t components);
  // InvalidArgument: more points than one upsert may have.
  static absl::Status CheckCount(size_t points);
  // size() < kMaxUpsertPoints.
  void BeginPoint();
  std::vector<float>& vectors() { return batch_.vectors; }
  // Components appended since BeginPoint.
  size_t component_count() const { return batch_.vectors.size() - begin_; }
  absl::Status EndPoint(std::string id, std::string payload);
  // Points begun and ended, also those behind one of another length.
  size_t size() const { return count_; }
  PointBatch Take() { return std::move(batch_); }
  std::optional<OddLength> TakeOddLength() { return std::move(odd_length_); }

 private:
  PointBatch batch_;
  std::optional<OddLength> odd_length_;
  size_t count_ = 0;
  size_t begin_ = 0;  // of the present vector in batch_.vectors
  size_t bytes_ = 0;
};

absl::Status CheckRequestId(const std::string& request_id);

// Fills in defaults and what follows from other fields (query.k), and checks ranges.
absl::Status FinishSearch(SearchCall& call);
absl::Status FinishScroll(ScrollCall& call);

}  // namespace vectron
