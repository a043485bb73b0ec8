// The server. One program, a subcommand per role; `vectron --help` lists them.

#include <fmt/ranges.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "apps/vectron/access_flags.h"
#include "apps/vectron/auth_role.h"
#include "apps/vectron/cluster_commands.h"
#include "apps/vectron/configuration.h"
#include "apps/vectron/dev.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/operator_flags.h"
#include "apps/vectron/operators.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/protobuf_log.h"
#include "apps/vectron/ranking_flags.h"
#include "apps/vectron/recover_command.h"
#include "apps/vectron/reload.h"
#include "apps/vectron/reranker_role.h"
#include "apps/wrong_command_line.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "services/reranker/service.h"

namespace vectron {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

// SIGTERM and SIGINT, taken by a thread of their own. Before SetServing the first one ends the
// process at once (nothing that a crash would lose is lost), afterwards it asks for a graceful stop
// and the second one ends the process. With `reloads` SIGHUP asks for the options to be read again;
// without, it ends the process as it does any other. Made before any other thread, so that all
// inherit the blocked signals.
class Signals {
 public:
  explicit Signals(bool reloads) {
    ::signal(SIGPIPE, SIG_IGN);
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGINT);
    if (reloads) ::sigaddset(&signals_, SIGHUP);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::thread([this] { Run(); }).detach();  // ends with the process
  }
  void SetServing() {
    const absl::MutexLock lock(&mutex_);
    serving_ = true;
  }
  // Waits for the next wish. True: to read the options again; false: to stop, which is the last
  // one.
  bool WaitForReload() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](Signals* self) ABSL_NO_THREAD_SAFETY_ANALYSIS { return self->stop_ || self->reload_; },
        this));
    if (stop_) return false;
    reload_ = false;
    return true;
  }

 private:
  [[noreturn]] void Run() {
    while (true) {
      int signal = 0;
      ::sigwait(&signals_, &signal);
      const absl::MutexLock lock(&mutex_);
      if (signal == SIGHUP) {
        reload_ = true;
        continue;
      }
      if (!serving_ || stop_) ::_exit(128 + signal);
      stop_ = true;
    }
  }

  sigset_t signals_{};
  absl::Mutex mutex_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool reload_ ABSL_GUARDED_BY(mutex_) = false;
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
  MetricsFlags metrics;
  size_t threads = 0;
};

void AddDev(CLI::App& app, DevFlags& flags) {
  CLI::App& dev = *app.add_subcommand(
      "dev",
      "Runs everything in one process. Prints one line of JSON on standard output once it serves.");
  dev.add_option("--data", flags.data, "Folder that holds all data; made when missing")->required();
  dev.add_option("--http", flags.http, "HOST:PORT of HTTP; port 0 picks a free one")
      ->capture_default_str();
  dev.add_option("--grpc", flags.grpc, "HOST:PORT of gRPC; port 0 picks a free one")
      ->capture_default_str();
  AddAuthFlag(dev, flags.auth);
  dev.add_option("--threads", flags.threads,
                 "Threads for requests and as many for building; 0: one per processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddAccessFlags(dev, flags.access);
  AddTlsFlags(dev, flags.access.tls);
  AddOperatorFlags(dev, flags.operators);
  AddRankingConfigFlag(dev, flags.ranking.config_path);
  AddFeedbackFlags(dev, flags.ranking);
  AddMetricsFlags(dev, flags.metrics);
}

absl::StatusOr<DevOptions> CheckFlags(const DevFlags& flags) {
  DevOptions options;
  options.data_dir = flags.data;
  options.threads = flags.threads;
  options.operators = flags.operators;
  options.ranking = flags.ranking;
  ASSIGN_OR_RETURN(options.http, ParseHostPort(flags.http));
  ASSIGN_OR_RETURN(options.grpc, ParseHostPort(flags.grpc));
  ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(flags.metrics));
  options.tls = flags.access.tls;
  RETURN_IF_ERROR(CheckTls(options.tls));
  RETURN_IF_ERROR(CheckOperatorOptions(options.operators, *NewPosixFileSystem()));
  options.auth = flags.auth == "on";
  ASSIGN_OR_RETURN(options.web, ToWebRules(flags.access, options.auth));
  if (options.auth) {
    ASSIGN_OR_RETURN(options.access, ToAccessOptions(flags.access, flags.data));
    if (!flags.access.cluster.secret_file.empty()) {
      ASSIGN_OR_RETURN(options.access.cluster, ToClusterCredentials(flags.access.cluster));
    }
    return options;
  }
  RETURN_IF_ERROR(CheckLoopbackOnly(options.http, options.grpc));
  return options;
}

