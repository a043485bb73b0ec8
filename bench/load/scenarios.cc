#include "scenarios.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>

#include "apps/vectronctl/client.h"
#include "apps/vectronctl/import.h"
#include "apps/vectronctl/load/closed_loop.h"
#include "apps/vectronctl/load/process_stats.h"
#include "apps/vectronctl/load/requests.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/status.h"
#include "vectron/vectron.pb.h"

namespace vectron::bench {
namespace {

constexpr size_t kK = 10;
constexpr size_t kBatchPoints = 500;
constexpr size_t kIngestClients = 4;
constexpr size_t kFilterQueries = 500;
constexpr size_t kSinglePoints = 20'000;
constexpr uint64_t kNumbers = 1'000;
constexpr uint32_t kEfs[] = {10, 12, 14, 16, 18,  20,  24,  28,  32,  40, 48,
                             56, 64, 80, 96, 128, 160, 200, 256, 384, 512};

uint64_t NumberOf(size_t row) { return Mix64(row) % kNumbers; }

absl::Status MakeCollection(ctl::Client& client, const std::string& name, const DataSet& set,
                            Payload payload, const RunOptions& options) {
  const auto dropped = client.DeleteCollection(name);
  if (!dropped.ok() && dropped.code() != absl::StatusCode::kNotFound) return dropped;
  v1::CreateCollectionRequest request;
  request.set_name(name);
  request.set_dimension(static_cast<int32_t>(set.base.dimension));
  request.set_distance("euclidean");
  request.set_shard_count(options.shards);
  request.mutable_hnsw()->set_m(16);
  request.mutable_hnsw()->set_ef_construct(200);
  if (payload == Payload::kNumbers) {
    auto& index = *request.add_payload_indexes();
    index.set_field("n");
    index.set_type(v1::INTEGER);
  }
  return client.CreateCollection(request);
}

std::vector<std::string> UpsertBatches(const DataSet& set, const std::string& collection,
                                       Payload payload) {
  std::vector<std::string> batches;
  for (size_t first = 0; first < set.base.count; first += kBatchPoints) {
    v1::UpsertRequest request;
    request.set_collection(collection);
    for (size_t row = first; row < std::min(set.base.count, first + kBatchPoints); ++row) {
      auto& point = *request.add_points();
      point.set_id(std::to_string(row));
      point.mutable_vector()->Add(set.base.row(row), set.base.row(row) + set.base.dimension);
      if (payload == Payload::kNumbers) {
        (*point.mutable_fields()->mutable_fields())["n"].set_number_value(
            static_cast<double>(NumberOf(row)));
      }
    }
    batches.push_back(request.SerializeAsString());
  }
  return batches;
}

// Every query at one ef and filter; a set of prepared requests.
class Searches {
 public:
  Searches(const Target& target, const rows::Matrix& queries, const rows::Truth& truth)
      : target_(target), queries_(queries), truth_(truth) {}

  absl::Status Prepare(load::WireKind kind, const load::SearchSpec& spec) {
    loop_ = load::LoopOptions();
    loop_.kind = kind;
    loop_.address = kind == load::WireKind::kGrpc ? target_.grpc_address : target_.http_address;
    loop_.method = load::kSearchMethod;
    requests_.clear();
    for (size_t i = 0; i < queries_.count; ++i) {
      ASSIGN_OR_RETURN(std::string request,
                       load::SearchRequestBytes(kind, loop_.address, spec,
                                                {queries_.row(i), queries_.dimension}));
      requests_.push_back(std::move(request));
    }
    loop_.request = [this](uint64_t i) {
      return std::string_view(requests_[i % requests_.size()]);
    };
    return absl::OkStatus();
  }

  absl::StatusOr<double> Recall() {
    size_t found = 0;
    size_t possible = 0;
    load::LoopOptions loop = loop_;
    loop.clients = 8;
    loop.count = requests_.size();
    loop.on_answer = [&](uint64_t i, const load::Answer& answer) {
      const std::span<const uint32_t> truth(truth_.of(i), kK);
      possible += static_cast<size_t>(std::count_if(
          truth.begin(), truth.end(), [](uint32_t row) { return row != rows::kNoRow; }));
      const auto ids = load::AnswerIds(loop_.kind, answer.body);
      if (answer.status.ok() && ids.ok()) found += load::CountFound(*ids, truth, kK);
    };
    ASSIGN_OR_RETURN(const auto result, load::RunClosedLoop(loop));
    if (result.errors > 0)
      return Internal("{} searches failed: {}", result.errors, result.first_error);
    return possible == 0 ? 1.0 : static_cast<double>(found) / static_cast<double>(possible);
  }

