#include "services/gateway/slow_queries.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/http_message.h"
#include "rpc/json_transcoder.h"
#include "vectron/vectron.pb.h"

namespace vectron::gateway {
namespace {

using management::v1::SlowQuery;

std::string_view TestName(const Condition& condition) {
  struct Names {
    std::string_view operator()(const MatchTest&) const { return "match"; }
    std::string_view operator()(const NumberRange&) const { return "range"; }
    std::string_view operator()(const TimeRange&) const { return "time range"; }
    std::string_view operator()(const ExistsTest&) const { return "exists"; }
    std::string_view operator()(const IsEmptyTest&) const { return "is_empty"; }
    std::string_view operator()(const HasIdTest&) const { return "has_id"; }
    std::string_view operator()(const std::unique_ptr<Filter>&) const { return "nested"; }
  };
  return std::visit(Names{}, condition.test);
}

void AppendShape(const std::vector<Condition>& conditions, std::string_view name,
                 std::string& out) {
  if (conditions.empty()) return;
  out += fmt::format("{}{}: ", out.empty() ? "" : "; ", name);
  for (size_t i = 0; i < conditions.size() && out.size() <= kMaxFilterShapeBytes; ++i) {
    const std::string& path = conditions[i].path.text;
    out += fmt::format("{}{}{}{}", i == 0 ? "" : ", ", path, path.empty() ? "" : " ",
                       TestName(conditions[i]));
  }
}

std::string_view ProtocolName(rpc::Protocol protocol) {
  return protocol == rpc::Protocol::kHttp   ? "http"
         : protocol == rpc::Protocol::kGrpc ? "grpc"
                                            : "in_process";
}

SlowQuery Describe(const WatchedSearch& search) {
  SlowQuery query;
  query.set_owner(search.owner);
  query.set_collection(search.collection);
  query.set_protocol(std::string(ProtocolName(search.protocol)));
  query.set_top_k(search.top_k);
  query.set_offset(search.offset);
  query.set_ef(search.ef);
  query.set_exact(search.exact);
  if (search.filter != nullptr) query.set_filter(FilterShape(*search.filter));
  query.set_consistency(v1::Consistency_Name(static_cast<int>(search.consistency)));
  query.set_stream(search.stream);
  return query;
}

// What the caller sees of a watched reply: as if nobody watched.
void HideTraces(SearchReply& reply, bool explain) {
  reply.explain = explain;
  if (!explain) reply.traces.clear();
}

}  // namespace

std::string FilterShape(const Filter& filter) {
  std::string shape;
  AppendShape(filter.must, "must", shape);
  AppendShape(filter.should, "should", shape);
  AppendShape(filter.must_not, "must_not", shape);
  if (shape.size() > kMaxFilterShapeBytes) {
    size_t cut = kMaxFilterShapeBytes;
    while (cut > 0 && (static_cast<unsigned char>(shape[cut]) & 0xc0) == 0x80) --cut;
    shape.resize(cut);
    shape += "...";
  }
  return shape;
}

absl::StatusOr<std::unique_ptr<SlowQueryLog>> SlowQueryLog::Open(const Options& options,
                                                                 const Deps& deps) {
  std::unique_ptr<SlowQueryLog> log(new SlowQueryLog(options, deps));
  RETURN_IF_ERROR(log->Load());
  return log;
}

SlowQueryLog::SlowQueryLog(const Options& options, const Deps& deps)
    : options_(options), deps_(deps), threshold_ms_(options.threshold_ms), writer_(*deps.executor) {
  CHECK(deps.files != nullptr && deps.clock != nullptr);
}

SlowQueryLog::~SlowQueryLog() { writer_.Drain(); }

absl::Status SlowQueryLog::Load() {
  ASSIGN_OR_RETURN(const bool exists, deps_.files->Exists(options_.path));
  if (exists) {
    ASSIGN_OR_RETURN(const std::string text, deps_.files->ReadAll(options_.path));
    std::vector<std::string_view> lines;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      lines.push_back(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
    const absl::MutexLock lock(&mutex_);
    for (size_t i = lines.size() - std::min(lines.size(), kKept); i < lines.size(); ++i) {
      rpc::HttpBody padded;
      padded.Append(lines[i]);
      SlowQuery query;
      if (!lines[i].empty() && rpc::MessageFromJson(padded.padded(), query).ok()) {
        kept_.push_back(std::move(query));
      }
    }
  }
  ASSIGN_OR_RETURN(
      file_, deps_.files->Open(options_.path, exists ? OpenMode::kReadWrite : OpenMode::kCreate));
  ASSIGN_OR_RETURN(file_bytes_, file_->Size());
  return absl::OkStatus();
}

void SlowQueryLog::Watch(const rpc::CallContext& context, SearchCall& call, Progress& progress,
                         Done& done) {
  const bool explain = call.query.explain;
  WatchedSearch search{
      .start_nanos = context.start_nanos != 0 ? context.start_nanos : deps_.clock->MonotonicNanos(),
      .owner = context.tenant,
      .collection = call.collection,
      .filter = call.query.filter,
      .protocol = context.protocol,
      .consistency = call.query.consistency,
      .top_k = call.top_k,
      .offset = call.offset,
      .ef = call.query.ef,
      .exact = call.query.exact,
      .stream = progress != nullptr};
  call.query.trace = true;
  if (progress != nullptr) {
    progress = [explain, inner = std::move(progress)](SearchReply reply) {
      HideTraces(reply, explain);
      return inner(std::move(reply));
    };
  }
  done = [this, explain, search = std::move(search),
          inner = std::move(done)](absl::StatusOr<SearchReply> reply) {
    Judge(search, reply);
    if (reply.ok()) HideTraces(*reply, explain);
    inner(std::move(reply));
  };
}

void SlowQueryLog::Judge(const WatchedSearch& search, const absl::StatusOr<SearchReply>& reply) {
  const double millis =
      static_cast<double>(deps_.clock->MonotonicNanos() - search.start_nanos) * 1e-6;
  if (millis < threshold_ms()) return;
  SlowQuery query = Describe(search);
  query.set_timestamp(static_cast<double>(deps_.clock->UnixMillis()));
  query.set_duration_ms(millis);
  if (reply.ok()) {
    query.set_query_id(reply->query_id);
    query.set_reranked(reply->reranked);
    query.set_partial(reply->partial);
    SearchReply traced;
    traced.explain = true;
    traced.traces = reply->traces;
    v1::SearchResponse response;
    ReplyToProto(traced, response);
    query.mutable_shards()->Swap(response.mutable_explain()->mutable_shards());
  } else {
    query.set_error(std::string(rpc::CodeName(reply.status().code())));
  }
  std::string line;
  rpc::MessageToJson(query, line);
  line += '\n';
  {
    const absl::MutexLock lock(&mutex_);
    ++total_;
    kept_.push_back(std::move(query));
    if (kept_.size() > kKept) kept_.pop_front();
    if (unwritten_.size() + line.size() > kMaxUnwrittenBytes) {
      ++dropped_;
      return;
    }
    unwritten_ += line;
    if (writing_) return;
    writing_ = true;
  }
  writer_.Schedule([this] { Write(); });
}

void SlowQueryLog::Write() {
  for (;;) {
    std::string lines;
    uint64_t dropped = 0;
    {
      const absl::MutexLock lock(&mutex_);
      if (unwritten_.empty()) {
        writing_ = false;
        return;
      }
      lines = std::exchange(unwritten_, {});
      dropped = std::exchange(dropped_, 0);
    }
    const absl::Status written = Append(lines);
    if (!written.ok()) {
      LogWarning("{}: slow queries are not written: {}", options_.path, MessageOf(written));
    } else if (dropped > 0) {
      LogWarning("{}: {} slow queries came faster than they can be written", options_.path,
                 dropped);
    }
  }
}

absl::Status SlowQueryLog::Append(const std::string& lines) {
  if (file_bytes_ + lines.size() > kMaxFileBytes && file_bytes_ > 0) {
    RETURN_IF_ERROR(deps_.files->Rename(options_.path, options_.path + ".1"));
    ASSIGN_OR_RETURN(file_, deps_.files->Open(options_.path, OpenMode::kCreate));
    file_bytes_ = 0;
  }
  RETURN_IF_ERROR(file_->Write(file_bytes_, lines));
  file_bytes_ += lines.size();
  return absl::OkStatus();
}

std::vector<SlowQuery> SlowQueryLog::Newest(const std::string& collection, size_t limit) const {
  std::vector<SlowQuery> newest;
  const absl::MutexLock lock(&mutex_);
  for (auto it = kept_.rbegin(); it != kept_.rend() && newest.size() < limit; ++it) {
    if (collection.empty() || it->collection() == collection) newest.push_back(*it);
  }
  return newest;
}

uint64_t SlowQueryLog::total() const {
  const absl::MutexLock lock(&mutex_);
  return total_;
}

}  // namespace vectron::gateway
