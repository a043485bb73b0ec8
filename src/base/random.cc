#include "base/random.h"

#include <sys/random.h>
#include <xxhash.h>

#include "base/check.h"

namespace vectron {

uint64_t Hash64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t SeedFromSystem() {
  uint64_t seed = 0;
  CHECK_EQ(getrandom(&seed, sizeof seed, 0), static_cast<ssize_t>(sizeof seed));
  return seed;
}

}  // namespace vectron
