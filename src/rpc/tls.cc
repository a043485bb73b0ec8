#include "rpc/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron::rpc {
namespace {

constexpr char kAlpn[] = "\x08http/1.1";

std::string LastError() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "unknown reason" : text;
}

std::string StampOf(const TlsFiles& files) {
  std::string stamp;
  for (const std::string* path : {&files.certificate, &files.key, &files.ca}) {
    struct stat info {};
    if (path->empty() || ::stat(path->c_str(), &info) != 0) {
      stamp += "-;";
    } else {
      stamp += fmt::format("{} {} {}.{};", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                           info.st_mtim.tv_nsec);
    }
  }
  return stamp;
}

int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned int in_size, void*) {
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(kAlpn),
                            sizeof kAlpn - 1, in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> Make(const TlsFiles& files) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return InvalidArgument("TLS certificate {}: {}", files.certificate, LastError());
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return InvalidArgument("TLS key {}: {}", files.key, LastError());
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return InvalidArgument("TLS key {} does not belong to {}", files.key, files.certificate);
  if (!files.ca.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) != 1)
      return InvalidArgument("TLS CA {}: {}", files.ca, LastError());
    SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(files.ca.c_str()));
    SSL_CTX_set_verify(
        context.get(),
        SSL_VERIFY_PEER | (files.client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), nullptr);
  }
  return context;
}

}  // namespace

TlsContext::~TlsContext() = default;

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Load(const TlsFiles& files) {
  // OpenSSL writes by write(2): a client that has gone must be an error here, not a signal.
  ::signal(SIGPIPE, SIG_IGN);
  if (files.key.empty() || files.certificate.empty())
    return InvalidArgument("TLS needs a certificate and a key");
  std::unique_ptr<TlsContext> context(new TlsContext(files));
  const std::string stamp = StampOf(files);
  ASSIGN_OR_RETURN(auto made, Make(files));
  const absl::MutexLock lock(&context->mutex_);
  context->current_ = std::move(made);
  context->stamp_ = stamp;
  return context;
}

std::shared_ptr<ssl_ctx_st> TlsContext::Current() const {
  const absl::MutexLock lock(&mutex_);
  return current_;
}

absl::Status TlsContext::ReloadIfChanged() {
  const std::string stamp = StampOf(files_);
  {
    const absl::MutexLock lock(&mutex_);
    if (stamp == stamp_) return absl::OkStatus();
    stamp_ = stamp;
  }
  ASSIGN_OR_RETURN(auto made, Make(files_));
  const absl::MutexLock lock(&mutex_);
  current_ = std::move(made);
  return absl::OkStatus();
}

TlsStream::TlsStream(const std::shared_ptr<ssl_ctx_st>& context, int descriptor)
    : ssl_(SSL_new(context.get())) {
  CHECK(ssl_ != nullptr);
  CHECK_EQ(SSL_set_fd(ssl_, descriptor), 1);
  SSL_set_accept_state(ssl_);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream::Result TlsStream::Failed(int result) {
  const int error = SSL_get_error(ssl_, result);
  ERR_clear_error();
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return {Outcome::kWouldBlock, 0};
  broken_ = true;
  return {error == SSL_ERROR_ZERO_RETURN ? Outcome::kEnd : Outcome::kError, 0};
}

TlsStream::Result TlsStream::Read(char* into, size_t size) {
  size_t done = 0;
  while (done < size) {
    const int want = static_cast<int>(
        std::min<size_t>(size - done, static_cast<size_t>(std::numeric_limits<int>::max())));
    ERR_clear_error();
    const int result = SSL_read(ssl_, into + done, want);
    if (result <= 0) {
      const Result failed = Failed(result);
      // What ended the reading shows again at the next one.
      return done > 0 ? Result{Outcome::kDone, done} : failed;
    }
    done += static_cast<size_t>(result);
  }
  wants_write_ = false;
  return {Outcome::kDone, done};
}

TlsStream::Result TlsStream::Write(std::string_view bytes) {
  CHECK(!bytes.empty());
  const int want = static_cast<int>(
      std::min<size_t>(bytes.size(), static_cast<size_t>(std::numeric_limits<int>::max())));
  ERR_clear_error();
  const int result = SSL_write(ssl_, bytes.data(), want);
  if (result <= 0) return Failed(result);
  return {Outcome::kDone, static_cast<size_t>(result)};
}

bool TlsStream::established() const { return SSL_is_init_finished(ssl_) == 1; }
bool TlsStream::pending() const { return SSL_has_pending(ssl_) == 1; }

void TlsStream::Close() {
  if (broken_ || !established()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace vectron::rpc
