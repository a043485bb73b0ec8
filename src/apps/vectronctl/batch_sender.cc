#include "apps/vectronctl/batch_sender.h"

#include <fmt/format.h>

#include "base/status.h"

namespace vectron::ctl {

BatchSender::BatchSender(SenderOptions options, SendTotals start)
    : options_(std::move(options)), totals_(start) {
  for (size_t i = 0; i < options_.in_flight; ++i) threads_.emplace_back([this] { Work(); });
}

BatchSender::~BatchSender() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status BatchSender::Push(Batch batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !status_.ok() || waiting_.size() < options_.in_flight; });
  RETURN_IF_ERROR(status_);
  waiting_.emplace_back(next_sequence_++, std::move(batch));
  changed_.notify_all();
  return absl::OkStatus();
}

absl::Status BatchSender::Drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return active_ == 0 && (waiting_.empty() || !status_.ok()); });
  return status_;
}

SendTotals BatchSender::totals() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

void BatchSender::Work() {
  for (;;) {
    std::pair<uint64_t, Batch> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closing_ || (status_.ok() && !waiting_.empty()); });
      if (closing_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      ++active_;
    }
    changed_.notify_all();
    SendTotals outcome{job.second.end_row, 0, job.second.rows_bad};
    const absl::Status status = SendAll(job.second, outcome);
    Finish(job.first, outcome, status);
  }
}

void BatchSender::Finish(uint64_t sequence, const SendTotals& outcome, const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    --active_;
    if (status.ok()) {
      finished_.emplace(sequence, outcome);
    } else if (status_.ok()) {
      status_ = status;
    }
    for (auto at = finished_.find(done_sequence_); at != finished_.end();
         at = finished_.find(done_sequence_)) {
      totals_.rows_done = at->second.rows_done;
      totals_.points_written += at->second.points_written;
      totals_.rows_bad += at->second.rows_bad;
      finished_.erase(at);
      ++done_sequence_;
    }
  }
  changed_.notify_all();
}

absl::Status BatchSender::SendAll(const Batch& batch, SendTotals& outcome) {
  const auto count = static_cast<size_t>(batch.request.points_size());
  if (count == 0) return absl::OkStatus();
  absl::Status status = options_.send(batch.request);
  if (status.ok()) outcome.points_written += count;
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  if (count > 1) {
    const size_t middle = count / 2;
    RETURN_IF_ERROR(SendPart(batch, 0, middle, outcome));
    return SendPart(batch, middle, count, outcome);
  }
  ++outcome.rows_bad;
  std::lock_guard lock(report_mutex_);
  options_.report(batch.row_numbers[0], MessageOf(status));
  return absl::OkStatus();
}

// A refused batch is halved until the refused points stand alone; the others are written.
absl::Status BatchSender::SendPart(const Batch& batch, size_t begin, size_t end,
                                   SendTotals& outcome) {
  Batch part;
  part.request.set_collection(batch.request.collection());
  const std::string whole =
      batch.request.request_id().substr(0, batch.request.request_id().find('/'));
  part.request.set_request_id(
      fmt::format("{}/{}-{}", whole, batch.row_numbers[begin], batch.row_numbers[end - 1]));
  for (size_t i = begin; i < end; ++i) {
    *part.request.add_points() = batch.request.points(static_cast<int>(i));
    part.row_numbers.push_back(batch.row_numbers[i]);
  }
  return SendAll(part, outcome);
}

}  // namespace vectron::ctl
