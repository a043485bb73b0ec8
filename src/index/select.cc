#include "index/select.h"

#include <algorithm>

namespace vectron::index {

void Selector::Choose(const RowTable& table, const Candidate& candidate) {
  const Coder& coder = *table.coder();
  if (value_bytes_ != coder.code_bytes()) {
    values_.clear();
    value_bytes_ = coder.code_bytes();
  }
  const size_t at = chosen_.size();
  if (values_.size() == at) values_.push_back(std::make_unique<int8_t[]>(value_bytes_));
  chosen_.push_back(candidate);
  queries_.push_back(coder.QueryOfCode(table.Code(candidate.slot), values_[at].get()));
}

void Selector::Occlude(const Kernels& kernels, const CodeQuery& by) {
  kernels.code_distances(by, window_codes_, window_size_, window_distances_);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < window_size_; ++i) {
    if (window_distances_[i] < window_[i].distance && !window_[i].keep) continue;
    window_[kept] = window_[i];
    window_codes_[kept] = window_codes_[i];
    kept += 1;
  }
  window_size_ = kept;
}

void Selector::DropFirstOfWindow() {
  window_size_ -= 1;
  std::copy_n(window_ + 1, window_size_, window_);
  std::copy_n(window_codes_ + 1, window_size_, window_codes_);
}

void Selector::Run(const RowTable& table, const Kernels& kernels,
                   std::span<const Candidate> candidates, uint32_t max) {
  uint32_t to_keep = 0;
  for (const Candidate& candidate : candidates) to_keep += candidate.keep ? 1 : 0;
  for (size_t next = 0; next < candidates.size() && chosen_.size() < max;) {
    window_size_ = 0;
    for (; window_size_ < kWindow && next < candidates.size(); ++next) {
      window_[window_size_] = candidates[next];
      window_codes_[window_size_] = table.Code(candidates[next].slot);
      window_size_ += 1;
    }
    for (const CodeQuery& query : queries_) Occlude(kernels, query);
    while (window_size_ > 0 && chosen_.size() < max) {
      const Candidate first = window_[0];
      DropFirstOfWindow();
      if (first.keep) {
        to_keep -= 1;
      } else if (chosen_.size() + to_keep >= max) {
        continue;  // what room is left belongs to those to be kept
      }
      Choose(table, first);
      if (chosen_.size() < max && window_size_ > 0) Occlude(kernels, queries_.back());
    }
  }
}

void Selector::Select(const RowTable& table, const Kernels& kernels,
                      std::span<const Candidate> candidates, uint32_t max) {
  chosen_.clear();
  queries_.clear();
  Run(table, kernels, candidates, max);
}

void Selector::SelectMore(const RowTable& table, const Kernels& kernels,
                          std::span<const Candidate> given, std::span<const Candidate> candidates,
                          uint32_t max) {
  chosen_.clear();
  queries_.clear();
  for (const Candidate& candidate : given) Choose(table, candidate);
  Run(table, kernels, candidates, max);
}

}  // namespace vectron::index
