#pragma once

// What goes in and what comes out.

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vectron/filter.h"
#include "vectron/value.h"

namespace vectron {

enum class Distance { kEuclidean, kCosine, kDot };  // squared; 1 - cosine; minus the dot product
enum class Consistency { kDefault, kStrong, kBounded, kEventual };
enum class PayloadType { kKeyword = 1, kInteger, kFloat, kBool, kDatetime };

// Of one call with its retries; unset: ClientOptions::timeout. An attempt of it has
// ClientOptions::attempt_timeout at most.
using Timeout = std::optional<std::chrono::milliseconds>;

// UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED are tried again for reads, and for writes
// with a request id (every upsert and delete has one); other writes only after RESOURCE_EXHAUSTED.
// The pause doubles, is randomised, and is never shorter than the server asked for. A server that
// asks to slow down and says for how long is heeded until the call's time is over, whatever
// max_attempts (unless that is 1, which means never): it works, and a loader is to go at its pace.
// A message or an answer over a limit of size is not tried again: it would be as large.
struct RetryPolicy {
  int max_attempts = 5;
  std::chrono::milliseconds initial_backoff{100};
  std::chrono::milliseconds max_backoff{3'000};
};

struct ClientOptions {
  // An API key (vkey-...) or a JWT; or a function that returns one for each call, called by any
  // thread.
  std::string credential;
  std::function<std::string()> credential_source;
  std::chrono::milliseconds timeout{30'000};  // of a call with its retries that says no other
  std::chrono::milliseconds attempt_timeout{10'000};  // of one attempt of it
  RetryPolicy retry;
  bool use_tls = false;
  std::string tls_root_certificates;   // PEM; empty: those of the system
  std::string tls_client_certificate;  // PEM, with tls_client_key: mutual TLS
  std::string tls_client_key;
  std::string tls_server_name;  // expected in the certificate, if not the host
  int max_message_bytes = 80 << 20;
  // While calls are under way, a connection on which nothing has come for this long is pinged, and
  // given up when no answer comes in time. The server sends away who pings oftener than every 10 s.
  std::chrono::milliseconds keepalive_time{30'000};
  std::chrono::milliseconds keepalive_timeout{10'000};
  bool gzip = false;
  std::string tenant;     // id of the user whose collections are meant; for administrators
  std::string auth_host;  // HOST:PORT of gRPC for users and keys, if not the client's host
};

// How the nearest points are ordered anew. What is unset is the collection's, else the server's
// choice.
struct RerankOptions {
  std::string strategy;                 // "none", "rule", "llm" or "learned"
  uint32_t candidates = 0;              // nearest points looked at
  std::chrono::milliseconds budget{0};  // past it the vector order is returned
  std::optional<bool> explore;          // false: no neighbours are swapped to learn from clicks

  friend bool operator==(const RerankOptions&, const RerankOptions&) = default;
};

struct CollectionOptions {
  uint32_t shard_count = 0;         // 0: chosen by the cluster
  uint32_t replication_factor = 0;  // 0: chosen by the cluster
  uint32_t hnsw_m = 0;              // 0: the default, here and below
  uint32_t hnsw_ef_construct = 0;
  uint32_t hnsw_ef_search = 0;
  bool half_precision = false;  // keep vectors as 16-bit floats
  std::map<std::string, PayloadType> payload_indexes;
  Consistency default_consistency = Consistency::kDefault;
  bool vectors_in_memory = false;
  RerankOptions rerank;  // of searches with a query that do not say themselves
};

struct Shard {
  uint32_t shard_id = 0;
  std::vector<uint64_t> replicas;  // worker ids
  uint64_t leader_id = 0;
  bool ready = false;
};
struct CollectionStatus {
  std::string name;
  uint32_t dimension = 0;
  std::string distance;
  std::vector<Shard> shards;
  uint64_t point_count = 0;
  uint64_t indexed_count = 0;
  uint64_t size_bytes = 0;
  CollectionOptions options;  // what it was created with, defaults filled in
};

// id: 1-256 bytes of UTF-8. vector: as many finite components as the collection's dimension.
struct Point {
  std::string id;
  std::vector<float> vector;
  Payload payload;
  uint64_t version = 0;  // log index of the last write; of points that were read
};

struct WriteOptions {
  std::string request_id;    // to repeat this very write later; made up when empty
  bool insert_only = false;  // AlreadyExistsError where a point exists
  Timeout timeout = {};      // of each request
};

// Points as columns, as views that outlive the call: n ids, n x d vectors row-major, and n payloads
// or none.
struct Columns {
  std::span<const std::string> ids;
  std::span<const float> vectors;
  std::span<const Payload> payloads;
};

struct BatchProgress {
  size_t points_done = 0;  // written or failed
  size_t points_failed = 0;
  size_t points_total = 0;
};
struct BatchOptions {
  size_t max_points = 100'000;         // of one request
  size_t max_bytes = size_t{2} << 20;  // of one request
  size_t concurrency = 4;              // requests under way at once
  bool insert_only = false;
  std::function<void(const BatchProgress&)>
      progress;          // after each request, by one thread at a time
  Timeout timeout = {};  // of each request
};
// Points [start, start + count) were not written (or, after a lost answer, perhaps).
struct BatchFailure {
  size_t start = 0;
  size_t count = 0;
  std::string request_id;
  std::string message;
  std::exception_ptr error;  // an Error
};
struct UpsertReport {
  size_t upserted = 0;
  std::vector<BatchFailure> failures;  // by start
};

// How fresh a read must be.
struct ReadOptions {
  Consistency consistency = Consistency::kDefault;
  std::chrono::milliseconds max_staleness{0};  // for kBounded
  Timeout timeout = {};
};

struct SearchOptions {
  uint32_t top_k = 10;
  std::optional<Filter> filter;
  bool include_vectors = false;
  bool include_payload = true;
  std::vector<std::string> payload_fields;  // only these top-level keys; empty: all
  uint32_t offset = 0;
  std::optional<float> score_threshold;
  uint32_t ef = 0;       // breadth of the graph search; 0: the collection's
  bool exact = false;    // compare with every point
  bool explain = false;  // say what each shard did
  Consistency consistency = Consistency::kDefault;
  std::chrono::milliseconds max_staleness{0};  // for kBounded
  std::chrono::milliseconds shard_timeout{
      0};             // then shards that answered are returned, and `partial` is set; 0: never
  std::string query;  // text for reranking
  std::string
      rerank;  // "none", "rule", "llm" or "learned"; empty: the collection's, or the server's
  // As those of RerankOptions.
  uint32_t rerank_candidates = 0;
  std::chrono::milliseconds rerank_budget{0};
  std::optional<bool> rerank_explore;
  Timeout timeout = {};
};
// What ordered an answer that was to be reranked.
struct RerankInfo {
  std::string strategy;     // "none" (vector order), "rule", "learned", "interleaved" or "llm"
  std::string reason;       // why it is another one than asked for; empty: it is not
  bool from_cache = false;  // the order was remembered from an equal request
  bool explored = false;    // some neighbours were swapped to learn from clicks
  std::chrono::microseconds time{0};
};
// score: a distance, lower is closer; of a reranked answer in [0, 1], higher is better.
struct SearchResult {
  std::string id;
  float score = 0;
  Payload payload;
  std::vector<float> vector;  // include_vectors
  uint64_t version = 0;
};
struct SearchResults {
  std::vector<SearchResult> results;  // best first
  std::string query_id;               // names this answer for SubmitFeedback
  bool reranked = false;
  bool partial = false;  // some shards did not answer within shard_timeout
  std::vector<uint32_t> missing_shards;
  bool last = false;  // of a stream: this is the final answer
  std::optional<Payload> explain;
  std::optional<RerankInfo> rerank;  // unset: no reranking was asked for
};

struct ScrollOptions {
  std::string after_id;  // the last page's next_after_id
  uint32_t limit = 1'000;
  std::optional<Filter> filter;
  bool include_vectors = false;
  bool include_payload = true;
  Consistency consistency = Consistency::kDefault;
  std::chrono::milliseconds max_staleness{0};  // for kBounded
  Timeout timeout = {};
};
struct Page {
  std::vector<Point> points;  // maybe fewer than the limit, even none, before the end
  std::string next_after_id;  // empty: that was the last page
};

struct FeedbackItem {
  std::string result_id;
  int relevance_score = 0;  // 1-5; 0: none given
  bool clicked = false;
  int position = 0;
  std::string comment;
};
struct Feedback {
  std::string query_id;  // of the answer it speaks of
  std::string query;
  std::vector<FeedbackItem> items;
  std::map<std::string, std::string> context;
  std::vector<std::string> result_ids;  // what was shown
};
struct FeedbackRecord {
  uint64_t number = 0;  // rising with time
  std::string feedback_id;
  int64_t created_unix_ms = 0;
  Feedback feedback;
};
struct FeedbackPage {
  std::vector<FeedbackRecord> records;  // oldest first
  uint64_t next_after_number = 0;       // 0: that was the last page
};

enum class Plan { kFree = 1, kPaid };
enum class SubscriptionStatus { kActive = 1, kCanceled, kPastDue };
enum class Role { kUser = 1, kAdmin };
// What an API key may do; each includes those before it.
enum class KeyScope { kRead = 1, kWrite, kAdmin };

struct User {
  std::string id;
  std::string email;
  int64_t created_at = 0;           // seconds since the Unix epoch
  std::string plan;                 // "FREE" or "PAID"
  std::string role;                 // "user" or "admin"
  std::string subscription_status;  // "ACTIVE", "CANCELED" or "PAST_DUE"

  friend bool operator==(const User&, const User&) = default;
};
struct UserPage {
  std::vector<User> users;
  std::string next_after_id;  // empty: that was the last page
};
// What is not given stays as it is.
struct UserChange {
  std::optional<Plan> plan;
  std::optional<SubscriptionStatus> subscription_status;
  std::optional<Role> role;
};
struct ApiKey {
  std::string key_prefix;
  std::string name;
  std::string full_key;    // in the answer of CreateApiKey only
  int64_t created_at = 0;  // seconds since the Unix epoch
  int64_t expires_at = 0;  // 0: never
  std::string user_id;
  std::string scope;                     // "read", "write" or "admin"
  std::vector<std::string> collections;  // empty: all of the user
};
struct KeyOptions {
  KeyScope scope = KeyScope::kWrite;
  std::vector<std::string> collections;  // names, or patterns with *; empty: all of the user
  int64_t expires_at = 0;                // seconds since the Unix epoch; 0: never
};
// Whose key it is, when it is good.
struct KeyCheck {
  bool valid = false;
  std::string user_id;
  std::string plan;
  std::string api_key_id;
};

}  // namespace vectron
