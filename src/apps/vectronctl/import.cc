#include "apps/vectronctl/import.h"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "apps/vectronctl/batch_sender.h"
#include "apps/vectronctl/import_state.h"
#include "apps/vectronctl/rows/row_reader.h"
#include "apps/vectronctl/terminal.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

constexpr size_t kMaxBatchBytes = size_t{4} << 20;
constexpr uint64_t kMaxErrorsShown = 20;
constexpr int64_t kSaveEveryNanos = 500'000'000;
// Points the graph's builder may leave to the exact scan, per shard.
constexpr uint64_t kBuilderBatch = 64;
// A builder that links nothing for this long is not waited for.
constexpr int64_t kIndexStallNanos = 120'000'000'000;

constexpr char kGoesOn[] = "The same command goes on where this one was.";

std::atomic<bool> stop_asked{false};

class Importer {
 public:
  Importer(Client& client, const ImportOptions& options)
      : client_(client),
        options_(options),
        progress_("points", options.json ? Progress::Style::kSilent : Progress::Default()) {}

  absl::Status Run() {
    RETURN_IF_ERROR(Prepare());
    start_nanos_ = clock_.MonotonicNanos();
    const SendTotals start{state_.rows_done, state_.points_written, state_.rows_bad};
    errors_seen_ = start.rows_bad;
    SenderOptions sender_options;
    sender_options.in_flight = options_.in_flight;
    sender_options.send = [this](const v1::UpsertRequest& request) { return Send(request); };
    sender_options.report = [this](uint64_t row, std::string_view why) {
      Report(fmt::format("{}: {}", reader_->Place(row), why));
    };
    absl::Status status;
    {
      BatchSender sender(std::move(sender_options), start);
      progress_.SetStart(reader_->Fraction(), start.points_written, start_nanos_);
      status = ReadAndPush(sender);
      const absl::Status drained = sender.Drain();
      if (status.ok()) status = drained;
      totals_ = sender.totals();
    }
    progress_.Clear();
    seconds_ = 1e-9 * static_cast<double>(clock_.MonotonicNanos() - start_nanos_);
    if (status.ok() && !stop_asked) return RemoveState();
    SaveState(totals_);
    return status;
  }

  void PrintSummary() const {
    const uint64_t written = totals_.points_written - points_before_;
    const double rate = seconds_ > 0 ? static_cast<double>(written) / seconds_ : 0;
    if (options_.json) {
      fmt::print(
          "{{\"collection\":\"{}\",\"points_written\":{},\"rows_bad\":{},\"rows_resumed\":{},"
          "\"seconds\":{:.3f},\"points_per_second\":{:.1f}}}\n",
          options_.collection, written, totals_.rows_bad, rows_before_, seconds_, rate);
      return;
    }
    fmt::print("{} points written to '{}' in {:.1f} s ({}/s)", WithCommas(written),
               options_.collection, seconds_, WithCommas(static_cast<uint64_t>(rate)));
    if (rows_before_ > 0) fmt::print(", {} rows were done before", WithCommas(rows_before_));
    fmt::print("{}\n", totals_.rows_bad > 0
                           ? fmt::format(", {} bad rows left out", WithCommas(totals_.rows_bad))
                           : "");
  }
  // What an import that failed has done before; nothing when it did nothing.
  void PrintProgress() const {
    if (totals_.points_written <= points_before_) return;
    fmt::print(stderr, "{} points were written to '{}' before that.\n",
               WithCommas(totals_.points_written - points_before_), options_.collection);
  }
  uint64_t rows_bad() const { return totals_.rows_bad; }
  // Whether how far it came is on disk, from where the same command goes on.
  bool keeps_progress() const { return !state_path_.empty(); }

 private:
  absl::Status Prepare() {
    ASSIGN_OR_RETURN(reader_, rows::RowReader::Open(options_.input));
    if (!options_.payload.empty()) {
      ASSIGN_OR_RETURN(payloads_, rows::PayloadReader::Open(options_.payload));
    }
    RETURN_IF_ERROR(PrepareCollection());
    return PrepareState();
  }

  absl::Status PrepareCollection() {
    auto found = client_.Describe(options_.collection);
    if (found.status().code() == absl::StatusCode::kNotFound && options_.create) {
      RETURN_IF_ERROR(Create());
      found = client_.Describe(options_.collection);
    } else if (found.status().code() == absl::StatusCode::kNotFound) {
      return NotFound("there is no collection '{}'; --create makes it", options_.collection);
    }
    RETURN_IF_ERROR(found);
    dimension_ = static_cast<size_t>(found->dimension());
    point_count_ = found->point_count();
    return absl::OkStatus();
  }

  absl::Status Create() {
    v1::CreateCollectionRequest request = options_.creation;
    request.set_name(options_.collection);
    if (request.dimension() == 0) {
      if (options_.input == "-") {
        return InvalidArgument("--create needs --dim when the points come from standard input");
      }
      ASSIGN_OR_RETURN(const rows::Matrix first, rows::ReadMatrix(options_.input, 1));
      request.set_dimension(static_cast<int32_t>(first.dimension));
    }
    return client_.CreateCollection(request);
  }

