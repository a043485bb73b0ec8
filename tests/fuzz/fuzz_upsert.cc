// Any bytes as the body of an upsert: it is refused as InvalidArgument, or read into whole columns
// with payloads in normal form.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/convert.h"
#include "model/payload.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const vectron::PaddedJson json{
      .data = reinterpret_cast<const char*>(data), .size = size, .capacity = size};
  const auto call = vectron::UpsertFromJson(json, "docs");
  if (!call.ok()) {
    CHECK(absl::IsInvalidArgument(call.status()));
    return 0;
  }
  const vectron::PointBatch& points = call->points;
  CHECK_EQ(points.vectors.size(), points.size() * points.dimension);
  CHECK_EQ(points.payloads.size(), points.size());
  for (const std::string& payload : points.payloads) {
    const auto normal = vectron::NormalizePayload(payload);
    CHECK_OK(normal.status());
    CHECK_EQ(*normal, payload);
  }
  return 0;
}
