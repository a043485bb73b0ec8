#pragma once

// Which of a row's candidates become its links: those not nearer to a chosen one than to the row
// itself (Malkov & Yashunin 2018, alg. 4).

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/kernels.h"
#include "index/row_table.h"

namespace vectron::index {

struct Candidate {
  int32_t distance = 0;
  uint32_t slot = 0;
  bool keep = false;  // to be chosen in any case
};

// Scratch of Select; confined to one thread.
class Selector {
 public:
  // Chooses at most `max` of `candidates`, which are sorted by distance from the row they are for,
  // into chosen(). At most `max` of them are to be kept.
  void Select(const RowTable& table, const Kernels& kernels, std::span<const Candidate> candidates,
              uint32_t max);
  // As Select, with `given` chosen already: adds to them.
  void SelectMore(const RowTable& table, const Kernels& kernels, std::span<const Candidate> given,
                  std::span<const Candidate> candidates, uint32_t max);
  const std::vector<Candidate>& chosen() const { return chosen_; }

 private:
  static constexpr uint32_t kWindow = 32;

  void Choose(const RowTable& table, const Candidate& candidate);
  void Run(const RowTable& table, const Kernels& kernels, std::span<const Candidate> candidates,
           uint32_t max);
  // Drops from the window what is nearer to the chosen row `by` than to the row itself.
  void Occlude(const Kernels& kernels, const CodeQuery& by);
  void DropFirstOfWindow();

  std::vector<Candidate> chosen_;
  std::vector<CodeQuery> queries_;                 // of the chosen
  std::vector<std::unique_ptr<int8_t[]>> values_;  // of the queries; kept between calls
  uint32_t value_bytes_ = 0;
  Candidate window_[kWindow];
  const uint8_t* window_codes_[kWindow];
  int32_t window_distances_[kWindow];
  uint32_t window_size_ = 0;
};

}  // namespace vectron::index
