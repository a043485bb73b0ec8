#pragma once

// Tells a torn tail from damage in a RocksDB log file (its write-ahead log and its MANIFEST share
// one format).
//
// The file is a row of 32 KiB blocks of records {u32 masked CRC32C of type and data, u16 length, u8
// type, data}. The CRC does not cover the length, and readers take a record that seems to end past
// the file, or of a recycled type, for the normal end after a crash: one flipped bit there would
// silently drop every record behind it. Here such an end is accepted only when no shorter length
// makes the CRC right, so the record was really cut short.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/file.h"

namespace vectron::storage {

// OK, or DataLoss naming the file and the offset. Other errors are those of reading.
absl::Status CheckLogFile(FileSystem& files, const std::string& path);

// Checks the write-ahead logs and the current MANIFEST of the store in `dir`, and that a store with
// data has them. OK for a folder without a store.
absl::Status CheckStoreFiles(FileSystem& files, const std::string& dir);

}  // namespace vectron::storage
