#pragma once

// TLS (RFC 8446; 1.2 at least): certificates from files, read again when they change, and
// optionally certificates of the other end. This is HTTP's part; gRPC's is in tls_grpc.h.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

struct ssl_ctx_st;
struct ssl_st;

namespace vectron::rpc {

struct TlsFiles {
  std::string certificate = {};  // PEM, with its chain; "": none is shown, which servers must
  std::string key = {};          // PEM, of mode 0600
  std::string ca = {};  // PEM: the other end must show a certificate that one of these signed; "":
                        // servers ask for none
  bool client_optional = false;  // of a server with a CA: a client may come without a certificate
  bool enabled() const { return !certificate.empty() || !ca.empty(); }
};

// What new connections are made with. Thread-safe.
class TlsContext {
 public:
  // InvalidArgument names the file and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Load(const TlsFiles& files);
  ~TlsContext();

  std::shared_ptr<ssl_ctx_st> Current() const;  // shared with connections that began with it
  // Reads the files again when one of them has changed. An error leaves what was; it is reported
  // once per change.
  absl::Status ReloadIfChanged();
  const TlsFiles& files() const { return files_; }

 private:
  explicit TlsContext(TlsFiles files) : files_(std::move(files)) {}

  const TlsFiles files_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<ssl_ctx_st> current_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);  // sizes and times of the files as last read
};

// The server's end of one connection, over a non-blocking socket that it does not own.
// Thread-compatible.
class TlsStream {
 public:
  TlsStream(const std::shared_ptr<ssl_ctx_st>& context, int descriptor);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class Outcome { kDone, kWouldBlock, kEnd, kError };
  struct Result {
    Outcome outcome = Outcome::kError;
    size_t bytes = 0;  // with kDone, at least 1
  };
  // Reads what there is, up to `size`. It stops short of `size` only when the socket has no more.
  // Does the handshake first.
  Result Read(char* into, size_t size);
  Result Write(std::string_view bytes);
  // After kWouldBlock: what the socket has to become, whichever of the two was called.
  bool wants_write() const { return wants_write_; }
  // The handshake is done.
  bool established() const;
  // Bytes have been read from the socket that Read has not given out.
  bool pending() const;
  // Says goodbye, if that is possible at once.
  void Close();

 private:
  Result Failed(int result);

  ssl_st* const ssl_;
  bool wants_write_ = false;
  bool broken_ = false;
};

}  // namespace vectron::rpc