  absl::StatusOr<SearchFigures> Timed(size_t clients, double seconds) {
    load::LoopOptions loop = loop_;
    loop.clients = clients;
    loop.seconds = seconds;
    ASSIGN_OR_RETURN(const double cpu_before, load::CpuSeconds(target_.pid));
    ASSIGN_OR_RETURN(const auto result, load::RunClosedLoop(loop));
    ASSIGN_OR_RETURN(const double cpu_after, load::CpuSeconds(target_.pid));
    if (result.errors > 0)
      return Internal("{} searches failed: {}", result.errors, result.first_error);
    SearchFigures figures;
    const auto answers = static_cast<double>(std::max<uint64_t>(1, result.answers));
    figures.protocol = loop_.kind == load::WireKind::kGrpc ? "grpc" : "http";
    figures.clients = clients;
    figures.qps = result.qps();
    figures.p50_us = static_cast<double>(result.latency_us(0.5));
    figures.p99_us = static_cast<double>(result.latency_us(0.99));
    figures.server_cpu_us = 1e6 * (cpu_after - cpu_before) / answers;
    figures.client_cpu_us = 1e6 * result.client_cpu_seconds / answers;
    return figures;
  }

  // The smallest ef that reaches `wanted`, with its recall; the largest tried when none does.
  absl::StatusOr<std::pair<uint32_t, double>> FindEf(load::SearchSpec spec, double wanted) {
    std::pair<uint32_t, double> best;
    for (const uint32_t ef : kEfs) {
      spec.ef = ef;
      RETURN_IF_ERROR(Prepare(load::WireKind::kGrpc, spec));
      ASSIGN_OR_RETURN(const double recall, Recall());
      best = {ef, recall};
      if (recall >= wanted) break;
    }
    return best;
  }

