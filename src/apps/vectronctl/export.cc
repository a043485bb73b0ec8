#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "apps/vectronctl/points.h"
#include "apps/vectronctl/terminal.h"
#include "base/clock.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

// A file written from its beginning to its end, packed when its name ends in ".gz". Under a
// temporary name until it is whole.
class Output {
 public:
  explicit Output(std::string path) : path_(std::move(path)) {}
  ~Output() {
    if (packed_ != nullptr) gzclose(packed_);
    if (plain_ != nullptr && plain_ != stdout) std::fclose(plain_);
    if (!finished_ && path_ != "-") std::remove(temporary().c_str());
  }

  absl::Status Open() {
    if (path_ == "-") {
      plain_ = stdout;
    } else if (path_.ends_with(".gz")) {
      packed_ = gzopen(temporary().c_str(), "wb6");
    } else {
      plain_ = std::fopen(temporary().c_str(), "wb");
    }
    return plain_ == nullptr && packed_ == nullptr ? Problem() : absl::OkStatus();
  }
  absl::Status Write(const std::string& text) {
    const size_t written = packed_ != nullptr ? gzfwrite(text.data(), 1, text.size(), packed_)
                                              : std::fwrite(text.data(), 1, text.size(), plain_);
    return written == text.size() ? absl::OkStatus() : Problem();
  }
  absl::Status Finish() {
    if (plain_ == stdout) return std::fflush(stdout) == 0 ? absl::OkStatus() : Problem();
    const bool closed = packed_ != nullptr ? gzclose(std::exchange(packed_, nullptr)) == Z_OK
                                           : std::fclose(std::exchange(plain_, nullptr)) == 0;
    if (!closed || std::rename(temporary().c_str(), path_.c_str()) != 0) return Problem();
    finished_ = true;
    return absl::OkStatus();
  }

 private:
  std::string temporary() const { return path_ + ".tmp"; }
  absl::Status Problem() const { return Internal("{}: {}", path_, std::strerror(errno)); }

  std::string path_;
  std::FILE* plain_ = nullptr;
  gzFile packed_ = nullptr;
  bool finished_ = false;
};

absl::StatusOr<uint64_t> WritePages(Client& client, v1::ScrollRequest request, Output& output,
                                    Progress& progress, uint64_t expected) {
  SystemClock clock;
  progress.SetStart(0, 0, clock.MonotonicNanos());
  uint64_t count = 0;
  std::string text;
  do {
    v1::ScrollResponse page;
    RETURN_IF_ERROR(CallWithRetry({}, [&] {
      auto answer = client.Scroll(request);
      if (answer.ok()) page = std::move(*answer);
      return answer.status();
    }));
    text.clear();
    for (const v1::Point& point : page.points()) {
      AppendPointJson(point, text);
      text.push_back('\n');
    }
    RETURN_IF_ERROR(output.Write(text));
    count += static_cast<uint64_t>(page.points_size());
    request.set_after_id(page.next_after_id());
    const double fraction =
        expected > 0 ? std::min(1.0, static_cast<double>(count) / static_cast<double>(expected))
                     : -1;
    progress.Update(fraction, count, clock.MonotonicNanos());
  } while (!request.after_id().empty());
  return count;
}

}  // namespace

int RunExport(Client& client, const ExportOptions& options) {
  v1::ScrollRequest request;
  request.set_collection(options.collection);
  request.set_limit(options.page);
  request.set_include_vectors(!options.without_vectors);
  if (!options.filter.empty()) {
    auto filter = ParseFilter(options.filter);
    if (!filter.ok()) return FailUsage(MessageOf(filter.status()));
    *request.mutable_filter() = std::move(*filter);
  }
  const auto status = client.Describe(options.collection);
  if (!status.ok()) return Fail(status.status());
  Output output(options.output);
  if (const auto opened = output.Open(); !opened.ok()) return Fail(opened);
  Progress progress("points", Progress::Default());
  const uint64_t expected = options.filter.empty() ? status->point_count() : 0;
  const auto count = WritePages(client, std::move(request), output, progress, expected);
  progress.Clear();
  if (!count.ok()) return Fail(count.status());
  if (const auto finished = output.Finish(); !finished.ok()) return Fail(finished);
  fmt::print(stderr, "{} points written to {}\n", WithCommas(*count),
             options.output == "-" ? "standard output" : options.output);
  return 0;
}

}  // namespace vectron::ctl