  absl::Status PrepareState() {
    state_.import_id = fmt::format("import-{:016x}", SeedFromSystem());
    if (options_.input == "-") return absl::OkStatus();
    std::error_code error;
    state_.input = std::filesystem::absolute(options_.input, error).lexically_normal().string();
    state_.input_stamp = FileStamp(options_.input) + "+" + FileStamp(options_.payload);
    state_.collection = options_.collection;
    state_.address = client_.address();
    state_.id_prefix = options_.id_prefix;
    state_path_ = options_.resume.empty()
                      ? fmt::format("{}.{}.import", options_.input, options_.collection)
                      : options_.resume;
    ASSIGN_OR_RETURN(const bool exists, files_->Exists(state_path_));
    if (exists) RETURN_IF_ERROR(GoOn());
    if (const auto status = files_->WriteAtomically(state_path_, WriteImportState(state_));
        !status.ok()) {
      fmt::print(stderr,
                 "vectronctl: this import cannot go on after an interruption: {} (--resume FILE "
                 "names another place)\n",
                 MessageOf(status));
      state_path_.clear();
    }
    return absl::OkStatus();
  }

  // Takes up a state found on disk.
  absl::Status GoOn() {
    ASSIGN_OR_RETURN(const std::string text, files_->ReadAll(state_path_));
    auto saved = ParseImportState(text);
    const std::string advice =
        fmt::format("{}: remove this file to start from the beginning", state_path_);
    if (!saved.ok()) return Annotate(saved.status(), advice);
    RETURN_IF_ERROR(Annotate(CheckSameImport(*saved, state_), advice));
    if (point_count_ == 0 && saved->points_written > 0) {
      fmt::print(stderr, "vectronctl: the collection is empty, so the import starts again\n");
      return absl::OkStatus();
    }
    state_ = std::move(*saved);
    rows_before_ = state_.rows_done;
    points_before_ = state_.points_written;
    RETURN_IF_ERROR(reader_->Skip(rows_before_));
    if (payloads_ != nullptr) RETURN_IF_ERROR(payloads_->Skip(rows_before_));
    if (rows_before_ > 0 && !options_.json) {
      fmt::print(stderr, "going on behind row {}\n", WithCommas(rows_before_));
    }
    return absl::OkStatus();
  }

  absl::Status ReadAndPush(BatchSender& sender) {
    Batch batch = NewBatch();
    size_t bytes = 0;
    while (!stop_asked && (options_.limit == 0 || reader_->position() < options_.limit)) {
      auto row = NextRow();
      if (row.ok() && !row->has_value()) break;
      if (row.ok()) {
        bytes += 4 * (*row)->vector.size() + (*row)->payload.fields.ByteSizeLong();
        AddPoint(**row, batch);
      } else if (row.status().code() == absl::StatusCode::kInvalidArgument) {
        ++batch.rows_bad;
        Report(MessageOf(row.status()));
      } else {
        Seal(batch);  // what was read before is still written
        RETURN_IF_ERROR(sender.Push(std::move(batch)));
        return row.status();
      }
      if (errors_seen_ > options_.max_errors) {
        return FailedPrecondition("more than {} bad rows; --max-errors allows more",
                                  options_.max_errors);
      }
      const auto points = static_cast<uint32_t>(batch.request.points_size());
      if (points < options_.batch_points && bytes < kMaxBatchBytes) continue;
      Seal(batch);
      RETURN_IF_ERROR(sender.Push(std::move(batch)));
      batch = NewBatch();
      bytes = 0;
      ShowAndSave(sender.totals());
    }
    Seal(batch);
    return sender.Push(std::move(batch));
  }

  // The next row with its payload, of the right size.
  absl::StatusOr<std::optional<rows::Row>> NextRow() {
    auto row = reader_->Next();
    if (!row.ok() || !row->has_value()) return row;
    if (payloads_ != nullptr) {
      ASSIGN_OR_RETURN((*row)->payload, payloads_->Next());
    }
    if ((*row)->vector.size() != dimension_) {
      return InvalidArgument("{}: {} components, the collection wants {}",
                             reader_->Place((*row)->number), (*row)->vector.size(), dimension_);
    }
    return row;
  }

  Batch NewBatch() const {
    Batch batch;
    batch.first_row = reader_->position();
    batch.request.set_collection(options_.collection);
    return batch;
  }

  void AddPoint(rows::Row& row, Batch& batch) const {
    v1::Point& point = *batch.request.add_points();
    point.set_id(options_.id_prefix + (row.id.empty() ? std::to_string(row.number) : row.id));
    point.mutable_vector()->Add(row.vector.begin(), row.vector.end());
    if (row.payload.fields.fields_size() > 0) {
      *point.mutable_fields() = std::move(row.payload.fields);
      point.mutable_payload()->swap(row.payload.texts);
    }
    batch.row_numbers.push_back(row.number);
  }

