#pragma once

// POSTs to a chat endpoint. No redirects, TLS verified, answers of at most 1 MiB; the key is never
// part of an error or a log line. Thread-safe; a call blocks its thread.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace vectron::reranker {

struct ChatReply {
  long status = 0;  // of HTTP
  std::string body;
};

class ChatClient {
 public:
  // url: http or https. key: "" for none. ca_file: PEM, for https; "": the system's.
  ChatClient(std::string url, const std::string& key, std::string ca_file);
  ~ChatClient();
  ChatClient(const ChatClient&) = delete;
  ChatClient& operator=(const ChatClient&) = delete;

  // DeadlineExceeded past the timeout, ResourceExhausted (answer too large), Unavailable (cannot
  // connect, broken off).
  absl::StatusOr<ChatReply> Post(const std::string& body, int64_t timeout_ms);

 private:
  using Handle = std::unique_ptr<void, void (*)(void*)>;
  Handle Take();

  const std::string url_;
  const std::string ca_file_;
  std::string authorization_;  // the whole header line; "" for none
  absl::Mutex mutex_;
  std::vector<Handle> idle_ ABSL_GUARDED_BY(mutex_);  // each keeps its connection
};

}  // namespace vectron::reranker
