// Any bytes as a payload: both readers agree, and the normal form is read again as the same.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/payload.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto normal = vectron::NormalizePayload(json);
  const auto tree = vectron::ParsePayload(json);
  CHECK_EQ(normal.ok(), tree.ok());
  if (!normal.ok()) {
    CHECK(absl::IsInvalidArgument(normal.status()));
    return 0;
  }
  CHECK_EQ(vectron::WritePayload(*tree), *normal);
  const auto again = vectron::ParsePayload(*normal);
  CHECK_OK(again.status());
  CHECK(*again == *tree);
  return 0;
}