 private:
  const Target& target_;
  const rows::Matrix& queries_;
  const rows::Truth& truth_;
  load::LoopOptions loop_;
  std::vector<std::string> requests_;
};

load::SearchSpec SpecFor(const std::string& collection) {
  load::SearchSpec spec;
  spec.collection = collection;
  spec.k = kK;
  return spec;
}

}  // namespace

absl::StatusOr<IngestFigures> MeasureIngest(const Target& target, const DataSet& set,
                                            const std::string& collection, Payload payload,
                                            const RunOptions& options) {
  ctl::Client client(ctl::ClientOptions{target.grpc_address});
  RETURN_IF_ERROR(MakeCollection(client, collection, set, payload, options));
  const std::vector<std::string> batches = UpsertBatches(set, collection, payload);
  load::LoopOptions loop;
  loop.address = target.grpc_address;
  loop.method = load::kUpsertMethod;
  loop.clients = kIngestClients;
  loop.count = batches.size();
  loop.request = [&](uint64_t i) { return std::string_view(batches[i]); };
  const SystemClock clock;
  const int64_t start = clock.MonotonicNanos();
  ASSIGN_OR_RETURN(const double cpu_before, load::CpuSeconds(target.pid));
  ASSIGN_OR_RETURN(const auto result, load::RunClosedLoop(loop));
  if (result.errors > 0)
    return Internal("{} upserts failed: {}", result.errors, result.first_error);
  IngestFigures figures;
  figures.points = set.base.count;
  figures.acknowledged_seconds = 1e-9 * static_cast<double>(clock.MonotonicNanos() - start);
  RETURN_IF_ERROR(ctl::WaitUntilIndexed(client, collection, false));
  figures.indexed_seconds = 1e-9 * static_cast<double>(clock.MonotonicNanos() - start);
  ASSIGN_OR_RETURN(const double cpu_after, load::CpuSeconds(target.pid));
  figures.server_cpu_us = 1e6 * (cpu_after - cpu_before) / static_cast<double>(figures.points);
  return figures;
}

absl::StatusOr<std::vector<SearchFigures>> MeasureSearches(const Target& target, const DataSet& set,
                                                           const RunOptions& options) {
  Searches searches(target, set.queries, set.truth);
  load::SearchSpec spec = SpecFor(kPlainCollection);
  ASSIGN_OR_RETURN(const auto chosen, searches.FindEf(spec, options.wanted_recall));
  spec.ef = chosen.first;
  std::vector<SearchFigures> all;
  for (const auto kind : {load::WireKind::kGrpc, load::WireKind::kHttp}) {
    RETURN_IF_ERROR(searches.Prepare(kind, spec));
    ASSIGN_OR_RETURN(const double recall, searches.Recall());
    for (const size_t clients : {size_t{1}, size_t{8}}) {
      ASSIGN_OR_RETURN(SearchFigures figures, searches.Timed(clients, options.seconds));
      figures.ef = chosen.first;
      figures.recall = recall;
      all.push_back(figures);
    }
  }
  return all;
}

absl::StatusOr<std::vector<SearchFigures>> MeasureFilters(const Target& target, const DataSet& set,
                                                          const RunOptions& options) {
  rows::Matrix queries = set.queries;
  queries.count = std::min(queries.count, kFilterQueries);
  std::vector<SearchFigures> all;
  for (const uint64_t below : {uint64_t{1}, uint64_t{10}, uint64_t{100}, uint64_t{500}}) {
    std::vector<bool> passes(set.base.count);
    for (size_t row = 0; row < set.base.count; ++row) passes[row] = NumberOf(row) < below;
    const rows::Truth truth = ExactNearest(set.base, queries, kK, passes);
    Searches searches(target, queries, truth);
    load::SearchSpec spec = SpecFor(kFilterCollection);
    spec.filter_json =
        fmt::format("{{\"must\":[{{\"field\":\"n\",\"range\":{{\"lt\":{}}}}}]}}", below);
    ASSIGN_OR_RETURN(const auto chosen, searches.FindEf(spec, options.wanted_recall));
    ASSIGN_OR_RETURN(SearchFigures figures, searches.Timed(8, options.seconds));
    figures.ef = chosen.first;
    figures.recall = chosen.second;
    figures.share = static_cast<double>(below) / static_cast<double>(kNumbers);
    all.push_back(figures);
  }
  return all;
}

absl::StatusOr<SingleFigures> MeasureSingle(const Target& target, const DataSet& set,
                                            const RunOptions& options) {
  ctl::Client client(ctl::ClientOptions{target.grpc_address});
  RETURN_IF_ERROR(MakeCollection(client, kSingleCollection, set, Payload::kNone, options));
  std::vector<std::string> requests;
  for (size_t i = 0; i < kSinglePoints; ++i) {
    requests.push_back(load::UpsertRequestBytes(
        load::WireKind::kGrpc, target.grpc_address, kSingleCollection, std::to_string(i),
        {set.base.row(i % set.base.count), set.base.dimension}));
  }
  load::LoopOptions loop;
  loop.address = target.grpc_address;
  loop.method = load::kUpsertMethod;
  loop.clients = 8;
  loop.seconds = options.seconds;
  loop.count = requests.size();
  loop.request = [&](uint64_t i) { return std::string_view(requests[i]); };
  ASSIGN_OR_RETURN(const double cpu_before, load::CpuSeconds(target.pid));
  ASSIGN_OR_RETURN(const auto result, load::RunClosedLoop(loop));
  ASSIGN_OR_RETURN(const double cpu_after, load::CpuSeconds(target.pid));
  if (result.errors > 0)
    return Internal("{} upserts failed: {}", result.errors, result.first_error);
  SingleFigures figures;
  figures.per_second = result.qps();
  figures.p50_us = static_cast<double>(result.latency_us(0.5));
  figures.p99_us = static_cast<double>(result.latency_us(0.99));
  figures.server_cpu_us =
      1e6 * (cpu_after - cpu_before) / static_cast<double>(std::max<uint64_t>(1, result.answers));
  return figures;
}

absl::StatusOr<RestartFigures> MeasureRestart(std::unique_ptr<ServerProcess>& server,
                                              Target& target, const ServerOptions& start,
                                              const DataSet& set, int rounds) {
  RestartFigures figures;
  {
    ctl::Client client(ctl::ClientOptions{target.grpc_address});
    ASSIGN_OR_RETURN(const auto names, client.ListCollections());
    for (const std::string& name : names.collections()) {
      ASSIGN_OR_RETURN(const auto status, client.Describe(name));
      figures.points += status.point_count();
      ++figures.collections;
    }
  }
  load::SearchSpec spec = SpecFor(kPlainCollection);
  ASSIGN_OR_RETURN(const std::string request,
                   load::SearchRequestBytes(load::WireKind::kGrpc, "", spec,
                                            {set.queries.row(0), set.queries.dimension}));
  ServerOptions again = start;
  again.grpc_address = target.grpc_address;  // the same ports as before
  again.http_address = target.http_address;
  const SystemClock clock;
  for (int round = 0; round < rounds; ++round) {
    server->Kill();
    bool right = false;
    load::LoopOptions loop;
    loop.address = target.grpc_address;
    loop.method = load::kSearchMethod;
    loop.count = 1;
    loop.request = [&](uint64_t) { return std::string_view(request); };
    loop.on_answer = [&](uint64_t, const load::Answer& answer) {
      const auto ids = load::AnswerIds(load::WireKind::kGrpc, answer.body);
      right = answer.status.ok() && ids.ok() && !ids->empty() &&
              ids->front() == std::to_string(set.truth.of(0)[0]);
    };
    const int64_t begin = clock.MonotonicNanos();
    ASSIGN_OR_RETURN(server, ServerProcess::Start(again));
    while (!right) {
      const auto asked = load::RunClosedLoop(loop);  // refused while nobody listens
      if (clock.MonotonicNanos() - begin > 120'000'000'000) {
        return DeadlineExceeded("no right answer within 120 s of the restart: {}",
                                asked.ok() ? asked->first_error : MessageOf(asked.status()));
      }
      if (!right) std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    figures.seconds.push_back(1e-9 * static_cast<double>(clock.MonotonicNanos() - begin));
    RETURN_IF_ERROR(server->WaitUntilReady(60'000));
    target.pid = server->pid();
  }
  std::sort(figures.seconds.begin(), figures.seconds.end());
  return figures;
}

absl::StatusOr<MemoryFigures> MeasureMemory(const Target& target) {
  ASSIGN_OR_RETURN(const auto memory, load::MemoryOf(target.pid));
  return MemoryFigures{memory.pss_bytes, memory.anonymous_bytes};
}

}  // namespace vectron::bench