  // The same rows under the same import get the same request id, so that what was written already
  // is not written twice.
  void Seal(Batch& batch) const {
    batch.end_row = reader_->position();
    batch.request.set_request_id(
        fmt::format("{}-{}-{}", state_.import_id, batch.first_row, batch.end_row));
  }

  absl::Status Send(const v1::UpsertRequest& request) {
    RetryOptions retry;
    retry.stop = [] { return stop_asked.load(); };
    return CallWithRetry(retry, [&] { return client_.Upsert(request).status(); });
  }

  // Called by the reading thread and, one at a time, by sending ones.
  void Report(std::string_view what) {
    const uint64_t number = ++errors_seen_ - state_.rows_bad;
    if (number > kMaxErrorsShown + 1) return;
    progress_.Clear();
    if (number <= kMaxErrorsShown) {
      fmt::print(stderr, "{}\n", what);
    } else {
      fmt::print(stderr, "further bad rows are only counted\n");
    }
  }

  void ShowAndSave(const SendTotals& totals) {
    const int64_t now = clock_.MonotonicNanos();
    progress_.Update(reader_->Fraction(), totals.points_written, now);
    if (now - saved_nanos_ < kSaveEveryNanos) return;
    saved_nanos_ = now;
    SaveState(totals);
  }

  void SaveState(const SendTotals& totals) {
    if (state_path_.empty()) return;
    ImportState state = state_;
    state.rows_done = totals.rows_done;
    state.points_written = totals.points_written;
    state.rows_bad = totals.rows_bad;
    const absl::Status status = files_->WriteAtomically(state_path_, WriteImportState(state));
    if (status.ok()) return;
    progress_.Clear();
    fmt::print(stderr, "vectronctl: the progress could not be saved: {}\n", MessageOf(status));
    state_path_.clear();
  }

  absl::Status RemoveState() {
    return state_path_.empty() ? absl::OkStatus() : files_->Remove(std::exchange(state_path_, {}));
  }

  Client& client_;
  const ImportOptions& options_;
  Progress progress_;
  SystemClock clock_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  std::unique_ptr<rows::RowReader> reader_;
  std::unique_ptr<rows::PayloadReader> payloads_;
  size_t dimension_ = 0;
  uint64_t point_count_ = 0;  // of the collection, at the start
  std::string state_path_;    // "" when progress is not kept
  ImportState state_;         // as it was at the start
  uint64_t rows_before_ = 0;
  uint64_t points_before_ = 0;
  std::atomic<uint64_t> errors_seen_{0};
  SendTotals totals_;
  int64_t start_nanos_ = 0;
  int64_t saved_nanos_ = 0;
  double seconds_ = 0;
};

}  // namespace

int RunImport(Client& client, const ImportOptions& options) {
  if (!options.payload.empty() &&
      (options.input == "-" || options.input.find(".jsonl") != std::string::npos)) {
    return FailUsage("--payload goes with files of vectors; JSON Lines carry their payload");
  }
  std::signal(SIGINT, [](int) { stop_asked = true; });
  std::signal(SIGTERM, [](int) { stop_asked = true; });
  Importer importer(client, options);
  if (const auto status = importer.Run(); !status.ok()) {
    Fail(status);
    importer.PrintProgress();
    if (IsWorthRetrying(status) && importer.keeps_progress()) fmt::print(stderr, "{}\n", kGoesOn);
    return 1;
  }
  if (options.wait_indexed && !stop_asked) {
    const auto status = WaitUntilIndexed(client, options.collection, !options.json);
    if (!status.ok()) return Fail(status);
  }
  importer.PrintSummary();
  if (stop_asked) {
    fmt::print(stderr, "Stopped.\n");
    if (importer.keeps_progress()) fmt::print(stderr, "{}\n", kGoesOn);
    return 1;
  }
  return importer.rows_bad() == 0 ? 0 : 1;
}

absl::Status WaitUntilIndexed(Client& client, const std::string& collection, bool show) {
  SystemClock clock;
  Progress progress("points indexed", show ? Progress::Default() : Progress::Style::kSilent);
  int64_t moved_nanos = clock.MonotonicNanos();
  uint64_t indexed = 0;
  progress.SetStart(0, 0, moved_nanos);
  while (!stop_asked) {
    ASSIGN_OR_RETURN(const auto status, client.Describe(collection));
    const auto shards = static_cast<uint64_t>(std::max(1, status.shards_size()));
    if (status.indexed_count() + kBuilderBatch * shards > status.point_count()) break;
    const int64_t now = clock.MonotonicNanos();
    if (status.indexed_count() != indexed) moved_nanos = now;
    indexed = status.indexed_count();
    if (now - moved_nanos > kIndexStallNanos) {
      return Unavailable("the graph of '{}' stands at {} of {} points; see the server's log",
                         collection, indexed, status.point_count());
    }
    progress.Update(static_cast<double>(indexed) / static_cast<double>(status.point_count()),
                    indexed, now);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  progress.Clear();
  return absl::OkStatus();
}

}  // namespace vectron::ctl
