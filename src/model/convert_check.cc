#include "model/convert_check.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/validate.h"

namespace vectron {

void BatchBuilder::Reserve(size_t points, size_t components) {
  batch_.ids.reserve(points);
  batch_.payloads.reserve(points);
  batch_.vectors.reserve(components);
}

absl::Status BatchBuilder::CheckCount(size_t points) {
  if (points <= kMaxUpsertPoints) return absl::OkStatus();
  return InvalidArgument("points has {} entries, at most {} are allowed", points, kMaxUpsertPoints);
}

void BatchBuilder::BeginPoint() {
  CHECK_LT(size(), kMaxUpsertPoints);
  begin_ = batch_.vectors.size();
}

absl::Status BatchBuilder::EndPoint(std::string id, std::string payload) {
  const size_t components = component_count();
  const size_t index = size();
  if (components == 0) return InvalidArgument("{}: vector is empty", PointPlace(index, id));
  if (index == 0) {
    if (components > kMaxDimension) {
      return InvalidArgument("{}: vector has {} components, at most {} are allowed",
                             PointPlace(index, id), components, kMaxDimension);
    }
    batch_.dimension = static_cast<uint32_t>(components);
  } else if (components != batch_.dimension && !odd_length_.has_value()) {
    odd_length_ = OddLength{.index = index, .id = id, .components = components};
  }
  ++count_;
  bytes_ += components * sizeof(float) + id.size() + payload.size();
  if (bytes_ > kMaxUpsertBytes) {
    return InvalidArgument("points have more than {} bytes up to {}", kMaxUpsertBytes,
                           PointPlace(index, id));
  }
  if (odd_length_.has_value()) {
    batch_.vectors.resize(begin_);
    return absl::OkStatus();
  }
  batch_.ids.push_back(std::move(id));
  batch_.payloads.push_back(std::move(payload));
  return absl::OkStatus();
}

absl::Status CheckRequestId(const std::string& request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidArgument("request_id has {} bytes, at most {} are allowed", request_id.size(),
                         kMaxRequestIdBytes);
}

absl::Status FinishSearch(SearchCall& call) {
  if (call.top_k == 0) call.top_k = kDefaultTopK;
  if (call.top_k > kMaxTopK) {
    return InvalidArgument("top_k is {}, at most {} is allowed", call.top_k, kMaxTopK);
  }
  if (call.offset > kMaxTopK - call.top_k) {
    return InvalidArgument("offset {} + top_k {} is more than {}", call.offset, call.top_k,
                           kMaxTopK);
  }
  call.query.k = call.offset + call.top_k;
  if (call.query.payload_fields.size() > kMaxPayloadFields) {
    return InvalidArgument("payload_fields has {} names, at most {} are allowed",
                           call.query.payload_fields.size(), kMaxPayloadFields);
  }
  if (call.query.score_threshold && !std::isfinite(*call.query.score_threshold)) {
    return InvalidArgument("score_threshold is not finite");
  }
  if (!std::isfinite(call.target_recall)) {
    return InvalidArgument("params.target_recall is not finite");
  }
  return CheckFinite(call.query.vector, "");
}

absl::Status FinishScroll(ScrollCall& call) {
  if (call.limit == 0) call.limit = kDefaultScrollLimit;
  if (call.limit <= kMaxScrollLimit) return absl::OkStatus();
  return InvalidArgument("limit is {}, at most {} is allowed", call.limit, kMaxScrollLimit);
}

}  // namespace vectron
