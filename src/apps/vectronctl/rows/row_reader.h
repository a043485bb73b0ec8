#pragma once

// Vectors from files, row by row: `.fvecs` and `.bvecs` (texmex), `.npy` (f2, f4, f8, u1; C order),
// `.f16` (u32 n, u32 d, then n x d binary16), JSON Lines of {"id", "vector", "payload"}, and whole
// JSON documents as other databases export them; each also with ".gz" behind.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/rows/json.h"

namespace vectron::rows {

struct Row {
  uint64_t number = 0;  // row from 0; of text, the line from 0
  std::string id;       // "" when the file gives none
  std::vector<float> vector;
  Payload payload;
};

// Thread-compatible.
class RowReader {
 public:
  virtual ~RowReader() = default;

  // Chooses the format by the name's end. NotFound, InvalidArgument (unknown format, a header that
  // makes no sense), DataLoss.
  static absl::StatusOr<std::unique_ptr<RowReader>> Open(const std::string& path);

  // The next row; nullopt at the end. InvalidArgument: this row is bad and the next call goes on
  // behind it ("path:line: what"); after any other error the reader is at its end.
  virtual absl::StatusOr<std::optional<Row>> Next() = 0;

  // Passes over the next `count` rows, bad ones included; used to go on where an earlier run was.
  // Errors: as Next, not InvalidArgument.
  virtual absl::Status Skip(uint64_t count);

  // How much of the file has been read, in [0, 1]; -1 when unknown.
  virtual double Fraction() const = 0;
  // Rows read so far, good, bad and passed over.
  virtual uint64_t position() const = 0;
  // "path:line" or "path: row n" of the last row, for messages.
  virtual std::string Place(uint64_t number) const = 0;
};

// A payload file beside a file of vectors: one JSON object a line.
class PayloadReader {
 public:
  virtual ~PayloadReader() = default;
  static absl::StatusOr<std::unique_ptr<PayloadReader>> Open(const std::string& path);
  // OutOfRange at the end; InvalidArgument for a bad line, and the next call goes on behind it.
  virtual absl::StatusOr<Payload> Next() = 0;
  virtual absl::Status Skip(uint64_t count) = 0;
};

// All rows in memory, n x d, row-major.
struct Matrix {
  size_t count = 0;
  size_t dimension = 0;
  std::vector<float> values;

  const float* row(size_t i) const { return values.data() + i * dimension; }
};
// Stops at `max_rows`. A bad row is an error here.
absl::StatusOr<Matrix> ReadMatrix(const std::string& path, size_t max_rows = SIZE_MAX);

// Exact answers of queries: `.ivecs` or `.u32` (u32 nq, u32 k, then nq x k u32), also with ".gz".
// Best first; kNoRow fills short rows.
inline constexpr uint32_t kNoRow = 0xffffffff;
struct Truth {
  size_t queries = 0;
  size_t k = 0;
  std::vector<uint32_t> rows;

  const uint32_t* of(size_t query) const { return rows.data() + query * k; }
};
absl::StatusOr<Truth> ReadTruth(const std::string& path);

}  // namespace vectron::rows
