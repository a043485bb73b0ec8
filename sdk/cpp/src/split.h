#pragma once

// Splitting of many points into requests within the server's limits.

#include <functional>
#include <string>

#include "vectron/client.h"
#include "vectron/vectron.pb.h"

namespace vectron::internal {

inline constexpr size_t kMaxUpsertPoints = 100'000;
// The server takes 64 MiB; room for names and framing.
inline constexpr size_t kMaxUpsertBytes = size_t{60} << 20;

std::string NewRequestId();  // a random UUID

struct SplitLimits {
  size_t max_points = kMaxUpsertPoints;
  size_t max_bytes = kMaxUpsertBytes;
  std::string request_id;  // names the first request, "/1" and so on are added for the others;
                           // random when empty
};
// Points [start, start + request.points_size()) of the input.
struct Part {
  size_t start = 0;
  v1::UpsertRequest request;
};

// One request within the limits after the other; at least the server's limits hold. A single larger
// point makes a request of its own, which the server judges. `write(i, out)` writes point i and may
// throw; what was full before is then passed on already.
void Split(size_t count, const SplitLimits& limits,
           const std::function<void(size_t, v1::Point*)>& write,
           const std::function<void(Part)>& take);

}  // namespace vectron::internal
