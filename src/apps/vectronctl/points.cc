#include "apps/vectronctl/points.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <cmath>

#include "apps/vectronctl/rows/byte_source.h"
#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/terminal.h"
#include "base/status.h"
#include "model/filter.h"

namespace vectron::ctl {
namespace {

constexpr size_t kMaxTextBytes = size_t{16} << 20;

absl::StatusOr<std::string> ReadText(const std::string& path) {
  ASSIGN_OR_RETURN(auto source, rows::ByteSource::Open(path));
  std::string text(kMaxTextBytes, '\0');
  ASSIGN_OR_RETURN(const size_t got, source->Read(text.data(), text.size()));
  text.resize(got);
  return text;
}

absl::StatusOr<std::vector<float>> QueryVector(Client& client, const SearchOptions& options) {
  if (!options.vector.empty()) return ParseVector(options.vector);
  if (!options.vector_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadText(options.vector_file));
    return ParseVector(text);
  }
  ASSIGN_OR_RETURN(const v1::Point point, client.Get(options.collection, options.id));
  return std::vector<float>(point.vector().begin(), point.vector().end());
}

void AppendFloats(const google::protobuf::RepeatedField<float>& values, std::string& out) {
  out.push_back('[');
  for (int i = 0; i < values.size(); ++i) {
    if (i > 0) out.push_back(',');
    rows::AppendJsonNumber(values[i], out);
  }
  out.push_back(']');
}

void PrintSearchJson(const v1::SearchResponse& response) {
  std::string out = "{\"results\":[";
  for (const v1::SearchResult& hit : response.results()) {
    out += &hit == &response.results(0) ? "{\"id\":" : ",{\"id\":";
    rows::AppendJsonString(hit.id(), out);
    out += ",\"score\":";
    rows::AppendJsonNumber(hit.score(), out);
    out += ",\"payload\":";
    rows::AppendPayload(hit.fields(), hit.payload(), out);
    if (hit.vector_size() > 0) {
      out += ",\"vector\":";
      AppendFloats(hit.vector(), out);
    }
    out += fmt::format(",\"version\":\"{}\"}}", hit.version());
  }
  out += "]";
  if (response.has_explain()) {
    std::string explain;
    const auto status = google::protobuf::util::MessageToJsonString(response.explain(), &explain);
    out += ",\"explain\":" + (status.ok() ? explain : "null");
  }
  fmt::print("{}}}\n", out);
}

void PrintExplain(const v1::SearchExplain& explain) {
  for (const v1::ShardExplain& shard : explain.shards()) {
    fmt::print("shard {}: {} ({}), {} us\n", shard.shard_id(), shard.plan(), shard.reason(),
               shard.time_us());
    fmt::print("  {} points, {} match the filter (estimated {}), {} graph records expanded\n",
               WithCommas(shard.points()), WithCommas(shard.matches()),
               WithCommas(shard.matches_estimated()), WithCommas(shard.hops()));
    fmt::print(
        "  {} distances, {} tail points scanned, {} deleted records met, {} re-scored, {} of the "
        "results changed by it\n",
        WithCommas(shard.distances()), WithCommas(shard.tail_scanned()),
        WithCommas(shard.tombstones()), WithCommas(shard.reranked()), shard.rerank_changes());
  }
}

void PrintSearch(const v1::SearchResponse& response) {
  if (response.results_size() == 0) {
    fmt::print("nothing was found\n");
  } else {
    Table table({">#", ">score", "id", "payload"});
    for (int i = 0; i < response.results_size(); ++i) {
      const v1::SearchResult& hit = response.results(i);
      std::string payload;
      if (hit.fields().fields_size() > 0) rows::AppendPayload(hit.fields(), hit.payload(), payload);
      if (hit.vector_size() > 0) {
        payload += payload.empty() ? "" : "  ";
        AppendFloats(hit.vector(), payload);
      }
      table.AddRow({std::to_string(i + 1), fmt::format("{:.6g}", hit.score()), hit.id(), payload});
    }
    fmt::print("{}", table.Render(TerminalColumns()));
  }
  if (response.partial()) {
    fmt::print(stderr,
               "vectronctl: {} shards did not answer in time; this is not the whole answer\n",
               response.missing_shards_size());
  }
  if (response.has_explain()) PrintExplain(response.explain());
}

}  // namespace

absl::StatusOr<std::vector<float>> ParseVector(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  const auto skip_blanks = [&] {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) ++at;
  };
  const auto wrong = [&](std::string_view wanted) {
    return InvalidArgument("vector: character {}: wanted {}", at - text.data() + 1, wanted);
  };
  std::vector<float> vector;
  skip_blanks();
  const bool bracket = at < end && *at == '[';
  if (bracket) ++at;
  for (skip_blanks(); at < end && *at != ']'; skip_blanks()) {
    if (!vector.empty() && *at == ',') {
      ++at;
      skip_blanks();
    }
    float value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || !std::isfinite(value)) return wrong("a number");
    vector.push_back(value);
    at = next;
  }
  if (bracket && (at == end || *at != ']')) return wrong("']'");
  if (bracket) ++at;
  skip_blanks();
  if (at != end) return wrong("the end");
  if (vector.empty()) return wrong("numbers such as 0.1,0.2");
  return vector;
}

