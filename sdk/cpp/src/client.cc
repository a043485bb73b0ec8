#include "vectron/client.h"

#include <atomic>
#include <utility>

#include "client_impl.h"
#include "convert.h"
#include "split.h"

namespace vectron {

using internal::Connection;
using internal::Kind;

Client::Client(const std::string& host, ClientOptions options)
    : impl_(std::make_shared<Impl>(host, std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

const std::string& Client::host() const { return impl_->connection->host(); }

void Client::CreateCollection(const std::string& name, uint32_t dimension, Distance distance,
                              const CollectionOptions& options, Timeout timeout) {
  impl_->Call(Kind::kOtherWrite, internal::ToProto(name, dimension, distance, options),
              &v1::VectronService::StubInterface::CreateCollection, timeout);
}
void Client::DeleteCollection(const std::string& name, Timeout timeout) {
  v1::DeleteCollectionRequest request;
  request.set_name(name);
  impl_->Call(Kind::kOtherWrite, request, &v1::VectronService::StubInterface::DeleteCollection,
              timeout);
}
std::vector<std::string> Client::ListCollections(Timeout timeout) {
  const auto response = impl_->Call(Kind::kRead, v1::ListCollectionsRequest(),
                                    &v1::VectronService::StubInterface::ListCollections, timeout);
  return {response.collections().begin(), response.collections().end()};
}
CollectionStatus Client::GetCollectionStatus(const std::string& name, Timeout timeout) {
  v1::GetCollectionStatusRequest request;
  request.set_name(name);
  return internal::FromProto(impl_->Call(
      Kind::kRead, request, &v1::VectronService::StubInterface::GetCollectionStatus, timeout));
}

void Client::Impl::SendInOrder(const std::string& collection, std::span<const Point> points,
                               const WriteOptions& options, bool return_versions,
                               const std::function<void(const v1::UpsertResponse&)>& take) {
  const auto write = [&points](size_t i, v1::Point* out) {
    internal::ToProto(points[i].id, points[i].vector, &points[i].payload, out);
  };
  const auto send = [&](internal::Part part) {
    part.request.set_collection(collection);
    part.request.set_insert_only(options.insert_only);
    part.request.set_return_versions(return_versions);
    try {
      take(Call(Kind::kNamedWrite, part.request, &v1::VectronService::StubInterface::Upsert,
                options.timeout));
    } catch (const Error& error) {
      if (part.start == 0) throw;
      const std::string start = std::to_string(part.start);
      const std::string message = "points from number " + start + " on (the " + start +
                                  " before are written): " + error.what();
      internal::Throw({error.code(), message, error.retry_after()}, connection->host());
    }
  };
  internal::SplitLimits limits;
  limits.request_id = options.request_id;
  internal::Split(points.size(), limits, write, send);
}

size_t Client::Upsert(const std::string& collection, std::span<const Point> points,
                      const WriteOptions& options) {
  size_t written = 0;
  impl_->SendInOrder(collection, points, options, false, [&](const v1::UpsertResponse& response) {
    written += static_cast<size_t>(response.upserted());
  });
  return written;
}
std::vector<uint64_t> Client::UpsertVersions(const std::string& collection,
                                             std::span<const Point> points,
                                             const WriteOptions& options) {
  std::vector<uint64_t> versions;
  impl_->SendInOrder(collection, points, options, true, [&](const v1::UpsertResponse& response) {
    versions.insert(versions.end(), response.versions().begin(), response.versions().end());
  });
  return versions;
}

namespace {

using UpsertCall = internal::AsyncCall<v1::UpsertRequest, v1::UpsertResponse, size_t>;

std::future<size_t> BeginUpsert(const std::shared_ptr<Connection>& connection,
                                v1::UpsertRequest request, Timeout timeout) {
  return UpsertCall::Begin(
      connection, Kind::kNamedWrite, timeout, std::move(request),
      [](Connection& to, grpc::ClientContext* context, const v1::UpsertRequest* sent,
         v1::UpsertResponse* response, std::function<void(grpc::Status)> done) {
        to.vectron_async().async()->Upsert(context, sent, response, std::move(done));
      },
      [](v1::UpsertResponse&& response) { return static_cast<size_t>(response.upserted()); });
}

v1::DeleteRequest Deletion(const std::string& collection, const std::string& id,
                           const std::string& request_id) {
  v1::DeleteRequest request;
  request.set_collection(collection);
  request.set_id(id);
  request.set_request_id(request_id.empty() ? internal::NewRequestId() : request_id);
  return request;
}

// Checks that columns fit together; the dimension.
size_t DimensionOf(const Columns& columns) {
  const size_t count = columns.ids.size();
  if (!columns.payloads.empty() && columns.payloads.size() != count) {
    throw InvalidArgumentError(std::to_string(columns.payloads.size()) + " payloads for " +
                               std::to_string(count) + " ids; there must be as many, or none");
  }
  if (count == 0 ? !columns.vectors.empty() : columns.vectors.size() % count != 0) {
    throw InvalidArgumentError(std::to_string(columns.vectors.size()) + " vector components for " +
                               std::to_string(count) + " ids; there must be ids x dimension");
  }
  return count == 0 ? 0 : columns.vectors.size() / count;
}

struct Running {
  size_t start = 0;
  size_t count = 0;
  std::string request_id;
  std::future<size_t> result;
};

// Waits for one part and counts it.
void Collect(Running running, const BatchOptions& options, UpsertReport* report,
             BatchProgress* progress) {
  try {
    report->upserted += running.result.get();
  } catch (const Error& error) {
    progress->points_failed += running.count;
    report->failures.push_back({running.start, running.count, std::move(running.request_id),
                                error.what(), std::current_exception()});
  }
  progress->points_done += running.count;
  if (options.progress) options.progress(*progress);
}

}  // namespace

UpsertReport Client::UpsertBatch(const std::string& collection, const Columns& columns,
                                 const BatchOptions& options) {
  const size_t dimension = DimensionOf(columns);
  UpsertReport report;
  BatchProgress progress;
  progress.points_total = columns.ids.size();
  std::vector<Running> under_way;  // in order; the oldest is waited for first
  const auto write = [&](size_t i, v1::Point* out) {
    internal::ToProto(columns.ids[i], columns.vectors.subspan(i * dimension, dimension),
                      columns.payloads.empty() ? nullptr : &columns.payloads[i], out);
  };
  const auto take = [&](internal::Part part) {
    part.request.set_collection(collection);
    part.request.set_insert_only(options.insert_only);
    if (under_way.size() >= std::max<size_t>(options.concurrency, 1)) {
      Running oldest = std::move(under_way.front());
      under_way.erase(under_way.begin());
      Collect(std::move(oldest), options, &report, &progress);
    }
    Running running{
        part.start, static_cast<size_t>(part.request.points_size()), part.request.request_id(), {}};
    running.result = BeginUpsert(impl_->connection, std::move(part.request), options.timeout);
    under_way.push_back(std::move(running));
  };
  internal::Split(columns.ids.size(), {options.max_points, options.max_bytes, ""}, write, take);
  for (Running& running : under_way) Collect(std::move(running), options, &report, &progress);
  return report;
}

std::future<size_t> Client::UpsertAsync(const std::string& collection,
                                        std::span<const Point> points,
                                        const WriteOptions& options) {
  v1::UpsertRequest request;
  size_t parts = 0;
  internal::SplitLimits limits;
  limits.request_id = options.request_id;
  internal::Split(
      points.size(), limits,
      [&points](size_t i, v1::Point* out) {
        internal::ToProto(points[i].id, points[i].vector, &points[i].payload, out);
      },
      [&](internal::Part part) {
        request = std::move(part.request);
        ++parts;
      });
  if (parts > 1) {
    throw InvalidArgumentError(
        "these points are too many for one request; use Upsert or UpsertBatch");
  }
  if (parts == 0) request.set_request_id(internal::NewRequestId());
  request.set_collection(collection);
  request.set_insert_only(options.insert_only);
  return BeginUpsert(impl_->connection, std::move(request), options.timeout);
}

Point Client::Get(const std::string& collection, const std::string& id,
                  const ReadOptions& options) {
  return internal::FromProto(impl_
                                 ->Call(Kind::kRead, internal::ToProto(collection, id, options),
                                        &v1::VectronService::StubInterface::Get, options.timeout)
                                 .point());
}
std::future<Point> Client::GetAsync(const std::string& collection, const std::string& id,
                                    const ReadOptions& options) {
  return internal::AsyncCall<v1::GetRequest, v1::GetResponse, Point>::Begin(
      impl_->connection, Kind::kRead, options.timeout, internal::ToProto(collection, id, options),
      [](Connection& to, grpc::ClientContext* context, const v1::GetRequest* sent,
         v1::GetResponse* response, std::function<void(grpc::Status)> done) {
        to.vectron_async().async()->Get(context, sent, response, std::move(done));
      },
      [](v1::GetResponse&& response) { return internal::FromProto(response.point()); });
}
void Client::Delete(const std::string& collection, const std::string& id,
                    const std::string& request_id, Timeout timeout) {
  impl_->Call(Kind::kNamedWrite, Deletion(collection, id, request_id),
              &v1::VectronService::StubInterface::Delete, timeout);
}
std::future<void> Client::DeleteAsync(const std::string& collection, const std::string& id,
                                      const std::string& request_id, Timeout timeout) {
  return internal::AsyncCall<v1::DeleteRequest, v1::DeleteResponse, void>::Begin(
      impl_->connection, Kind::kNamedWrite, timeout, Deletion(collection, id, request_id),
      [](Connection& to, grpc::ClientContext* context, const v1::DeleteRequest* sent,
         v1::DeleteResponse* response, std::function<void(grpc::Status)> done) {
        to.vectron_async().async()->Delete(context, sent, response, std::move(done));
      },
      [](v1::DeleteResponse&& /*response*/) {});
}
Page Client::Scroll(const std::string& collection, const ScrollOptions& options) {
  v1::ScrollRequest request;
  request.set_collection(collection);
  request.set_after_id(options.after_id);
  request.set_limit(options.limit);
  if (options.filter) *request.mutable_filter() = internal::ToProto(*options.filter);
  request.set_include_vectors(options.include_vectors);
  request.set_include_metadata(options.include_payload);
  request.set_consistency(internal::ToProto(options.consistency));
  request.set_max_staleness_ms(static_cast<uint32_t>(options.max_staleness.count()));
  const auto response = impl_->Call(
      Kind::kRead, request, &v1::VectronService::StubInterface::ScrollPoints, options.timeout);
  Page page;
  for (const auto& point : response.points()) page.points.push_back(internal::FromProto(point));
  page.next_after_id = response.next_after_id();
  return page;
}

SearchResults Client::Search(const std::string& collection, std::span<const float> vector,
                             const SearchOptions& options) {
  return internal::FromProto(
      impl_->Call(Kind::kRead, internal::ToProto(collection, vector, options),
                  &v1::VectronService::StubInterface::Search, options.timeout));
}
std::future<SearchResults> Client::SearchAsync(const std::string& collection,
                                               std::span<const float> vector,
                                               const SearchOptions& options) {
  return internal::AsyncCall<v1::SearchRequest, v1::SearchResponse, SearchResults>::Begin(
      impl_->connection, Kind::kRead, options.timeout,
      internal::ToProto(collection, vector, options),
      [](Connection& to, grpc::ClientContext* context, const v1::SearchRequest* sent,
         v1::SearchResponse* response, std::function<void(grpc::Status)> done) {
        to.vectron_async().async()->Search(context, sent, response, std::move(done));
      },
      [](v1::SearchResponse&& response) { return internal::FromProto(response); });
}
void Client::SearchStream(const std::string& collection, std::span<const float> vector,
                          const SearchOptions& options,
                          const std::function<bool(const SearchResults&)>& on_answer) {
  const v1::SearchRequest request = internal::ToProto(collection, vector, options);
  const auto attempt = [&](grpc::ClientContext* context) {
    const auto stream = impl_->connection->vectron().SearchStream(context, request);
    v1::SearchResponse response;
    while (stream->Read(&response)) {
      if (on_answer(internal::FromProto(response))) continue;
      context->TryCancel();
      stream->Finish();  // CANCELLED, by us
      return grpc::Status();
    }
    return stream->Finish();
  };
  impl_->connection->Run(Kind::kRead, attempt, options.timeout);
}
std::string Client::SubmitFeedback(const std::string& collection, const Feedback& feedback,
                                   Timeout timeout) {
  return impl_
      ->Call(Kind::kOtherWrite, internal::ToProto(collection, feedback),
             &v1::VectronService::StubInterface::SubmitFeedback, timeout)
      .feedback_id();
}

FeedbackPage Client::ListFeedback(const std::string& collection, uint64_t after_number,
                                  uint32_t limit, Timeout timeout) {
  v1::ListFeedbackRequest request;
  request.set_collection(collection);
  request.set_after_number(after_number);
  request.set_limit(limit);
  const auto response =
      impl_->Call(Kind::kRead, request, &v1::VectronService::StubInterface::ListFeedback, timeout);
  FeedbackPage page;
  for (const auto& record : response.records()) {
    page.records.push_back(internal::FromProto(record));
  }
  page.next_after_number = response.next_after_number();
  return page;
}

Admin Client::admin(Timeout timeout) { return Admin(impl_->connection, timeout); }

struct ClientPool::Impl {
  std::vector<std::unique_ptr<Client>> clients;
  std::atomic<size_t> next = 0;
};

ClientPool::ClientPool(size_t size, const std::string& host, const ClientOptions& options)
    : impl_(std::make_unique<Impl>()) {
  if (size == 0) throw InvalidArgumentError("a pool of 0 clients; it needs at least one");
  for (size_t i = 0; i < size; ++i) {
    impl_->clients.push_back(std::make_unique<Client>(host, options));
  }
}
ClientPool::~ClientPool() = default;
Client& ClientPool::Get() { return *impl_->clients[impl_->next++ % impl_->clients.size()]; }

}  // namespace vectron
