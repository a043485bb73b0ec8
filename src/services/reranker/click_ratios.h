#pragma once

// Clicks over expected clicks per result (Zhang & Jones 2007), shrunk to the collection's mean:
// popularity corrected for the places it was earned at.
//
// ratio = tanh ln(((c + 20 m) / (e + 20)) / m), m = (C + 1) / (E + 4); e sums the prior position
// curve over the impressions. All counts fade by 0.97 each 100 events. At most 65,536 ids: past
// that the half with the least exposure goes. Deterministic; thread-compatible.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace vectron::reranker {

inline constexpr size_t kMaxRatioIds = 65'536;

class ClickRatios {
 public:
  // In (-1, 1); near 0 for an unknown id.
  double Ratio(std::string_view id) const;
  void Add(const std::string& id, double clicks, double expected);
  void Fade();
  size_t size() const { return counts_.size(); }

  void Encode(std::string& out) const;
  bool Decode(ByteReader& reader);

 private:
  struct Counts {
    double clicks = 0;
    double expected = 0;
  };
  void DropHalf();

  std::map<std::string, Counts, std::less<>> counts_;
  double clicks_ = 0;  // of all
  double expected_ = 0;
};

}  // namespace vectron::reranker