absl::StatusOr<RoleStarter> CheckDev(const DevFlags& flags, uint64_t max_open_files) {
  ASSIGN_OR_RETURN(DevOptions options, CheckFlags(flags));
  options.max_open_files = max_open_files;
  return RoleStarter([options = std::move(options)] { return StartDev(options); });
}

// The command line, with all its roles and options.
struct Program {
  Program();
  // The order in which --help lists them.
  static CLI::App& WithDev(CLI::App& app, DevFlags& flags) {
    AddDev(app, flags);
    return app;
  }

  // The role that was named. After parsing.
  const CLI::App& role() const { return *app.get_subcommands().front(); }
  // Whether the role that was named could start with these options.
  absl::Status Check() const;

  CLI::App app{"Vectron, a vector database"};
  DevFlags dev_flags;
  const ClusterCommands cluster;
  const AuthCommand auth;
  const RerankerCommand reranker;
};

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

absl::Status Program::Check() const {
  RETURN_IF_ERROR(CheckRankingConfig(role()));
  if (auth.chosen()) return auth.Check().status();
  if (reranker.chosen()) return reranker.Check().status();
  if (cluster.chosen()) return cluster.Check(0).status();
  return CheckFlags(dev_flags).status();
}

// What SIGHUP does. Thread-compatible.
class Reloader {
 public:
  // args: of the program, which starts with them as `started`, its options as parsed.
  Reloader(std::vector<std::string> args, const Program& started)
      : args_(std::move(args)),
        started_(started),
        log_level_(LiveSettingsOf(started.role()).log_level),
        files_(FilesReadAtStart(started.role(), *file_system_)) {}

  // Reads the options again and hands those that may change to `apply`. An error in them is logged
  // and changes nothing.
  void Reload(const std::function<void(const LiveSettings&)>& apply) {
    auto next = std::make_unique<Program>();
    const absl::Status read = Read(*next);
    if (!read.ok()) {
      LogError("SIGHUP: nothing was changed: {}", MessageOf(read));
      return;
    }
    const LiveSettings settings = LiveSettingsOf(next->role());
    apply(settings);
    // What it says about this is heard by the new level and by the old one.
    SetLogLevel(std::min(log_level_, settings.log_level));
    Report(*next);
    SetLogLevel(settings.log_level);
    log_level_ = settings.log_level;
    last_ = std::move(next);
  }

 private:
  absl::Status Read(Program& program) const {
    ASSIGN_OR_RETURN(std::vector<std::string> all, WithConfiguration(program.app, args_));
    try {
      Parse(program.app, std::move(all));
    } catch (const CLI::ParseError& error) {
      return InvalidArgument("{}", error.what());
    }
    return program.Check();
  }
  void Report(const Program& next) const {
    const CLI::App& role = next.role();
    const Program& before = last_ == nullptr ? started_ : *last_;
    const std::vector<std::string> live = CompareOptions(before.role(), role).live;
    LogInfo("SIGHUP: the options were read again, changed: {}",
            live.empty() ? "nothing" : fmt::format("{}", fmt::join(live, ", ")));
    for (const std::string& name : CompareOptions(started_.role(), role).at_restart) {
      LogWarning("SIGHUP: {} has changed, which takes effect at the next start", name);
    }
    for (const std::string& name : CompareFiles(files_, FilesReadAtStart(role, *file_system_))) {
      LogWarning("SIGHUP: the file of {} has changed, which takes effect at the next start", name);
    }
  }

