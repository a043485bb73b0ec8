#include "connection.h"

#include <exception>
#include <random>

namespace vectron::internal {

double Jitter() {
  thread_local std::mt19937 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

Connection::Connection(std::string host, ClientOptions options)
    : host_(std::move(host)), options_(std::move(options)) {
  if (host_.empty()) {
    throw InvalidArgumentError(
        "the host is empty; give the gateway's gRPC address, such as \"localhost:8081\"");
  }
  if (host_.find("://") != std::string::npos) {
    throw InvalidArgumentError("the host is HOST:PORT of gRPC without a scheme, not \"" + host_ +
                               "\" (use_tls asks for TLS)");
  }
  if (options_.tls_client_certificate.empty() != options_.tls_client_key.empty()) {
    throw InvalidArgumentError("mutual TLS needs both tls_client_certificate and tls_client_key");
  }
  const auto channel = Open(host_);
  vectron_ = v1::VectronService::NewStub(channel);
  management_ = management::v1::ManagementService::NewStub(channel);
  auth_ = auth::v1::AuthService::NewStub(options_.auth_host.empty() ? channel
                                                                    : Open(options_.auth_host));
}

std::shared_ptr<grpc::Channel> Connection::Open(const std::string& host) const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options_.max_message_bytes);
  arguments.SetMaxSendMessageSize(options_.max_message_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options_.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(options_.keepalive_timeout.count()));
  // Newer gRPC ends a silent connection by this one, which is a minute unless said.
  arguments.SetInt("grpc.http2.ping_timeout_ms",
                   static_cast<int>(options_.keepalive_timeout.count()));
  // A server that restarts is soon back; and each client has a connection of its own.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options_.tls_server_name.empty())
    arguments.SetSslTargetNameOverride(options_.tls_server_name);
  if (options_.gzip) arguments.SetCompressionAlgorithm(GRPC_COMPRESS_GZIP);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options_.use_tls) {
    credentials = grpc::SslCredentials(
        {options_.tls_root_certificates, options_.tls_client_key, options_.tls_client_certificate});
  }
  return grpc::CreateCustomChannel(host, credentials, arguments);
}

void Connection::SetLogin(std::string token) {
  const std::lock_guard lock(mutex_);
  login_ = std::move(token);
}

void Connection::Prepare(grpc::ClientContext* context, std::chrono::milliseconds left) const {
  context->set_deadline(std::chrono::system_clock::now() +
                        std::min(left, options_.attempt_timeout));
  std::string token;
  {
    const std::lock_guard lock(mutex_);
    token = login_;
  }
  if (token.empty())
    token = options_.credential_source ? options_.credential_source() : options_.credential;
  if (!options_.tenant.empty()) context->AddMetadata("x-vectron-tenant", options_.tenant);
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
}

bool Connection::Enter(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  under_way_.push_back(context);
  return true;
}

void Connection::Leaving(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  std::erase(under_way_, context);
  ++leaving_;
}

void Connection::HasLeft() {
  const std::lock_guard lock(mutex_);
  --leaving_;
  changed_.notify_all();
}

Connection::UnderWay::UnderWay(Connection* connection, grpc::ClientContext* context)
    : connection_(connection), context_(context), exceptions_(std::uncaught_exceptions()) {
  if (!connection_->Enter(context_)) {
    Throw({Code::kCancelled, "the client is closed", {}}, connection_->host_);
  }
}

Connection::UnderWay::~UnderWay() {
  if (std::uncaught_exceptions() > exceptions_) context_->TryCancel();
  connection_->Leaving(context_);
  connection_->HasLeft();
}

bool Connection::Sleep(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, pause, [this] { return closed_.load(); });
}

void Connection::Close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  for (grpc::ClientContext* context : under_way_) context->TryCancel();
  changed_.notify_all();
  changed_.wait(lock, [this] { return under_way_.empty() && leaving_ == 0; });
  lock.unlock();
  // Here, in the caller: gRPC 1.51 crashes when the last channel goes in one of its own threads.
  vectron_.reset();
  management_.reset();
  auth_.reset();
}

}  // namespace vectron::internal
