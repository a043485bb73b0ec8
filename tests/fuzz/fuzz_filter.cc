// Any bytes as a filter: it is refused as InvalidArgument, or survives the way over the wire form.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/filter.h"
#include "vectron/vectron.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto filter = vectron::FilterFromJson({reinterpret_cast<const char*>(data), size});
  if (!filter.ok()) {
    CHECK(absl::IsInvalidArgument(filter.status()));
    return 0;
  }
  vectron::v1::Filter proto;
  vectron::FilterToProto(*filter, proto);
  const auto again = vectron::FilterFromProto(proto);
  CHECK_OK(again.status());
  const auto payload =
      vectron::ParsePayload(R"({"a":[1,"x",{"b":true}],"c":"2026-01-01T00:00:00Z"})");
  CHECK_EQ(vectron::Matches(*filter, "p", *payload), vectron::Matches(*again, "p", *payload));
  return 0;
}
