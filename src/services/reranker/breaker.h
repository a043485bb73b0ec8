#pragma once

// Stops calling what keeps failing, and tries again with one call now and then.

#include <cstdint>

namespace vectron::reranker {

// Opens after 5 failures in a row or 10 among the last 20 calls; stays open for 30 s, after each
// failed probe for twice as long, at most 10 minutes. Pure: time comes with the calls.
// Thread-compatible.
class Breaker {
 public:
  // Whether a call may go out now; of an open breaker whose time is up, one probe.
  bool Admit(int64_t now_ms);
  void Succeeded();
  void Failed(int64_t now_ms);
  bool open() const { return open_; }

 private:
  void Open(int64_t now_ms);
  void Note(bool failed);

  bool open_ = false;
  bool probing_ = false;
  int64_t open_until_ms_ = 0;
  int64_t open_for_ms_ = 0;
  int failures_in_row_ = 0;
  uint32_t last_ = 0;  // bit n: the n-th latest call failed; 20 bits
};

}  // namespace vectron::reranker
