// The server. One program, a subcommand per role; `vectron --help` lists them.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "apps/vectron/access_flags.h"
#include "apps/vectron/auth_role.h"
#include "apps/vectron/cluster_commands.h"
#include "apps/vectron/configuration.h"
#include "apps/vectron/dev.h"
#include "apps/vectron/operator_flags.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/recover_command.h"
#include "apps/vectron/reranker_role.h"
#include "base/file.h"
#include "base/status.h"
#include "services/reranker/service.h"

namespace vectron {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

// SIGTERM and SIGINT, taken by a thread of their own. Before SetServing the first one ends the
// process at once (nothing that a crash would lose is lost), afterwards it asks for a graceful stop
// and the second one ends the process. Made before any other thread, so that all inherit the
// blocked signals.
class Signals {
 public:
  Signals() {
    ::signal(SIGPIPE, SIG_IGN);
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::thread([this] { Run(); }).detach();  // ends with the process
  }
  void SetServing() { serving_.store(true); }
  void WaitForStop() { stop_.WaitForNotification(); }

 private:
  [[noreturn]] void Run() {
    while (true) {
      int signal = 0;
      ::sigwait(&signals_, &signal);
      if (!serving_.load() || stop_.HasBeenNotified()) ::_exit(128 + signal);
      stop_.Notify();
    }
  }

