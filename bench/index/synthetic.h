#pragma once

// Clustered float vectors on a curved surface of low dimension, from a seed: what embeddings look
// like to an index.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vectron::bench {

struct SyntheticOptions {
  size_t count = 0;
  size_t dimension = 0;
  uint64_t seed = 43;
  bool unit_length = false;
  size_t clusters = 500;  // their sizes fall off as rank^-0.8
  size_t latent = 48;     // dimension of the surface
  size_t hidden = 512;
  double spread = 0.6;  // of a cluster, against distances of 1 between centres
};

// count x dimension, row-major. Each row is a point of a Gaussian cluster in the latent space,
// pushed through a random layer of tanh units, with a little noise; later components vary less.
std::vector<float> MakeSynthetic(const SyntheticOptions& options);

}  // namespace vectron::bench
