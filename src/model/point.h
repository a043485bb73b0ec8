#pragma once

// Points on their way in and out. A payload travels as the text of one JSON object, without white
// space, keys in the order given; an empty payload is the empty string. Text is what HTTP carries
// and what the store keeps, so the usual path never builds a tree (payload.h has the tree and the
// conversions).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vectron {

// Points of one request, column by column.
struct PointBatch {
  uint32_t dimension = 0;             // components per vector
  std::vector<std::string> ids;       // n
  std::vector<float> vectors;         // n x dimension, row-major
  std::vector<std::string> payloads;  // n, JSON objects, "" when empty

  size_t size() const { return ids.size(); }
  std::span<const float> vector(size_t i) const {
    return std::span<const float>(vectors).subspan(i * dimension, dimension);
  }
};

// The first point of a request whose vector has another length than those before it. Its contents,
// and what follows it, are in no batch: the request is refused once the collection is known, which
// says which of the two lengths is wrong.
struct OddLength {
  size_t index = 0;  // of the point in the request
  std::string id;
  size_t components = 0;
};

// One stored point.
struct PointRecord {
  std::string id;
  std::vector<float> vector;
  std::string payload;   // JSON object, "" when empty
  uint64_t version = 0;  // log index of the last write
};

}  // namespace vectron