  sigset_t signals_{};
  std::atomic<bool> serving_{false};
  absl::Notification stop_;
};

// Each shard holds some files open; the soft limit of a login shell is often 1,024. Returns what
// holds from now on.
uint64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return ~uint64_t{0};
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

int Fail(int exit_code, std::string_view message) {
  std::fprintf(stderr, "vectron: %.*s\n", static_cast<int>(message.size()), message.data());
  return exit_code;
}

struct DevFlags {
  std::string data;
  std::string http = "127.0.0.1:8080";
  std::string grpc = "127.0.0.1:8081";
  std::string auth = "on";
  AccessFlags access;
  OperatorOptions operators;
  LocalRankingOptions ranking;
  size_t threads = 0;
};

absl::StatusOr<DevOptions> CheckFlags(const DevFlags& flags) {
  DevOptions options;
  options.data_dir = flags.data;
  options.threads = flags.threads;
  options.operators = flags.operators;
  options.ranking = flags.ranking;
  ASSIGN_OR_RETURN(options.http, ParseHostPort(flags.http));
  ASSIGN_OR_RETURN(options.grpc, ParseHostPort(flags.grpc));
  options.tls = flags.access.tls;
  options.auth = flags.auth == "on";
  ASSIGN_OR_RETURN(options.web, ToWebRules(flags.access, options.auth));
  if (options.auth) {
    ASSIGN_OR_RETURN(options.access, ToAccessOptions(flags.access, flags.data));
    if (!flags.access.cluster.secret_file.empty()) {
      ASSIGN_OR_RETURN(options.access.cluster, ToClusterCredentials(flags.access.cluster));
    }
    return options;
  }
  for (const auto& [flag, address] :
       {std::pair{"--http", options.http}, std::pair{"--grpc", options.grpc}}) {
    if (IsLoopback(address.host)) continue;
    return FailedPrecondition(
        "--auth off lets everyone who reaches the server read and write; it is refused on {} {}, "
        "use a "
        "loopback address such as 127.0.0.1",
        flag, address.host);
  }
  return options;
}

int RunDev(const DevFlags& flags) {
  absl::StatusOr<DevOptions> options = CheckFlags(flags);
  if (!options.ok()) return Fail(kExitUsage, MessageOf(options.status()));
  options->max_open_files = RaiseOpenFileLimit();
  static Signals signals;  // used by its thread until the very end
  const absl::StatusOr<std::unique_ptr<DevServer>> server = DevServer::Start(*options);
  if (!server.ok()) return Fail(kExitFailed, MessageOf(server.status()));
  signals.SetServing();
  std::printf("{\"ready\":true,\"http\":\"%s\",\"grpc\":\"%s\",\"pid\":%d}\n",
              (*server)->http_address().c_str(), (*server)->grpc_address().c_str(), ::getpid());
  std::fflush(stdout);
  signals.WaitForStop();
  (*server)->Stop();
  return 0;
}

using RoleStarter = std::function<absl::StatusOr<std::unique_ptr<Role>>()>;

int RunRole(const absl::StatusOr<RoleStarter>& starter) {
  if (!starter.ok()) return Fail(kExitUsage, MessageOf(starter.status()));
  static Signals signals;  // used by its thread until the very end
  const absl::StatusOr<std::unique_ptr<Role>> role = (*starter)();
  if (!role.ok()) return Fail(kExitFailed, MessageOf(role.status()));
  signals.SetServing();
  std::printf("%s\n", (*role)->ReadyLine().c_str());
  std::fflush(stdout);
  signals.WaitForStop();
  (*role)->Stop();
  return 0;
}

// `vectron config check|print ROLE [options]` and `vectron config reference`.
constexpr char kConfigUsage[] =
    "say `config check ROLE --config FILE`, `config print ROLE [options]` or `config reference`";

void Parse(CLI::App& app, std::vector<std::string> args) {
  std::reverse(args.begin(), args.end());  // as CLI11 takes them
  app.parse(std::move(args));
}

// What a file that an option names says is checked, too.
absl::Status CheckRankingConfig(const CLI::App& role) {
  const CLI::Option* const option = role.get_option_no_throw("--ranking-config");
  if (option == nullptr || option->count() == 0) return absl::OkStatus();
  const std::string path = option->results().back();
  return reranker::LoadRankingConfig(path, *NewPosixFileSystem()).status();
}

int RunConfig(CLI::App& app, const std::vector<std::string>& args) {
  if (args.size() == 2 && args[1] == "reference") {
    std::fputs((ConfigurationReference(app) + reranker::RankingReference()).c_str(), stdout);
    return 0;
  }
  if (args.size() < 3 || (args[1] != "check" && args[1] != "print")) {
    return Fail(kExitUsage, kConfigUsage);
  }
  const auto all = WithConfiguration(app, {args.begin() + 2, args.end()});
  if (!all.ok()) return Fail(kExitUsage, MessageOf(all.status()));
  try {
    Parse(app, *all);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const CLI::App& role = *app.get_subcommands().front();
  if (args[1] == "check") {
    const absl::Status ranking = CheckRankingConfig(role);
    if (!ranking.ok()) return Fail(kExitUsage, MessageOf(ranking));
  }
  std::fputs(args[1] == "print" ? PrintConfiguration(role).c_str() : "the configuration is right\n",
             stdout);
  return 0;
}

int Main(int argc, char** argv) {
  // What it writes is for its own user: hashes of passwords, what users store and search for.
  ::umask(0077);
  CLI::App app{"Vectron, a vector database"};
  app.name("vectron");
  app.footer(
      "Options also come from a TOML file and the environment: `vectron config reference`.\n"
      "When the majority of a shard is lost for good: `vectron recover --help`.");
  app.set_version_flag("--version", fmt::format("vectron {}", Version()));
  app.require_subcommand(0, 1);
  DevFlags flags;
  CLI::App& dev = *app.add_subcommand(
      "dev",
      "Runs everything in one process. Prints one line of JSON on standard output once it serves.");
  dev.add_option("--data", flags.data, "Folder that holds all data; made when missing")->required();
  dev.add_option("--http", flags.http, "HOST:PORT of HTTP; port 0 picks a free one")
      ->capture_default_str();
  dev.add_option("--grpc", flags.grpc, "HOST:PORT of gRPC; port 0 picks a free one")
      ->capture_default_str();
  dev.add_option("--auth", flags.auth,
                 "Credentials: 'on', or 'off' to serve everyone, on loopback addresses only")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  dev.add_option("--threads", flags.threads,
                 "Threads for requests and as many for building; 0: one per processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddAccessFlags(dev, flags.access);
  AddTlsFlags(dev, flags.access.tls);
  AddOperatorFlags(dev, flags.operators);
  dev.add_option("--ranking-config", flags.ranking.config_path,
                 "TOML file with the settings of reranking; without it the defaults hold");
  dev.add_option("--feedback-days", flags.ranking.feedback_retention_days,
                 "Days that feedback is kept; 0: for ever")
      ->check(CLI::Range(0, 36'500))
      ->capture_default_str();
  const ClusterCommands cluster(app);
  const AuthCommand auth(app);
  const RerankerCommand reranker(app);
  AddConfiguration(app);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (!args.empty() && args.front() == "config") return RunConfig(app, args);
  if (!args.empty() && args.front() == "recover") return RunRecover({args.begin() + 1, args.end()});
  const auto all = WithConfiguration(app, args);
  if (!all.ok()) return Fail(kExitUsage, MessageOf(all.status()));
  try {
    Parse(app, *all);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (app.get_subcommands().empty()) {
    std::fputs(app.help().c_str(), stderr);
    return kExitUsage;
  }
  if (auth.chosen()) return RunRole(auth.Check());
  if (reranker.chosen()) return RunRole(reranker.Check());
  if (cluster.chosen()) return RunRole(cluster.Check(RaiseOpenFileLimit()));
  return RunDev(flags);
}

}  // namespace
}  // namespace vectron

// All that has to be closed is closed when Main returns. The libraries' own ends are passed over:
// threads of gRPC still run.
int main(int argc, char** argv) {
  const int code = vectron::Main(argc, argv);
  std::fflush(nullptr);
  ::_exit(code);
}