  const std::unique_ptr<FileSystem> file_system_ = NewPosixFileSystem();
  const std::vector<std::string> args_;
  const Program& started_;
  std::unique_ptr<Program> last_;
  LogLevel log_level_;
  const std::map<std::string, uint32_t> files_;  // at the start
};

// Until it is asked to stop. The exit code.
int RunRole(const absl::StatusOr<RoleStarter>& starter, Signals& signals, Reloader& reloader) {
  if (!starter.ok()) return Fail(kExitUsage, MessageOf(starter.status()));
  const absl::StatusOr<std::unique_ptr<Role>> role = (*starter)();
  if (!role.ok()) return Fail(kExitFailed, MessageOf(role.status()));
  signals.SetServing();
  std::printf("%s\n", (*role)->ReadyLine().c_str());
  std::fflush(stdout);
  while (signals.WaitForReload()) {
    reloader.Reload([&](const LiveSettings& settings) { (*role)->Reload(settings); });
  }
  (*role)->Stop();
  return 0;
}

// `vectron config check|print ROLE [options]` and `vectron config reference`.
constexpr char kConfigUsage[] =
    "say `config check ROLE --config FILE`, `config print ROLE [options]` or `config reference`";
constexpr char kConfigHelp[] =
    "What the flags, the environment and the file of a role make together\n"
    "Usage: vectron config check ROLE [options]  whether the role could start with them\n"
    "       vectron config print ROLE [options]  what holds, secrets masked\n"
    "       vectron config reference             all options of all roles, in Markdown\n\n"
    "ROLE and its options are those of `vectron ROLE --help`; --config FILE names the file.\n";

// Whether help is asked for with config itself, not with a role.
bool WantsConfigHelp(const std::vector<std::string>& args) {
  return args.size() <= 3 && (args.back() == "--help" || args.back() == "-h");
}

int RunConfig(Program& program, const std::vector<std::string>& args) {
  CLI::App& app = program.app;
  if (WantsConfigHelp(args)) {
    std::fputs(kConfigHelp, stdout);
    return 0;
  }
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
  if (app.get_subcommands().empty()) return Fail(kExitUsage, kConfigUsage);
  if (args[1] == "print") {
    std::fputs(PrintConfiguration(program.role()).c_str(), stdout);
    return 0;
  }
  const absl::Status right = program.Check();
  if (!right.ok()) return Fail(kExitUsage, MessageOf(right));
  const std::vector<std::string> misspelt = MisspeltEnvironment(app);
  if (!misspelt.empty()) return Fail(kExitUsage, misspelt.front());
  std::fputs("the configuration is right\n", stdout);
  return 0;
}

Program::Program() : cluster(WithDev(app, dev_flags)), auth(app), reranker(app) {
  app.name("vectron");
  app.failure_message(WrongCommandLine);
  app.footer(
      "Options also come from a TOML file and the environment: `vectron config --help`.\n"
      "When the majority of a shard or of placement is lost for good: `vectron recover --help`.");
  app.set_version_flag("--version", fmt::format("vectron {}", Version()));
  app.require_subcommand(0, 1);
  for (CLI::App* role : app.get_subcommands({})) AddLogLevelFlag(*role);
  AddConfiguration(app);
}

int Main(int argc, char** argv) {
  // What it writes is for its own user: hashes of passwords, what users store and search for.
  ::umask(0077);
  Program program;
  CLI::App& app = program.app;
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (!args.empty() && args.front() == "config") return RunConfig(program, args);
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
  SetLogLevel(LiveSettingsOf(program.role()).log_level);
  TakeProtobufLog();
  for (const std::string& misspelt : MisspeltEnvironment(app)) LogWarning("{}", misspelt);
  static Signals signals(!ConfigurationFile(args).empty());  // used by its thread until the end
  Reloader reloader(args, program);
  const auto run = [&](const auto& starter) { return RunRole(starter, signals, reloader); };
  if (program.auth.chosen()) return run(program.auth.Check());
  if (program.reranker.chosen()) return run(program.reranker.Check());
  if (program.cluster.chosen()) return run(program.cluster.Check(RaiseOpenFileLimit()));
  return run(CheckDev(program.dev_flags, RaiseOpenFileLimit()));
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
