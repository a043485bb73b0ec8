#include "apps/vectron/metrics_port.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "apps/vectron/plain_routes.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/web_guard.h"

namespace vectron {
namespace {

constexpr size_t kMaxConnections = 64;

}  // namespace

void AddMetricsFlags(CLI::App& command, MetricsFlags& flags) {
  CLI::Option* const address =
      command.add_option("--metrics", flags.address,
                         "HOST:PORT of /metrics, /healthz and /readyz over HTTP without "
                         "credentials, for an address that only those who watch reach; without it "
                         "there is none");
  CLI::Option* const certificate =
      command.add_option("--metrics-tls-cert", flags.tls.certificate,
                         "Certificate (PEM, with its chain) for TLS on the port of --metrics; read "
                         "again when it changes");
  CLI::Option* const key = command.add_option("--metrics-tls-key", flags.tls.key,
                                              "Private key (PEM) of that certificate");
  certificate->needs(key)->needs(address);
  key->needs(certificate);
  command
      .add_option("--metrics-tls-client-ca", flags.tls.ca,
                  "Who watches must show a certificate signed by one of these (PEM)")
      ->needs(certificate);
}

absl::StatusOr<MetricsOptions> ToMetricsOptions(const MetricsFlags& flags) {
  MetricsOptions options{.address = std::nullopt, .tls = flags.tls};
  if (flags.tls.enabled()) RETURN_IF_ERROR(rpc::TlsContext::Load(flags.tls).status());
  if (flags.address.empty()) return options;
  const absl::StatusOr<HostPort> parsed = ParseHostPort(flags.address);
  if (!parsed.ok()) return Annotate(parsed.status(), "--metrics");
  options.address = *parsed;
  return options;
}

void AddFigure(std::vector<MetricSample>& samples, std::string_view name, std::string_view help,
               double value) {
  samples.push_back({.name = std::string(name),
                     .help = std::string(help),
                     .labels = {},
                     .value = value,
                     .counter = name.ends_with("_total")});
}

MetricsPort::MetricsPort(const Metrics& metrics, const Clock& clock)
    : metrics_(metrics), clock_(clock), no_rpcs_(of_this_port_, clock, {}) {}

MetricsPort::~MetricsPort() = default;

absl::Status MetricsPort::Start(const MetricsOptions& wanted) {
  if (!wanted.address.has_value()) return absl::OkStatus();
  const HostPort& address = *wanted.address;
  RETURN_IF_ERROR(
      AddHealthRoutes([this] { return Ask(); }, metrics_, options::SCOPE_PUBLIC, dispatcher_));
  // At a loopback address only what is on this machine is meant to reach it, no page that a browser
  // here shows.
  ASSIGN_OR_RETURN(const rpc::WebGuard guard,
                   rpc::WebGuard::Make({.checks_credentials = !IsLoopback(address.host)}));
  rpc::HttpServerOptions options;
  options.address = address.host;
  options.port = address.port;
  options.tls = wanted.tls;
  options.io_threads = 1;
  options.max_connections = kMaxConnections;
  options.body_limit = [](const rpc::HttpRequest&) { return size_t{0}; };
  absl::StatusOr<std::unique_ptr<rpc::HttpServer>> server = rpc::HttpServer::Start(
      std::move(options),
      [this, guard](rpc::HttpRequest request, rpc::HttpResponder responder) {
        const absl::Status refusal = guard.Check(request);
        if (!refusal.ok()) return responder.Send(rpc::ErrorResponse(refusal));
        dispatcher_.Handle(std::move(request), std::move(responder));
      },
      clock_, of_this_port_);
  if (!server.ok()) return Annotate(server.status(), "--metrics");
  server_ = *std::move(server);
  LogInfo("metrics are on {}", server_->bound_address());
  return absl::OkStatus();
}

void MetricsPort::Serve(Problems problems) {
  const absl::MutexLock lock(&mutex_);
  problems_ = std::move(problems);
}

void MetricsPort::Leave() { Serve(nullptr); }

std::vector<std::string> MetricsPort::Ask() const {
  const absl::ReaderMutexLock lock(&mutex_);
  if (problems_ == nullptr) return {"it is starting or stopping"};
  return problems_();
}

std::string MetricsPort::address() const {
  return server_ == nullptr ? std::string() : server_->bound_address();
}

std::string MetricsPort::ReadyField() const {
  return server_ == nullptr ? std::string()
                            : fmt::format(R"(,"metrics":"{}")", server_->bound_address());
}

}  // namespace vectron
