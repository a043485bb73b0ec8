#pragma once

// Sends batches of points with several under way at once, finds the points a server refuses, and
// knows up to which row everything is written.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "vectron/vectron.pb.h"

namespace vectron::ctl {

// Rows [first_row, end_row) of the input: the points to write, and how many rows were bad.
struct Batch {
  uint64_t first_row = 0;
  uint64_t end_row = 0;
  uint64_t rows_bad = 0;
  std::vector<uint64_t> row_numbers;  // per point of the request
  v1::UpsertRequest request;          // with a request id: it may be sent again
};

// Everything before row `rows_done` is written or was reported.
struct SendTotals {
  uint64_t rows_done = 0;
  uint64_t points_written = 0;
  uint64_t rows_bad = 0;
};

struct SenderOptions {
  size_t in_flight = 4;  // threads, each with one batch
  // Sends one request, again while that helps. Called by several threads at once. InvalidArgument:
  // some point is refused.
  std::function<absl::Status(const v1::UpsertRequest&)> send;
  // A point was refused. Called by one thread at a time.
  std::function<void(uint64_t row, std::string_view why)> report;
};

// Push and Drain are called by one thread.
class BatchSender {
 public:
  BatchSender(SenderOptions options, SendTotals start);
  ~BatchSender();  // waits for what is under way

  // Waits while `in_flight` batches wait already. The first error of a send that no retry helped;
  // nothing is sent after it.
  absl::Status Push(Batch batch);
  // Waits until all that was pushed is done.
  absl::Status Drain();
  SendTotals totals() const;

 private:
  void Work();
  absl::Status SendAll(const Batch& batch, SendTotals& outcome);
  absl::Status SendPart(const Batch& batch, size_t begin, size_t end, SendTotals& outcome);
  void Finish(uint64_t sequence, const SendTotals& outcome, const absl::Status& status);

  const SenderOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<uint64_t, Batch>> waiting_;  // by sequence
  std::map<uint64_t, SendTotals> finished_;         // done, but one before is not
  uint64_t next_sequence_ = 0;
  uint64_t done_sequence_ = 0;  // all before are done
  size_t active_ = 0;
  SendTotals totals_;
  absl::Status status_;
  bool closing_ = false;
  std::mutex report_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace vectron::ctl
