#include "apps/vectronctl/bench.h"

#include <fmt/format.h>

#include "apps/vectronctl/load/closed_loop.h"
#include "apps/vectronctl/load/process_stats.h"
#include "apps/vectronctl/load/requests.h"
#include "apps/vectronctl/points.h"
#include "apps/vectronctl/rows/row_reader.h"
#include "apps/vectronctl/terminal.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

struct Measured {
  size_t queries = 0;
  double recall = -1;
  load::LoopResult timed;
  double server_cpu_us = -1;  // per query
  load::Memory memory;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options) {
    http_ = options.protocol == "http";
    loop_.kind = http_ ? load::WireKind::kHttp : load::WireKind::kGrpc;
    loop_.address = http_ ? options.http_address : options.grpc_address;
    loop_.method = load::kSearchMethod;
    loop_.credential = options.credential;
    loop_.clients = options.clients;
  }

  absl::StatusOr<Measured> Run() {
    RETURN_IF_ERROR(Prepare());
    Measured measured;
    measured.queries = requests_.size();
    RETURN_IF_ERROR(MeasureRecall(measured));
    loop_.seconds = options_.seconds;
    loop_.count = 0;
    loop_.request = [this](uint64_t i) {
      return std::string_view(requests_[i % requests_.size()]);
    };
    loop_.on_answer = nullptr;
    const auto pid = static_cast<pid_t>(options_.pid);
    double cpu_before = 0;
    if (pid > 0) {
      ASSIGN_OR_RETURN(cpu_before, load::CpuSeconds(pid));
    }
    ASSIGN_OR_RETURN(measured.timed, load::RunClosedLoop(loop_));
    if (pid > 0) {
      ASSIGN_OR_RETURN(const double cpu_after, load::CpuSeconds(pid));
      const auto answers = static_cast<double>(std::max<uint64_t>(1, measured.timed.answers));
      measured.server_cpu_us = 1e6 * (cpu_after - cpu_before) / answers;
      ASSIGN_OR_RETURN(measured.memory, load::MemoryOf(pid));
    }
    return measured;
  }

 private:
  absl::Status Prepare() {
    ASSIGN_OR_RETURN(const rows::Matrix queries,
                     rows::ReadMatrix(options_.queries, options_.limit));
    if (!options_.truth.empty()) {
      ASSIGN_OR_RETURN(truth_, rows::ReadTruth(options_.truth));
      if (truth_.queries < queries.count) {
        return InvalidArgument("{} has answers for {} queries, {} has {}", options_.truth,
                               truth_.queries, options_.queries, queries.count);
      }
      if (truth_.k < options_.k) {
        return InvalidArgument("{} has {} answers a query, wanted {}", options_.truth, truth_.k,
                               options_.k);
      }
    }
    load::SearchSpec spec;
    spec.collection = options_.collection;
    spec.k = options_.k;
    spec.ef = options_.ef;
    spec.exact = options_.exact;
    spec.consistency = options_.consistency;
    ASSIGN_OR_RETURN(spec.filter_json, FilterText(options_.filter));
    for (size_t i = 0; i < queries.count; ++i) {
      ASSIGN_OR_RETURN(std::string request,
                       load::SearchRequestBytes(loop_.kind, loop_.address, spec,
                                                {queries.row(i), queries.dimension}));
      if (http_) request = load::WithCredential(std::move(request), options_.credential);
      requests_.push_back(std::move(request));
    }
    return absl::OkStatus();
  }

  // Every query once: warms caches, finds errors early, and gives recall when the truth is known.
  absl::Status MeasureRecall(Measured& measured) {
    size_t found = 0;
    size_t possible = 0;
    loop_.count = requests_.size();
    loop_.request = [this](uint64_t i) { return std::string_view(requests_[i]); };
    loop_.on_answer = [&](uint64_t i, const load::Answer& answer) {
      if (!answer.status.ok() || truth_.queries == 0) return;
      const std::span<const uint32_t> truth(truth_.of(i), options_.k);
      for (const uint32_t row : truth) possible += row != rows::kNoRow ? 1 : 0;
      auto ids = load::AnswerIds(loop_.kind, answer.body);
      if (!ids.ok()) return;
      for (std::string& id : *ids) {
        if (id.starts_with(options_.id_prefix)) id.erase(0, options_.id_prefix.size());
      }
      found += load::CountFound(*ids, truth, options_.k);
    };
    ASSIGN_OR_RETURN(const auto result, load::RunClosedLoop(loop_));
    if (http_ && result.first_error.starts_with("HTTP 404")) {
      return NotFound("collection '{}' does not exist at {}", options_.collection, loop_.address);
    }
    if (result.errors > 0) {
      return Internal("{} of {} queries failed, the first: {}", result.errors, requests_.size(),
                      result.first_error);
    }
    if (possible > 0) {
      measured.recall = static_cast<double>(found) / static_cast<double>(possible);
    }
    return absl::OkStatus();
  }

  const BenchOptions& options_;
  bool http_ = false;
  load::LoopOptions loop_;
  rows::Truth truth_;
  std::vector<std::string> requests_;
};