absl::StatusOr<std::string> FilterText(const std::string& text) {
  if (text.starts_with('@')) return ReadText(text.substr(1));
  return text;
}

absl::StatusOr<v1::Filter> ParseFilter(const std::string& text) {
  ASSIGN_OR_RETURN(const std::string json, FilterText(text));
  const auto filter = FilterFromJson(json);
  if (!filter.ok()) {
    const std::string_view why = MessageOf(filter.status());
    return InvalidArgument("{}{}; wanted such as {}",
                           why.starts_with("filter") ? "" : "filter: ", why,
                           R"({"must":[{"field":"section","match":"libs"}]})");
  }
  v1::Filter wire;
  FilterToProto(*filter, wire);
  return wire;
}

int RunSearch(Client& client, const SearchOptions& options) {
  const int sources = (options.vector.empty() ? 0 : 1) + (options.vector_file.empty() ? 0 : 1) +
                      (options.id.empty() ? 0 : 1);
  if (sources != 1) {
    return FailUsage(fmt::format("search {} one of --vector, --vector-file and --id",
                                 sources == 0 ? "needs" : "takes only"));
  }
  v1::SearchRequest request;
  if (!options.filter.empty()) {
    auto filter = ParseFilter(options.filter);
    if (!filter.ok()) return FailUsage(MessageOf(filter.status()));
    *request.mutable_filter() = std::move(*filter);
  }
  const auto vector = QueryVector(client, options);
  if (!vector.ok()) {
    return options.vector.empty() ? Fail(vector.status()) : FailUsage(MessageOf(vector.status()));
  }
  request.mutable_vector()->Add(vector->begin(), vector->end());
  if (!options.id.empty()) request.mutable_filter()->add_must_not()->add_has_id(options.id);
  request.set_collection(options.collection);
  request.set_top_k(options.k);
  request.set_offset(options.offset);
  request.set_include_vectors(options.with_vectors);
  request.set_explain(options.explain);
  if (options.max_distance.has_value()) request.set_score_threshold(*options.max_distance);
  if (options.ef > 0) request.mutable_params()->set_ef(options.ef);
  if (options.exact) request.mutable_params()->set_exact(true);
  v1::Consistency consistency = v1::CONSISTENCY_UNSPECIFIED;
  if (!options.consistency.empty()) v1::Consistency_Parse(options.consistency, &consistency);
  request.set_consistency(consistency);
  const auto response = client.Search(request);
  if (!response.ok()) return Fail(response.status());
  if (options.json) {
    PrintSearchJson(*response);
  } else {
    PrintSearch(*response);
  }
  return response->partial() ? 1 : 0;
}

void AppendPointJson(const v1::Point& point, std::string& out) {
  out += "{\"id\":";
  rows::AppendJsonString(point.id(), out);
  if (point.vector_size() > 0) {
    out += ",\"vector\":";
    AppendFloats(point.vector(), out);
  }
  out += ",\"payload\":";
  rows::AppendPayload(point.fields(), point.payload(), out);
  out += "}";
}

int RunGet(Client& client, const PointsOptions& options) {
  int code = 0;
  for (const std::string& id : options.ids) {
    const auto point = client.Get(options.collection, id);
    if (!point.ok()) {
      code = Fail(point.status());
      continue;
    }
    std::string json;
    if (options.json) {
      AppendPointJson(*point, json);
      fmt::print("{}\n", json);
      continue;
    }
    rows::AppendPayload(point->fields(), point->payload(), json);
    std::string vector;
    AppendFloats(point->vector(), vector);
    fmt::print("{}\n  version  {}\n  payload  {}\n  vector   {}\n", point->id(), point->version(),
               json, vector);
  }
  return code;
}

int RunDelete(Client& client, const PointsOptions& options) {
  // A delete succeeds whether there was a point or not, so it is asked for first; it is deleted in
  // any case, because it may have come meanwhile.
  size_t missing = 0;
  for (const std::string& id : options.ids) {
    const absl::Status found = client.Get(options.collection, id).status();
    if (!found.ok() && !absl::IsNotFound(found)) return Fail(found);
    if (const auto status = client.Delete(options.collection, id); !status.ok())
      return Fail(status);
    missing += found.ok() ? 0 : 1;
  }
  const size_t deleted = options.ids.size() - missing;
  if (options.json) {
    fmt::print("{{\"deleted\":{},\"missing\":{}}}\n", deleted, missing);
    return 0;
  }
  fmt::print("{} {} deleted", deleted, deleted == 1 ? "point" : "points");
  if (missing > 0) fmt::print(", {} {} not there", missing, missing == 1 ? "was" : "were");
  fmt::print("\n");
  return 0;
}

}  // namespace vectron::ctl
