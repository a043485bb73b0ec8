#include "apps/vectron/operators.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "apps/vectron/plain_routes.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron {
namespace {

// Below the folder of the program: of an installation, and of a build within the source tree.
constexpr std::array<const char*, 2> kConsoleFolders = {"/../share/vectron/console",
                                                        "/../../../console/dist"};

std::string ProgramDir() {
  std::array<char, 4'096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return ".";
  const std::string whole(path.data(), static_cast<size_t>(size));
  return whole.substr(0, whole.rfind('/'));
}

absl::StatusOr<std::unique_ptr<gateway::StaticFiles>> LoadConsole(const OperatorOptions& options,
                                                                  FileSystem& files) {
  gateway::StaticFilesOptions wanted{
      .dir = options.console_dir, .path_prefix = options.console_prefix, .random = SeedFromSystem};
  if (!wanted.dir.empty()) return gateway::StaticFiles::Load(std::move(wanted), files);
  const std::string program = ProgramDir();
  for (const char* folder : kConsoleFolders) {
    const absl::StatusOr<bool> exists = files.Exists(program + folder + "/index.html");
    if (!exists.ok() || !*exists) continue;
    wanted.dir = program + folder;
    return gateway::StaticFiles::Load(std::move(wanted), files);
  }
  return std::unique_ptr<gateway::StaticFiles>();
}

}  // namespace

absl::Status CheckOperatorOptions(const OperatorOptions& options, FileSystem& files) {
  if (!gateway::IsPathPrefix(options.console_prefix)) {
    return InvalidArgument("--console-prefix: \"{}\" is no path prefix such as /vectron",
                           options.console_prefix);
  }
  return LoadConsole(options, files).status();
}

void AddAccess(std::function<Access&()> access, std::string auth_endpoint, OperatorDeps& deps) {
  deps.rate_limits = [access] {
    const rpc::RateLimiter& limiter = access().limiter();
    const double rps = limiter.limits().free_per_second;
    return gateway::RateLimitState{
        .enabled = rps > 0, .requests_per_second = rps, .active_users = limiter.active_users()};
  };
  deps.probes.push_back(
      {.name = "auth",
       .endpoint = std::move(auth_endpoint),
       .check = [access = std::move(access)](auto done) {
         access().CheckService([done = std::move(done)](const absl::Status& status) {
           done(gateway::ServiceProbe::Result{
               .state = status.ok() ? gateway::ServiceState::kUp : gateway::ServiceState::kDown,
               .error = std::string(MessageOf(status))});
         });
       }});
}

absl::StatusOr<std::unique_ptr<Operators>> Operators::Make(const OperatorOptions& options,
                                                           OperatorDeps deps) {
  std::unique_ptr<Operators> operators(new Operators());
  FileSystem& files = *deps.files;
  ASSIGN_OR_RETURN(operators->console_, LoadConsole(options, files));
  RETURN_IF_ERROR(files.MakeDirs(deps.dir));
  ASSIGN_OR_RETURN(
      operators->slow_queries_,
      gateway::SlowQueryLog::Open(
          {.path = deps.dir + "/slow-queries.jsonl", .threshold_ms = options.slow_query_ms},
          {.files = &files, .clock = deps.sources.clock, .executor = &operators->executor_}));
  gateway::ManagementDeps management;
  management.files = &files;
  management.timer = deps.timer;
  management.executor = &operators->executor_;
  management.slow_queries = operators->slow_queries_.get();
  management.server_load =
      [raw = operators.get(),
       &received = deps.metrics->AddCounter("vectron_http_received_bytes_total",
                                            "Bytes received over HTTP."),
       &sent = deps.metrics->AddCounter("vectron_http_sent_bytes_total", "Bytes sent over HTTP."),
       &grpc_received = deps.metrics->AddCounter("vectron_grpc_received_bytes_total",
                                                 "Bytes of messages received over gRPC."),
       &grpc_sent = deps.metrics->AddCounter("vectron_grpc_sent_bytes_total",
                                             "Bytes of messages sent over gRPC.")] {
        const ClientPorts* const ports = raw->ports_;
        const ClientPorts::Connections open =
            ports == nullptr ? ClientPorts::Connections() : ports->connections();
        return gateway::ServerLoad{.http_connections = open.http,
                                   .grpc_connections = open.grpc,
                                   .received_bytes = received.value() + grpc_received.value(),
                                   .sent_bytes = sent.value() + grpc_sent.value()};
      };
  management.sources = std::move(deps.sources);
  management.rate_limits = std::move(deps.rate_limits);
  management.probes = std::move(deps.probes);
  ASSIGN_OR_RETURN(operators->management_,
                   gateway::Management::Make({.dir = deps.dir,
                                              .version = std::string(Version()),
                                              .interval_ms = options.sample_interval_ms,
                                              .thresholds = options.thresholds,
                                              .seed = SeedFromSystem()},
                                             std::move(management)));
  return operators;
}

Operators::~Operators() { Stop(); }

absl::Status Operators::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(management_->Register(registry));
  management_->Watch(registry);
  return absl::OkStatus();
}

void Operators::AddConsole(rpc::HttpDispatcher& dispatcher) const {
  if (console_ == nullptr) return;
  dispatcher.SetFallback([console = console_.get()](const rpc::HttpRequest& request,
                                                    const rpc::HttpResponder& responder) {
    responder.Send(console->Answer(request));
  });
}

void Operators::Start(const ClientPorts& ports) {
  ports_ = &ports;
  management_->Start(ports.http_address());
}

void Operators::SetThresholds(double slow_query_ms, const gateway::AlertThresholds& alerts) {
  slow_queries_->SetThreshold(slow_query_ms);
  management_->SetThresholds(alerts);
}

void Operators::Stop() {
  if (management_ != nullptr) management_->Stop();
}

}  // namespace vectron
