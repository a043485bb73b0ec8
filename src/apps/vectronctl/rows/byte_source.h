#pragma once

// A file read from its beginning to its end, unpacked on the way when its name ends in ".gz".

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::rows {

// Thread-compatible.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // "-" is standard input (never unpacked). NotFound, InvalidArgument (a ".gz" that is not gzip),
  // Internal.
  static absl::StatusOr<std::unique_ptr<ByteSource>> Open(const std::string& path);

  // Reads up to `size` bytes; fewer only at the end. DataLoss: damaged or cut gzip data, an I/O
  // error; the message has the path and the position.
  virtual absl::StatusOr<size_t> Read(char* into, size_t size) = 0;

  // Reads exactly `size` bytes of `what` ("row 3"); DataLoss when the file ends before.
  absl::Status ReadExactly(char* into, size_t size, const std::string& what);

  // How much of the file (as it is on disk) has been read, in [0, 1]; -1 when that cannot be known.
  virtual double Fraction() const = 0;
  // Bytes of the file as it is on disk; 0 for standard input.
  uint64_t file_bytes() const { return file_bytes_; }
  // Unpacked bytes read so far.
  uint64_t position() const { return position_; }
  const std::string& path() const { return path_; }

 protected:
  std::string path_;
  uint64_t file_bytes_ = 0;
  uint64_t position_ = 0;
};

// Lines of a source, without their ends ("\n" or "\r\n"). Thread-compatible.
class LineReader {
 public:
  explicit LineReader(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  // False at the end. InvalidArgument: a line longer than kMaxLineBytes; it is skipped and the next
  // call goes on behind it.
  absl::StatusOr<bool> Next(std::string& line);
  uint64_t line_number() const { return line_number_; }  // of the last line, from 1
  const ByteSource& source() const { return *source_; }

  // 65,535 components in decimal and a 1 MiB payload fit.
  static constexpr size_t kMaxLineBytes = size_t{16} << 20;

 private:
  absl::StatusOr<bool> Fill();

  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  size_t start_ = 0;
  uint64_t line_number_ = 0;
  bool at_end_ = false;
};

// True when the path ends in `suffix` or in `suffix` and ".gz".
bool HasSuffix(const std::string& path, const std::string& suffix);

}  // namespace vectron::rows
