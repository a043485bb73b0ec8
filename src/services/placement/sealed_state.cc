#include "services/placement/sealed_state.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::placement {
namespace {

constexpr uint32_t kVersion = 1;
constexpr size_t kMagicBytes = 8;
constexpr size_t kHeaderBytes = kMagicBytes + sizeof(uint32_t) + sizeof(uint64_t);

}  // namespace

std::string Seal(std::string_view magic, std::string_view body) {
  CHECK_EQ(magic.size(), kMagicBytes);
  std::string out(magic);
  PutFixed<uint32_t>(out, kVersion);
  PutFixed<uint64_t>(out, body.size());
  out += body;
  PutFixed<uint32_t>(out, Crc32c(out));
  return out;
}

absl::StatusOr<std::string_view> Unseal(std::string_view magic, std::string_view what,
                                        std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + sizeof(uint32_t)) {
    return DataLoss("{} is damaged: too short", what);
  }
  if (bytes.substr(0, kMagicBytes) != magic) {
    return DataLoss("{} is damaged: it is something else", what);
  }
  const size_t checked = bytes.size() - sizeof(uint32_t);
  if (Crc32c(bytes.substr(0, checked)) != LoadFixed<uint32_t>(bytes.data() + checked)) {
    return DataLoss("{} is damaged: checksum", what);
  }
  const auto version = LoadFixed<uint32_t>(bytes.data() + kMagicBytes);
  if (version > kVersion) {
    return FailedPrecondition("{} has version {}, this program knows up to {}", what, version,
                              kVersion);
  }
  const auto length = LoadFixed<uint64_t>(bytes.data() + kMagicBytes + sizeof(uint32_t));
  if (length != checked - kHeaderBytes) return DataLoss("{} is damaged: length", what);
  return bytes.substr(kHeaderBytes, length);
}

}  // namespace vectron::placement
