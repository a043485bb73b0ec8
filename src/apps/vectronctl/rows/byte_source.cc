#include "apps/vectronctl/rows/byte_source.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "base/status.h"

namespace vectron::rows {
namespace {

constexpr size_t kReadBytes = size_t{256} << 10;

uint64_t SizeOnDisk(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<uint64_t>(info.st_size);
}

absl::Status OpenError(const std::string& path) {
  if (errno == ENOENT) return NotFound("{}: there is no such file", path);
  return Internal("{}: cannot be opened: {}", path, std::strerror(errno));
}

class PlainSource : public ByteSource {
 public:
  PlainSource(std::string path, std::FILE* file) : file_(file) {
    file_bytes_ = SizeOnDisk(path);
    path_ = std::move(path);
  }
  ~PlainSource() override {
    if (file_ != stdin) std::fclose(file_);
  }
  absl::StatusOr<size_t> Read(char* into, size_t size) override {
    const size_t got = std::fread(into, 1, size, file_);
    position_ += got;
    if (got < size && std::ferror(file_) != 0) {
      return DataLoss("{}: byte {}: {}", path_, position_, std::strerror(errno));
    }
    return got;
  }
  double Fraction() const override {
    if (file_bytes_ == 0) return -1;
    return static_cast<double>(position_) / static_cast<double>(file_bytes_);
  }

 private:
  std::FILE* file_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(std::string path, gzFile file) : file_(file) {
    file_bytes_ = SizeOnDisk(path);
    path_ = std::move(path);
  }
  ~GzipSource() override { gzclose_r(file_); }
  absl::StatusOr<size_t> Read(char* into, size_t size) override {
    size_t done = 0;
    while (done < size) {
      const size_t wanted = std::min(size - done, size_t{1} << 30);
      const int got = gzread(file_, into + done, static_cast<unsigned>(wanted));
      if (got > 0) done += static_cast<size_t>(got);
      if (got >= static_cast<int>(wanted)) continue;
      int code = Z_OK;
      const char* text = gzerror(file_, &code);
      if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        return DataLoss("{}: after unpacked byte {}: damaged or cut gzip data ({})", path_,
                        position_ + done, text);
      }
      break;
    }
    position_ += done;
    return done;
  }
  double Fraction() const override {
    if (file_bytes_ == 0) return -1;
    return std::min(1.0, static_cast<double>(gzoffset(file_)) / static_cast<double>(file_bytes_));
  }

 private:
  gzFile file_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> ByteSource::Open(const std::string& path) {
  if (path == "-") return std::make_unique<PlainSource>("standard input", stdin);
  std::FILE* plain = std::fopen(path.c_str(), "rb");
  if (plain == nullptr) return OpenError(path);
  if (!path.ends_with(".gz")) return std::make_unique<PlainSource>(path, plain);
  unsigned char magic[2] = {0, 0};
  const size_t got = std::fread(magic, 1, sizeof magic, plain);
  std::fclose(plain);
  if (got != sizeof magic || magic[0] != 0x1f || magic[1] != 0x8b) {
    return InvalidArgument("{}: is named .gz but holds no gzip data", path);
  }
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return OpenError(path);
  gzbuffer(file, static_cast<unsigned>(kReadBytes));
  return std::make_unique<GzipSource>(path, file);
}

absl::Status ByteSource::ReadExactly(char* into, size_t size, const std::string& what) {
  const uint64_t start = position_;
  ASSIGN_OR_RETURN(const size_t got, Read(into, size));
  if (got == size) return absl::OkStatus();
  return DataLoss("{}: {} at byte {}: the file ends after {} of {} bytes", path_, what, start, got,
                  size);
}

absl::StatusOr<bool> LineReader::Fill() {
  if (at_end_) return false;
  buffer_.erase(0, start_);
  start_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  auto got = source_->Read(buffer_.data() + before, kReadBytes);
  buffer_.resize(before + (got.ok() ? *got : 0));
  RETURN_IF_ERROR(got);
  at_end_ = *got < kReadBytes;
  return *got > 0;
}

absl::StatusOr<bool> LineReader::Next(std::string& line) {
  size_t searched = start_;
  bool too_long = false;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      too_long = too_long || end - start_ > kMaxLineBytes;
      line.assign(buffer_, start_, end - start_);
      start_ = end + 1;
      break;
    }
    if (buffer_.size() - start_ > kMaxLineBytes) {
      too_long = true;
      start_ = buffer_.size();
    }
    searched = buffer_.size() - start_;  // positions after Fill moves the rest to the front
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (more) continue;
    if (start_ == buffer_.size() && !too_long) return false;
    line.assign(buffer_, start_);
    start_ = buffer_.size();
    break;
  }
  ++line_number_;
  if (too_long) return InvalidArgument("the line is longer than {} bytes", kMaxLineBytes);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

bool HasSuffix(const std::string& path, const std::string& suffix) {
  return path.ends_with(suffix) || path.ends_with(suffix + ".gz");
}

}  // namespace vectron::rows
