#pragma once

// Calls of the public service, over one gRPC channel.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vectron/vectron.pb.h"

namespace vectron::ctl {

struct ClientOptions {
  std::string address;           // HOST:PORT
  uint32_t timeout_ms = 60'000;  // of one call
  std::string credential = {};   // an API key or a token; "": none is shown
  std::string tenant = {};       // id of the user whose collections are meant; "": the caller
  // PEM texts. With a CA the connection is TLS and the server's certificate has to be signed by it.
  std::string tls_ca = {};
  std::string tls_certificate = {};  // shown to the server; "": none
  std::string tls_key = {};
};

// Thread-safe. Errors: the server's code and message, with what to do where the code alone says it.
class Client {
 public:
  explicit Client(const ClientOptions& options);
  ~Client();

  absl::Status CreateCollection(const v1::CreateCollectionRequest& request);
  absl::Status DeleteCollection(const std::string& name);
  absl::StatusOr<v1::ListCollectionsResponse> ListCollections();
  absl::StatusOr<v1::GetCollectionStatusResponse> Describe(const std::string& name);
  absl::StatusOr<v1::UpsertResponse> Upsert(const v1::UpsertRequest& request);
  absl::StatusOr<v1::SearchResponse> Search(const v1::SearchRequest& request);
  absl::StatusOr<v1::Point> Get(const std::string& collection, const std::string& id);
  absl::Status Delete(const std::string& collection, const std::string& id);
  absl::StatusOr<v1::ScrollResponse> Scroll(const v1::ScrollRequest& request);

  const std::string& address() const { return options_.address; }

 private:
  struct Connection;

  ClientOptions options_;
  std::unique_ptr<Connection> connection_;
};

// Calls again while the answer is Unavailable, ResourceExhausted or DeadlineExceeded, with growing
// pauses, for up to `patience_ms`; the call must be safe to repeat. `stop` is asked before each
// pause.
struct RetryOptions {
  int64_t patience_ms = 120'000;
  std::function<bool()> stop;
};
absl::Status CallWithRetry(const RetryOptions& options, const std::function<absl::Status()>& call);
bool IsWorthRetrying(const absl::Status& status);

}  // namespace vectron::ctl
