#pragma once

// How many events get a line of their own: so many of one address, or user, and so many in all in a
// minute; the others are counted by address or user.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace vectron::rpc {

// Thread-safe. Times are monotonic milliseconds.
class RefusalLimit {
 public:
  static constexpr int64_t kWindowMs = 60'000;
  static constexpr size_t kLinesPerAddress = 20;
  static constexpr size_t kLines = 200;
  // More addresses of one minute than this share one count.
  static constexpr size_t kMaxAddresses = 1'024;

  explicit RefusalLimit(size_t lines_per_address = kLinesPerAddress, size_t lines = kLines)
      : lines_per_address_(lines_per_address), most_lines_(lines) {}

  struct More {
    std::string address;  // the first of its AddressBucket; "" for those beyond kMaxAddresses
    uint64_t count = 0;
  };

  // Whether this event gets its line. An id of a user counts as an address of its own. Call
  // TakeEnded first.
  bool Admit(std::string_view address, int64_t now_ms);
  // The counts of a minute that is over, once; with `all`, of the present one, too.
  std::vector<More> TakeEnded(int64_t now_ms, bool all = false);

 private:
  struct Counts {
    std::string address;
    size_t lines = 0;
    uint64_t more = 0;
  };

  const size_t lines_per_address_;
  const size_t most_lines_;

  absl::Mutex mutex_;
  int64_t begin_ms_ ABSL_GUARDED_BY(mutex_) = 0;  // of the present minute
  size_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Counts> addresses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::rpc
