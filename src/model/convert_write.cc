#include "model/convert.h"
#include "model/json_writer.h"

namespace vectron {
namespace {

// Enough for what surrounds the payload and vector of a hit.
constexpr size_t kHitBytes = 128;
constexpr size_t kFloatBytes = 14;

void AppendVector(std::string& out, std::span<const float> vector) {
  out.push_back('[');
  for (size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendJsonFloat(out, vector[i]);
  }
  out.push_back(']');
}

void AppendBool(std::string& out, bool value) { out += value ? "true" : "false"; }

void AppendQuoted(std::string& out, uint64_t value) {
  out.push_back('"');
  AppendJsonUint(out, value);
  out.push_back('"');
}

// `,"key":` and an unsigned 64-bit number, which JSON carries as a string.
void AppendCount(std::string& out, std::string_view key, uint64_t value) {
  out += ",\"";
  out += key;
  out += "\":";
  AppendQuoted(out, value);
}

// `"payload":` and the object, which is JSON already.
void AppendPayload(std::string& out, std::string_view payload) {
  out += "\"payload\":";
  out += payload.empty() ? std::string_view("{}") : payload;
}

void AppendHit(std::string& out, const SearchHit& hit) {
  out += "{\"id\":";
  AppendJsonString(out, hit.id);
  out += ",\"score\":";
  AppendJsonFloat(out, hit.score);
  out.push_back(',');
  AppendPayload(out, hit.payload);
  out += ",\"vector\":";
  AppendVector(out, hit.vector);
  AppendCount(out, "version", hit.version);
  out.push_back('}');
}

void AppendTrace(std::string& out, const ShardTrace& trace) {
  out += "{\"shardId\":";
  AppendJsonUint(out, trace.shard_id);
  out += ",\"plan\":";
  AppendJsonString(out, trace.plan);
  out += ",\"reason\":";
  AppendJsonString(out, trace.reason);
  AppendCount(out, "points", trace.points);
  AppendCount(out, "matchesEstimated", trace.matches_estimated);
  AppendCount(out, "matches", trace.matches);
  AppendCount(out, "hops", trace.hops);
  AppendCount(out, "distances", trace.distances);
  AppendCount(out, "tailScanned", trace.tail_scanned);
  AppendCount(out, "tombstones", trace.tombstones);
  AppendCount(out, "reranked", trace.reranked);
  AppendCount(out, "rerankChanges", trace.rerank_changes);
  AppendCount(out, "timeUs", trace.time_us);
  out.push_back('}');
}

void AppendRerankTrace(std::string& out, const RerankTrace& trace) {
  out += "{\"id\":";
  AppendJsonString(out, trace.id);
  out += ",\"vectorRank\":";
  AppendJsonUint(out, trace.vector_rank);
  out += ",\"distance\":";
  AppendJsonFloat(out, trace.distance);
  out += ",\"explanation\":";
  AppendJsonString(out, trace.explanation);
  out.push_back('}');
}

void AppendRerankNote(std::string& out, const RerankNote& note) {
  out += "{\"strategy\":";
  AppendJsonString(out, note.strategy);
  out += ",\"reason\":";
  AppendJsonString(out, note.reason);
  out += ",\"fromCache\":";
  AppendBool(out, note.from_cache);
  out += ",\"explored\":";
  AppendBool(out, note.explored);
  AppendCount(out, "timeUs", note.time_us);
  out.push_back('}');
}

// Appends `[a,b,...]`, each element by `append`.
template <typename Elements, typename Append>
void AppendList(std::string& out, const Elements& elements, Append append) {
  out.push_back('[');
  bool first = true;
  for (const auto& element : elements) {
    if (!first) out.push_back(',');
    first = false;
    append(out, element);
  }
  out.push_back(']');
}

}  // namespace

void ReplyToJson(const SearchReply& reply, std::string& out) {
  size_t bytes = kHitBytes;
  for (const SearchHit& hit : reply.hits) {
    bytes += kHitBytes + hit.id.size() + hit.payload.size() + hit.vector.size() * kFloatBytes;
  }
  out.reserve(out.size() + bytes);
  out += "{\"results\":";
  AppendList(out, reply.hits, AppendHit);
  out += ",\"queryId\":";
  AppendJsonString(out, reply.query_id);
  out += ",\"reranked\":";
  AppendBool(out, reply.reranked);
  out += ",\"partial\":";
  AppendBool(out, reply.partial);
  out += ",\"missingShards\":";
  AppendList(out, reply.missing_shards, AppendJsonUint);
  out += ",\"last\":";
  AppendBool(out, reply.last);
  out += ",\"explain\":";
  if (reply.explain) {
    out += "{\"shards\":";
    AppendList(out, reply.traces, AppendTrace);
    out += ",\"rerank\":";
    AppendList(out, reply.rerank_explain, AppendRerankTrace);
    out.push_back('}');
  } else {
    out += "null";
  }
  out += ",\"rerank\":";
  if (reply.rerank.has_value()) {
    AppendRerankNote(out, *reply.rerank);
  } else {
    out += "null";
  }
  out.push_back('}');
}

void PointToJson(const PointRecord& point, std::string& out) {
  out += "{\"id\":";
  AppendJsonString(out, point.id);
  out += ",\"vector\":";
  AppendVector(out, point.vector);
  out.push_back(',');
  AppendPayload(out, point.payload);
  AppendCount(out, "version", point.version);
  out.push_back('}');
}

void ScrollToJson(std::span<const PointRecord> points, std::string_view next_after_id,
                  std::string& out) {
  out += "{\"points\":";
  AppendList(out, points,
             [](std::string& to, const PointRecord& point) { PointToJson(point, to); });
  out += ",\"nextAfterId\":";
  AppendJsonString(out, next_after_id);
  out.push_back('}');
}

}  // namespace vectron
