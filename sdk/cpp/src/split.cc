#include "split.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <utility>

namespace vectron::internal {

std::string NewRequestId() {
  thread_local std::random_device device;
  std::array<unsigned, 4> words{};
  for (unsigned& word : words) word = device();
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x4000U;  // version 4
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-%04x-%04x-%04x%08x", words[0], words[1] >> 16,
                words[1] & 0xFFFFU, words[2] >> 16, words[2] & 0xFFFFU, words[3]);
  return text.data();
}

void Split(size_t count, const SplitLimits& limits,
           const std::function<void(size_t, v1::Point*)>& write,
           const std::function<void(Part)>& take) {
  if (limits.max_points == 0 || limits.max_bytes == 0) {
    throw InvalidArgumentError("a batch holds at least one point and one byte");
  }
  const size_t max_points = std::min(limits.max_points, kMaxUpsertPoints);
  const size_t max_bytes = std::min(limits.max_bytes, kMaxUpsertBytes);
  Part part;
  size_t size_bytes = 0;
  size_t number = 0;
  const auto flush = [&] {
    std::string id = limits.request_id;
    if (id.empty()) {
      id = NewRequestId();
    } else if (number > 0) {
      id += "/" + std::to_string(number);
    }
    ++number;
    part.request.set_request_id(id);
    const size_t next = part.start + static_cast<size_t>(part.request.points_size());
    take(std::exchange(part, Part{next, {}}));
    size_bytes = 0;
  };
  for (size_t i = 0; i < count; ++i) {
    v1::Point point;
    write(i, &point);
    const size_t bytes = point.ByteSizeLong() + 8;
    const auto held = static_cast<size_t>(part.request.points_size());
    if (held > 0 && (held >= max_points || size_bytes + bytes > max_bytes)) flush();
    *part.request.add_points() = std::move(point);
    size_bytes += bytes;
  }
  if (part.request.points_size() > 0) flush();
}

}  // namespace vectron::internal
