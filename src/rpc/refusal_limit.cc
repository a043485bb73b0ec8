#include "rpc/refusal_limit.h"

#include <algorithm>
#include <utility>

#include "rpc/client_address.h"

namespace vectron::rpc {

bool RefusalLimit::Admit(std::string_view address, int64_t now_ms) {
  std::string bucket = AddressBucket(address);
  const absl::MutexLock lock(&mutex_);
  if (addresses_.empty()) begin_ms_ = now_ms;
  if (addresses_.size() >= kMaxAddresses && !addresses_.contains(bucket)) bucket.clear();
  const bool counted_apart = !bucket.empty();
  Counts& counts = addresses_[std::move(bucket)];
  if (counted_apart && counts.address.empty()) counts.address = std::string(address);
  if (counts.lines < lines_per_address_ && lines_ < most_lines_) {
    ++counts.lines;
    ++lines_;
    return true;
  }
  ++counts.more;
  return false;
}

std::vector<RefusalLimit::More> RefusalLimit::TakeEnded(int64_t now_ms, bool all) {
  std::vector<More> ended;
  const absl::MutexLock lock(&mutex_);
  if (addresses_.empty() || (!all && now_ms - begin_ms_ < kWindowMs)) return ended;
  for (auto& [bucket, counts] : addresses_) {
    if (counts.more != 0)
      ended.push_back({.address = std::move(counts.address), .count = counts.more});
  }
  addresses_.clear();
  lines_ = 0;
  std::sort(ended.begin(), ended.end(),
            [](const More& a, const More& b) { return a.address < b.address; });
  return ended;
}

}  // namespace vectron::rpc
