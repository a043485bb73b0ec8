#include "model/ids.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/text.h"

namespace vectron {
namespace {

__extension__ using Wide = unsigned __int128;

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

absl::Status CheckCollectionName(std::string_view name) {
  if (name.empty()) return InvalidArgument("collection name is empty");
  if (name.size() > kMaxCollectionNameBytes) {
    return InvalidArgument("collection name {} has {} bytes, at most {} are allowed", Quote(name),
                           name.size(), kMaxCollectionNameBytes);
  }
  const bool good = IsLetterOrDigit(name[0]) && std::all_of(name.begin(), name.end(), [](char c) {
                      return IsLetterOrDigit(c) || c == '_' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return InvalidArgument(
      "collection name {} is not allowed: wanted a letter or digit, then letters, digits, '_' and "
      "'-'",
      Quote(name));
}

absl::Status CheckPointId(std::string_view id) {
  if (id.empty()) return InvalidArgument("id is empty");
  if (id.size() > kMaxPointIdBytes) {
    return InvalidArgument("id {} has {} bytes, at most {} are allowed", Quote(id), id.size(),
                           kMaxPointIdBytes);
  }
  bool ascii = true;
  for (const char c : id) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return InvalidArgument("id {} has a control character", Quote(id));
    }
    ascii = ascii && byte < 0x80;
  }
  if (ascii) return absl::OkStatus();
  const size_t valid = ValidUtf8Length(id);
  if (valid < id.size()) {
    return InvalidArgument("id {} is not valid UTF-8 at byte {}", Quote(id), valid);
  }
  for (size_t i = 0; i + 1 < id.size(); ++i) {
    const auto next = static_cast<uint8_t>(id[i + 1]);
    if (static_cast<uint8_t>(id[i]) == 0xc2 && next < 0xa0) {  // U+0080-U+009F
      return InvalidArgument("id {} has a control character", Quote(id));
    }
  }
  return absl::OkStatus();
}

uint64_t PointHash(std::string_view id) { return Hash64(id); }

ShardOrdinal ShardOf(std::string_view id, uint32_t shard_count) {
  CHECK_GE(shard_count, 1u);
  return {static_cast<uint32_t>((static_cast<Wide>(PointHash(id)) * shard_count) >> 64)};
}

uint64_t ShardRangeStart(ShardOrdinal ordinal, uint32_t shard_count) {
  CHECK_LT(ordinal.value, shard_count);
  const Wide scaled = static_cast<Wide>(ordinal.value) << 64;
  return static_cast<uint64_t>((scaled + shard_count - 1) / shard_count);
}

}  // namespace vectron
