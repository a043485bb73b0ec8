// Any bytes as the body of a search request: it is read or refused as InvalidArgument.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/convert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const vectron::PaddedJson json{
      .data = reinterpret_cast<const char*>(data), .size = size, .capacity = size};
  const auto call = vectron::SearchFromJson(json, "docs");
  CHECK(call.ok() || absl::IsInvalidArgument(call.status()));
  return 0;
}
