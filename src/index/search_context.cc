#include "index/search_context.h"

#include <algorithm>
#include <utility>

namespace vectron::index {
namespace {

// A scan works in steps of this many rows.
constexpr uint32_t kScanRows = 64;

}  // namespace

SearchContext::SearchContext(uint32_t dimension, uint32_t max_links)
    : batch(std::max(kScanRows, 2 * max_links)),
      vector(dimension),
      query_values(Coder::CodeBytes(dimension)),
      row_values(Coder::CodeBytes(dimension)),
      code(Coder::CodeBytes(dimension)) {}

ContextPool::Lease ContextPool::Take() {
  {
    const absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<SearchContext> context = std::move(idle_.back());
      idle_.pop_back();
      return {*this, std::move(context)};
    }
  }
  return {*this, std::make_unique<SearchContext>(dimension_, max_links_)};
}

void ContextPool::Return(std::unique_ptr<SearchContext> context) {
  const absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(context));
}

}  // namespace vectron::index
