#pragma once

// One reader per format; RowReader::Open chooses.

#include <memory>

#include "absl/status/statusor.h"
#include "apps/vectronctl/rows/byte_source.h"
#include "apps/vectronctl/rows/row_reader.h"

namespace vectron::rows {

enum class VecsKind { kFloat, kByte };

// Each vector: little-endian int32 d, then d float32 or u8. All have the same d.
absl::StatusOr<std::unique_ptr<RowReader>> OpenVecs(std::unique_ptr<ByteSource> source,
                                                    VecsKind kind);
// numpy's format 1.0 to 3.0: two dimensions, C order, little-endian '<f2', '<f4', '<f8' or '|u1'.
absl::StatusOr<std::unique_ptr<RowReader>> OpenNpy(std::unique_ptr<ByteSource> source);
absl::StatusOr<std::unique_ptr<RowReader>> OpenF16(std::unique_ptr<ByteSource> source);
absl::StatusOr<std::unique_ptr<RowReader>> OpenJsonLines(std::unique_ptr<ByteSource> source);
// A whole document: an array of points, or what other databases' APIs answer. Held in memory, up to
// 2 GiB of text.
absl::StatusOr<std::unique_ptr<RowReader>> OpenJsonDocument(std::unique_ptr<ByteSource> source);

}  // namespace vectron::rows
