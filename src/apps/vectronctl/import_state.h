#pragma once

// How far an import came, in a small file beside its input, so that a killed import goes on where
// it was.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::ctl {

struct ImportState {
  // What the import is of; a state of something else is refused.
  std::string input;        // absolute path
  std::string input_stamp;  // size and time of change of the input and of the payload file
  std::string collection;
  std::string address;
  std::string id_prefix;
  // Where it is.
  std::string import_id;   // part of the request ids
  uint64_t rows_done = 0;  // rows (lines) from the start, all written or reported
  uint64_t points_written = 0;
  uint64_t rows_bad = 0;
};

// One JSON object.
std::string WriteImportState(const ImportState& state);
// InvalidArgument: no such object.
absl::StatusOr<ImportState> ParseImportState(std::string_view text);

// FailedPrecondition, saying what differs, unless `saved` is of the same import as `wanted`.
absl::Status CheckSameImport(const ImportState& saved, const ImportState& wanted);

// "size-nanoseconds" of a file; "none" when there is none.
std::string FileStamp(const std::string& path);

}  // namespace vectron::ctl
