#include "apps/vectron/plain_routes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "apps/vectron/metrics_port.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/json_text.h"
#include "rpc/openapi.h"

namespace vectron {
namespace {

using rpc::HttpRequest;
using rpc::HttpResponder;
using rpc::HttpResponse;
using rpc::HttpVerb;

HttpResponse Json(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

HttpResponse Readiness(const std::vector<std::string>& problems) {
  HttpResponse response =
      Json(problems.empty() ? "{\"ready\":true,\"problems\":[" : "{\"ready\":false,\"problems\":[");
  for (size_t i = 0; i < problems.size(); ++i) {
    if (i != 0) response.body += ',';
    rpc::AppendJsonString(problems[i], response.body);
  }
  response.body += "]}";
  response.status = problems.empty() ? 200 : 503;
  return response;
}

// Figures of one collection, all its shards on this node together.
struct CollectionTotals {
  uint64_t shards = 0;
  uint64_t shards_ready = 0;
  uint64_t shards_led = 0;
  uint64_t points_led = 0;
  uint64_t apply_lag = 0;     // the largest
  uint64_t follower_lag = 0;  // the largest
  uint64_t shards_damaged = 0;
  shard::ShardStats stats;
};

// A shard that is no replica of a group is led by whoever has it.
bool IsLed(const worker::ShardReport& report) {
  return report.state.ok() && (!report.group.has_value() || report.group->is_leader);
}

uint64_t LagBehind(uint64_t committed_index, uint64_t index) {
  return committed_index - std::min(committed_index, index);
}

// How far a replica is behind its group, and, if it leads, the others behind it.
void AddLags(const worker::ShardReport& report, CollectionTotals& totals) {
  if (!report.group.has_value() || !report.state.ok()) return;
  const uint64_t committed = report.group->committed_index;
  totals.apply_lag = std::max(totals.apply_lag, LagBehind(committed, report.stats.applied_index));
  for (const consensus::PeerProgress& peer : report.group->progress) {
    totals.follower_lag = std::max(totals.follower_lag, LagBehind(committed, peer.match));
  }
}

void AddSample(std::vector<MetricSample>& samples, std::string_view name, std::string_view help,
               const std::string& collection, uint64_t value) {
  samples.push_back({.name = std::string(name),
                     .help = std::string(help),
                     .labels = {{"collection", collection}},
                     .value = static_cast<double>(value),
                     .counter = name.ends_with("_total")});
}

}  // namespace

std::string_view Version() { return VECTRON_VERSION; }

std::vector<std::string> Problems(const std::vector<worker::ShardReport>& reports) {
  std::vector<std::string> problems;
  for (const worker::ShardReport& report : reports) {
    if (report.state.ok()) continue;
    problems.push_back(fmt::format("collection '{}', shard {}: {}: {}",
                                   report.assignment.schema.name, report.assignment.ordinal.value,
                                   rpc::CodeName(report.state.code()), MessageOf(report.state)));
  }
  return problems;
}

std::vector<MetricSample> ShardSamples(const std::vector<worker::ShardReport>& reports) {
  std::map<std::string, CollectionTotals> collections;
  for (const worker::ShardReport& report : reports) {
    CollectionTotals& totals = collections[report.assignment.schema.name];
    ++totals.shards;
    if (report.state.ok()) ++totals.shards_ready;
    if (IsLed(report)) {
      ++totals.shards_led;
      totals.points_led += report.stats.points;
    }
    AddLags(report, totals);
    if (!report.stats.damage.empty()) ++totals.shards_damaged;
    totals.stats.points += report.stats.points;
    totals.stats.indexed += report.stats.indexed;
    totals.stats.tail_bytes += report.stats.tail_bytes;
    totals.stats.disk_bytes += report.stats.disk_bytes;
    totals.stats.memory_bytes += report.stats.memory_bytes;
    totals.stats.searches += report.stats.searches;
    totals.stats.writes += report.stats.writes;
  }
  std::vector<MetricSample> samples;
  for (const auto& [name, totals] : collections) {
    AddSample(samples, "vectron_shards", "Shards on this node.", name, totals.shards);
    AddSample(samples, "vectron_shards_ready", "Shards that serve.", name, totals.shards_ready);
    AddSample(samples, "vectron_shards_led",
              "Shards that this node leads: of each one on one node.", name, totals.shards_led);
    AddSample(samples, "vectron_shards_damaged",
              "Shards in which a read met damaged data since they were opened.", name,
              totals.shards_damaged);
    AddSample(samples, "vectron_points", "Live points.", name, totals.stats.points);
    AddSample(samples, "vectron_points_led",
              "Live points of shards that this node leads: on all nodes together each point once.",
              name, totals.points_led);
    AddSample(samples, "vectron_points_indexed",
              "Points linked into the graph, or all where there is none.", name,
              totals.stats.indexed);
    AddSample(samples, "vectron_tail_bytes", "Codes of points that are not linked yet.", name,
              totals.stats.tail_bytes);
    AddSample(samples, "vectron_apply_lag_entries",
              "Entries that are committed and not applied, of the replica here that has most.",
              name, totals.apply_lag);
    AddSample(samples, "vectron_follower_lag_entries",
              "Committed entries that the follower furthest behind lacks, of shards led here.",
              name, totals.follower_lag);
    AddSample(samples, "vectron_disk_bytes", "Files of the shards.", name, totals.stats.disk_bytes);
    AddSample(samples, "vectron_memory_bytes", "Anonymous memory of the shards.", name,
              totals.stats.memory_bytes);
    AddSample(samples, "vectron_shard_searches_total", "Searches of single shards.", name,
              totals.stats.searches);
    AddSample(samples, "vectron_shard_writes_total", "Writes of single shards.", name,
              totals.stats.writes);
  }
  return samples;
}

void AddStoreFigures(const storage::RocksResources& resources, std::vector<MetricSample>& samples) {
  AddFigure(samples, "vectron_block_cache_bytes", "Blocks of all stores kept in memory.",
            static_cast<double>(resources.block_cache_used_bytes()));
  AddFigure(samples, "vectron_write_buffers_bytes", "Writes of all stores not in files yet.",
            static_cast<double>(resources.write_buffers_used_bytes()));
}

namespace {

// What GET / tells programs. Where there are users, callers have to show credentials.
std::string WhatThisIs(const rpc::RpcRegistry& registry) {
  const bool has_users =
      std::any_of(registry.methods().begin(), registry.methods().end(), [](const auto& method) {
        return method->descriptor().service()->full_name() == "vectron.auth.v1.AuthService";
      });
  return fmt::format(
      R"({{"name":"Vectron","version":"{}","credentials":"{}","api":"/openapi.json","health":"/healthz","ready":"/readyz","metrics":"/metrics"}})",
      Version(), has_users ? "required" : "off");
}

}  // namespace

absl::Status AddHealthRoutes(std::function<std::vector<std::string>()> problems,
                             const Metrics& metrics, options::Scope metrics_scope,
                             rpc::HttpDispatcher& dispatcher) {
  RETURN_IF_ERROR(dispatcher.AddPlain(HttpVerb::kGet, "/healthz", options::SCOPE_PUBLIC,
                                      [](HttpRequest, const HttpResponder& responder) {
                                        responder.Send(Json(R"({"status":"ok"})"));
                                      }));
  RETURN_IF_ERROR(dispatcher.AddPlain(
      HttpVerb::kGet, "/readyz", options::SCOPE_PUBLIC,
      [problems = std::move(problems)](HttpRequest, const HttpResponder& responder) {
        responder.Send(Readiness(problems()));
      }));
  return dispatcher.AddPlain(HttpVerb::kGet, "/metrics", metrics_scope,
                             [&metrics](HttpRequest, const HttpResponder& responder) {
                               HttpResponse response;
                               response.content_type = "text/plain; version=0.0.4";
                               response.body = metrics.Expose();
                               responder.Send(std::move(response));
                             });
}

absl::Status AddPlainRoutes(std::function<std::vector<std::string>()> problems,
                            const Metrics& metrics, const rpc::RpcRegistry& registry,
                            const gateway::StaticFiles* console, rpc::HttpDispatcher& dispatcher) {
  RETURN_IF_ERROR(
      dispatcher.AddPlain(HttpVerb::kGet, "/", options::SCOPE_PUBLIC,
                          [console, what = WhatThisIs(registry)](const HttpRequest& request,
                                                                 const HttpResponder& responder) {
                            if (console != nullptr && gateway::StaticFiles::WantsPage(request)) {
                              return responder.Send(console->Answer(request));
                            }
                            responder.Send(Json(what));
                          }));
  RETURN_IF_ERROR(AddHealthRoutes(std::move(problems), metrics, options::SCOPE_ADMIN, dispatcher));
  return dispatcher.AddPlain(
      HttpVerb::kGet, "/openapi.json", options::SCOPE_PUBLIC,
      [&registry](HttpRequest, const HttpResponder& responder) {
        responder.Send(Json(rpc::OpenApiJson(registry, {.version = std::string(Version())})));
      });
}

}  // namespace vectron
