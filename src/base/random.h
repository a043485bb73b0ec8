#pragma once

// Seeded pseudo-random numbers (splitmix64; Steele, Lea & Flood 2014): the same seed gives the same
// run everywhere.

#include <cstdint>
#include <string_view>

namespace vectron {

// One step of splitmix64 as a pure mixing function of its input.
constexpr uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Thread-compatible. Satisfies UniformRandomBitGenerator.
class Random {
 public:
  using result_type = uint64_t;

  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    const uint64_t value = Mix64(state_);
    state_ += 0x9e3779b97f4a7c15ULL;
    return value;
  }
  // In [0, bound); bound > 0.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<Wide>(Next()) * bound) >> 64);
  }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // True once in `one_in` draws on average.
  bool OneIn(uint64_t one_in) { return Below(one_in) == 0; }

  uint64_t operator()() { return Next(); }
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }

 private:
  __extension__ using Wide = unsigned __int128;

  uint64_t state_;
};

// XXH3-64 of the bytes, for shards of ids, hash tables and seeds.
uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

// 64 bits from the operating system's generator; only `apps` and tests that print their seed call
// it.
uint64_t SeedFromSystem();

}  // namespace vectron