void PrintText(const BenchOptions& options, const Measured& measured) {
  fmt::print("{} queries against '{}' over {}, k = {}, {} clients, {:.0f} s\n",
             WithCommas(measured.queries), options.collection, options.protocol, options.k,
             options.clients, options.seconds);
  if (measured.recall >= 0) fmt::print("  recall@{}  {:.4f}\n", options.k, measured.recall);
  const load::LoopResult& timed = measured.timed;
  fmt::print("  rate       {} queries/s\n", WithCommas(static_cast<uint64_t>(timed.qps())));
  fmt::print("  latency    p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms\n",
             timed.latency_us(0.5) / 1e3, timed.latency_us(0.95) / 1e3,
             timed.latency_us(0.99) / 1e3);
  if (measured.server_cpu_us >= 0) {
    fmt::print("  server     {:.0f} us of CPU per query, {} of memory ({} anonymous)\n",
               measured.server_cpu_us, HumanBytes(measured.memory.pss_bytes),
               HumanBytes(measured.memory.anonymous_bytes));
  }
  fmt::print("  errors     {}{}\n", timed.errors,
             timed.errors > 0 ? ", the first: " + timed.first_error : "");
}

void PrintJson(const BenchOptions& options, const Measured& measured) {
  const load::LoopResult& timed = measured.timed;
  std::string extra;
  if (measured.recall >= 0) extra += fmt::format(",\"recall\":{:.6f}", measured.recall);
  if (measured.server_cpu_us >= 0) {
    extra += fmt::format(
        ",\"server_cpu_us_per_query\":{:.2f},\"server_pss_bytes\":{},\"server_anonymous_bytes\":{}",
        measured.server_cpu_us, measured.memory.pss_bytes, measured.memory.anonymous_bytes);
  }
  fmt::print(
      "{{\"collection\":\"{}\",\"protocol\":\"{}\",\"k\":{},\"ef\":{},\"clients\":{},"
      "\"queries\":{},\"seconds\":{:.3f},\"qps\":{:.1f},\"p50_us\":{:.1f},\"p95_us\":{:.1f},"
      "\"p99_us\":{:.1f},\"errors\":{}{}}}\n",
      options.collection, options.protocol, options.k, options.ef, options.clients,
      measured.queries, timed.seconds, timed.qps(), timed.latency_us(0.5), timed.latency_us(0.95),
      timed.latency_us(0.99), timed.errors, extra);
}

}  // namespace

int RunBench(Client& client, const BenchOptions& options) {
  if (!options.filter.empty()) {
    const auto filter = ParseFilter(options.filter);
    if (!filter.ok()) return FailUsage(MessageOf(filter.status()));
  }
  if (options.protocol == "grpc") {
    const auto found = client.Describe(options.collection);
    if (absl::IsNotFound(found.status())) return Fail(found.status());
  }
  const auto measured = Bench(options).Run();
  if (!measured.ok()) return Fail(measured.status());
  if (options.json) {
    PrintJson(options, *measured);
  } else {
    PrintText(options, *measured);
  }
  return measured->timed.errors == 0 ? 0 : 1;
}

}  // namespace vectron::ctl
