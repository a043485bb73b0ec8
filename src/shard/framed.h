#pragma once

// What stands before the content of a small file: u32 magic, u32 version 1, its length, u32 CRC32C
// of it (docs/formats/replica.md, docs/formats/shard-checkpoint.md). For the .cc files of this
// folder.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::shard {

inline constexpr uint32_t kFrameVersion = 1;

// Length: the type that the format has for it.
template <typename Length>
std::string Framed(uint32_t magic, std::string_view body) {
  std::string out;
  PutFixed(out, magic);
  PutFixed(out, kFrameVersion);
  PutFixed(out, static_cast<Length>(body.size()));
  PutFixed(out, Crc32c(body));
  out.append(body);
  return out;
}

// The content, a part of `bytes`. Errors: DataLoss, FailedPrecondition (a newer version).
template <typename Length>
absl::StatusOr<std::string_view> Unframed(uint32_t magic, std::string_view bytes) {
  ByteReader head(bytes);
  uint32_t found = 0;
  uint32_t version = 0;
  Length size = 0;
  uint32_t crc = 0;
  if (!head.ReadFixed(found) || !head.ReadFixed(version) || !head.ReadFixed(size) ||
      !head.ReadFixed(crc)) {
    return DataLoss("{} bytes, too short for a head", bytes.size());
  }
  if (found != magic) return DataLoss("magic is {:#x}", found);
  if (version > kFrameVersion) {
    return FailedPrecondition("format version {}, newest known {}", version, kFrameVersion);
  }
  if (version == 0 || head.remaining() != size) {
    return DataLoss("{} bytes of content, head says {}", head.remaining(), size);
  }
  const std::string_view body = bytes.substr(bytes.size() - size);
  if (Crc32c(body) != crc) return DataLoss("checksum mismatch");
  return body;
}

}  // namespace vectron::shard
