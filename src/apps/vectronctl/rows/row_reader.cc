#include "apps/vectronctl/rows/row_reader.h"

#include "apps/vectronctl/rows/byte_source.h"
#include "apps/vectronctl/rows/formats.h"
#include "base/bytes.h"
#include "base/status.h"

namespace vectron::rows {

absl::StatusOr<std::unique_ptr<RowReader>> RowReader::Open(const std::string& path) {
  const bool known = HasSuffix(path, ".fvecs") || HasSuffix(path, ".bvecs") ||
                     HasSuffix(path, ".npy") || HasSuffix(path, ".f16") ||
                     HasSuffix(path, ".jsonl") || HasSuffix(path, ".ndjson") ||
                     HasSuffix(path, ".json") || path == "-";
  if (!known) {
    return InvalidArgument(
        "{}: unknown kind of file; known are .fvecs, .bvecs, .npy, .f16, .jsonl, .ndjson and "
        ".json, each "
        "also with .gz behind, and - for JSON Lines on standard input",
        path);
  }
  ASSIGN_OR_RETURN(auto source, ByteSource::Open(path));
  if (HasSuffix(path, ".fvecs")) return OpenVecs(std::move(source), VecsKind::kFloat);
  if (HasSuffix(path, ".bvecs")) return OpenVecs(std::move(source), VecsKind::kByte);
  if (HasSuffix(path, ".npy")) return OpenNpy(std::move(source));
  if (HasSuffix(path, ".f16")) return OpenF16(std::move(source));
  if (HasSuffix(path, ".json")) return OpenJsonDocument(std::move(source));
  return OpenJsonLines(std::move(source));
}

absl::Status RowReader::Skip(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    auto row = Next();
    if (!row.ok()) {
      if (row.status().code() != absl::StatusCode::kInvalidArgument) return row.status();
    } else if (!row->has_value()) {
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Matrix> ReadMatrix(const std::string& path, size_t max_rows) {
  ASSIGN_OR_RETURN(auto reader, RowReader::Open(path));
  Matrix matrix;
  while (matrix.count < max_rows) {
    ASSIGN_OR_RETURN(auto row, reader->Next());
    if (!row.has_value()) break;
    if (matrix.count == 0) matrix.dimension = row->vector.size();
    if (row->vector.size() != matrix.dimension) {
      return InvalidArgument("{}: {} components, the rows before have {}",
                             reader->Place(row->number), row->vector.size(), matrix.dimension);
    }
    matrix.values.insert(matrix.values.end(), row->vector.begin(), row->vector.end());
    ++matrix.count;
  }
  if (matrix.count == 0) return InvalidArgument("{}: holds no vector", path);
  return matrix;
}

namespace {

absl::StatusOr<Truth> ReadIvecs(ByteSource& source) {
  Truth truth;
  for (;;) {
    const std::string what = fmt::format("row {}", truth.queries);
    char head[4];
    const uint64_t start = source.position();
    ASSIGN_OR_RETURN(const size_t got, source.Read(head, sizeof head));
    if (got == 0) break;
    if (got != sizeof head) {
      return DataLoss("{}: {} at byte {}: the file ends after {} of 4 bytes", source.path(), what,
                      start, got);
    }
    const auto k = LoadFixed<int32_t>(head);
    if (k < 1 || k > 1'000'000 || (truth.queries > 0 && static_cast<size_t>(k) != truth.k)) {
      return InvalidArgument("{}: {} at byte {}: {} entries, wanted {}", source.path(), what, start,
                             k, truth.queries > 0 ? std::to_string(truth.k) : "at least 1");
    }
    truth.k = static_cast<size_t>(k);
    truth.rows.resize((truth.queries + 1) * truth.k);
    RETURN_IF_ERROR(source.ReadExactly(
        reinterpret_cast<char*>(truth.rows.data() + truth.queries * truth.k), 4 * truth.k, what));
    ++truth.queries;
  }
  return truth;
}

absl::StatusOr<Truth> ReadU32(ByteSource& source) {
  uint32_t head[2];
  RETURN_IF_ERROR(source.ReadExactly(reinterpret_cast<char*>(head), sizeof head, "header"));
  Truth truth;
  truth.queries = head[0];
  truth.k = head[1];
  if (truth.k == 0 || truth.k > 1'000'000) {
    return InvalidArgument("{}: byte 4: {} entries a row, wanted 1 to 1000000", source.path(),
                           truth.k);
  }
  std::vector<uint32_t> row(truth.k);
  for (size_t i = 0; i < truth.queries; ++i) {  // row by row: a wrong count allocates nothing
    RETURN_IF_ERROR(source.ReadExactly(reinterpret_cast<char*>(row.data()), 4 * truth.k,
                                       fmt::format("row {}", i)));
    truth.rows.insert(truth.rows.end(), row.begin(), row.end());
  }
  return truth;
}

}  // namespace

absl::StatusOr<Truth> ReadTruth(const std::string& path) {
  const bool ivecs = HasSuffix(path, ".ivecs");
  if (!ivecs && !HasSuffix(path, ".u32")) {
    return InvalidArgument("{}: true answers come as .ivecs or .u32, also with .gz behind", path);
  }
  ASSIGN_OR_RETURN(auto source, ByteSource::Open(path));
  return ivecs ? ReadIvecs(*source) : ReadU32(*source);
}

}  // namespace vectron::rows
