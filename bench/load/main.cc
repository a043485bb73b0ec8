// vectron_bench_load: the whole system over the network, measured from outside. Starts `vectron
// dev` on a data folder of its own, or uses a server that runs; prints JSON.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <set>
#include <thread>

#include "apps/vectronctl/load/process_stats.h"
#include "base/file.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "scenarios.h"

namespace vectron::bench {
namespace {

struct Flags {
  std::string server;
  std::string data;
  std::string json;
  std::string markdown;
  std::string commit;
  std::vector<std::string> only;
  size_t rows = 60'000;
  size_t queries = 2'000;
  int restarts = 5;
  RunOptions run;
  Target given;  // pid 0: start one
};

std::string GitCommit() {
  std::FILE* pipe = ::popen("git rev-parse --short HEAD 2>/dev/null", "r");
  if (pipe == nullptr) return "unknown";
  char line[64] = "";
  const bool got = std::fgets(line, sizeof line, pipe) != nullptr;
  ::pclose(pipe);
  std::string commit = got ? line : "unknown";
  while (commit.ends_with('\n')) commit.pop_back();
  return commit;
}

class Run {
 public:
  explicit Run(const Flags& flags)
      : flags_(flags), wanted_(flags.only.begin(), flags.only.end()), target_(flags.given) {}

  absl::StatusOr<Report> Measure() {
    Say("reading the data");
    DataOptions data;
    data.folder = flags_.data;
    data.base_rows = flags_.rows;
    data.query_rows = flags_.queries;
    ASSIGN_OR_RETURN(set_, LoadDataSet(data));
    Describe();
    if (target_.pid == 0) RETURN_IF_ERROR(StartServer());
    RETURN_IF_ERROR(MeasurePlain());
    RETURN_IF_ERROR(MeasureRest());
    report_.load_after = load::LoadAverage();
    if (server_ != nullptr) RETURN_IF_ERROR(server_->Stop());
    return std::move(report_);
  }

 private:
  static void Say(std::string_view what) { fmt::print(stderr, "{}\n", what); }
  bool Wants(const std::string& name) const { return wanted_.empty() || wanted_.contains(name); }

  void Describe() {
    report_.commit = flags_.commit.empty() ? GitCommit() : flags_.commit;
    report_.cpu_model = load::CpuModel();
    report_.cpus = std::thread::hardware_concurrency();
    report_.load_before = load::LoadAverage();
    report_.data_set = set_.name;
    report_.base_rows = set_.base.count;
    report_.query_rows = set_.queries.count;
    report_.dimension = set_.base.dimension;
    report_.seconds_each = flags_.run.seconds;
    report_.shards = flags_.run.shards;
  }

  absl::Status StartServer() {
    start_.program = flags_.server;
    start_.data_dir = dir_ / "data";
    start_.log_path = dir_ / "server.log";
    ASSIGN_OR_RETURN(server_, ServerProcess::Start(start_));
    RETURN_IF_ERROR(server_->WaitUntilReady(30'000));
    target_ = Target{server_->grpc_address(), server_->http_address(), server_->pid()};
    return absl::OkStatus();
  }

  // One collection without payload: what all but the filters and single writes need.
  absl::Status MeasurePlain() {
    Say("ingest");
    ASSIGN_OR_RETURN(report_.ingest,
                     MeasureIngest(target_, set_, kPlainCollection, Payload::kNone, flags_.run));
    if (Wants("search")) {
      Say("searches");
      ASSIGN_OR_RETURN(report_.searches, MeasureSearches(target_, set_, flags_.run));
      ASSIGN_OR_RETURN(report_.memory, MeasureMemory(target_));
    }
    if (Wants("restart")) RETURN_IF_ERROR(Restart());
    return absl::OkStatus();
  }

  absl::Status MeasureRest() {
    if (Wants("filter")) {
      Say("filters");
      RETURN_IF_ERROR(
          MeasureIngest(target_, set_, kFilterCollection, Payload::kNumbers, flags_.run));
      ASSIGN_OR_RETURN(report_.filters, MeasureFilters(target_, set_, flags_.run));
    }
    if (Wants("single")) {
      Say("single writes");
      ASSIGN_OR_RETURN(report_.single, MeasureSingle(target_, set_, flags_.run));
    }
    if (Wants("restart") && (Wants("filter") || Wants("single"))) RETURN_IF_ERROR(Restart());
    return absl::OkStatus();
  }

  absl::Status Restart() {
    if (server_ == nullptr) return absl::OkStatus();  // a given server is not ours to kill
    Say("restarts");
    ASSIGN_OR_RETURN(auto figures, MeasureRestart(server_, target_, start_, set_, flags_.restarts));
    report_.restarts.push_back(std::move(figures));
    return absl::OkStatus();
  }

  const Flags& flags_;
  const std::set<std::string> wanted_;
  TempDir dir_;
  ServerOptions start_;
  std::unique_ptr<ServerProcess> server_;
  Target target_;
  DataSet set_;
  Report report_;
};

int RunAll(const Flags& flags) {
  const auto report = Run(flags).Measure();
  if (!report.ok()) {
    fmt::print(stderr, "vectron_bench_load: {}\n", MessageOf(report.status()));
    return 1;
  }
  const std::string json = ReportJson(*report);
  const std::string markdown = ReportMarkdown(*report);
  fmt::print("{}", flags.json.empty() ? json : markdown);
  absl::Status status;
  if (!flags.json.empty()) status = NewPosixFileSystem()->WriteAtomically(flags.json, json);
  if (status.ok() && !flags.markdown.empty()) status = WriteSection(flags.markdown, markdown);
  if (status.ok()) return 0;
  fmt::print(stderr, "vectron_bench_load: {}\n", MessageOf(status));
  return 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  std::error_code error;
  flags.server =
      (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "vectron").string();
  CLI::App app(
      "Measures a Vectron server over gRPC and HTTP: CPU per query, latency, rate, ingest, "
      "restart, filters, memory");
  app.add_option("--server", flags.server, "The program `vectron`; default beside this one");
  app.add_option("--data", flags.data,
                 "Folder that holds fashion-mnist-784; without it a synthetic set is made");
  app.add_option("--json", flags.json, "Where the JSON goes; default standard output");
  app.add_option(
      "--markdown", flags.markdown,
      "A document whose section between <!-- system:begin --> and <!-- system:end --> is replaced");
  app.add_option("--commit", flags.commit, "What is measured; default asks git");
  app.add_option("--only", flags.only, "Some of: search, restart, filter, single; default all")
      ->check(CLI::IsMember({"search", "restart", "filter", "single"}))
      ->delimiter(',');
  app.add_option("--rows", flags.rows, "Points; default 60000");
  app.add_option("--queries", flags.queries, "Queries; default 2000");
  app.add_option("--seconds", flags.run.seconds, "Of each timed run; default 5");
  app.add_option("--recall", flags.run.wanted_recall, "recall@10 to reach; default 0.99");
  app.add_option("--shards", flags.run.shards,
                 "Shards of each collection; default the server's choice");
  app.add_option("--restarts", flags.restarts, "Restarts; default 5");
  auto* pid = app.add_option("--pid", flags.given.pid,
                             "A server that runs on this machine, with --grpc and --http");
  pid->needs(app.add_option("--grpc", flags.given.grpc_address, "Its gRPC address"));
  pid->needs(app.add_option("--http", flags.given.http_address, "Its HTTP address"));
  CLI11_PARSE(app, argc, argv);
  return RunAll(flags);
}

}  // namespace
}  // namespace vectron::bench

int main(int argc, char** argv) { return vectron::bench::Main(argc, argv); }
