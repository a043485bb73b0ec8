// The handlers of VectronService: requests of both protocols to the calls of gateway.h and back.

#include "base/status.h"
#include "rpc/json_transcoder.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using rpc::CallContext;
using rpc::HttpRequest;
using rpc::JsonDone;
using rpc::RpcDone;

std::string Named(std::string_view method) {
  return fmt::format("vectron.v1.VectronService.{}", method);
}

std::string UpsertToJson(const UpsertReply& reply) {
  std::string json = fmt::format("{{\"upserted\":{},\"versions\":[", reply.upserted);
  for (size_t i = 0; i < reply.versions.size(); ++i) {
    fmt::format_to(std::back_inserter(json), "{}\"{}\"", i == 0 ? "" : ",", reply.versions[i]);
  }
  return json + "]}";
}

// A body that is empty asks for the first page.
absl::StatusOr<ScrollCall> ScrollFromBody(HttpRequest& request) {
  if (!request.query().empty()) {
    return InvalidArgument("this call takes its parameters in the body");
  }
  constexpr PaddedJson kNothing{.data = "{}", .size = 2, .capacity = 2};
  return ScrollFromJson(request.body.empty() ? kNothing : request.body.padded(),
                        request.Param("collection"));
}

// Fills a message from the body (if the route takes one), the query and the path, as the transcoder
// does for RPCs without a JSON form of their own.
template <typename Message>
absl::StatusOr<Message> FromHttp(const CallContext& context, HttpRequest& request) {
  Message message;
  if (context.method->route().body()) {
    RETURN_IF_ERROR(rpc::MessageFromJson(request.body.padded(), message));
  }
  RETURN_IF_ERROR(rpc::ApplyQuery(request.query(), message));
  RETURN_IF_ERROR(rpc::ApplyPathParams(request.params, message));
  return message;
}

void RegisterCollections(Gateway& gateway, rpc::RpcRegistry& registry) {
  registry.Unary<v1::CreateCollectionRequest, v1::CreateCollectionResponse>(
      Named("CreateCollection"),
      [&gateway](CallContext& context, v1::CreateCollectionRequest& request,
                 v1::CreateCollectionResponse& response, RpcDone done) {
        response.set_success(true);
        gateway.CreateCollection(context, request, std::move(done));
      });
  registry.Unary<v1::DeleteCollectionRequest, v1::DeleteCollectionResponse>(
      Named("DeleteCollection"),
      [&gateway](CallContext& context, v1::DeleteCollectionRequest& request,
                 v1::DeleteCollectionResponse& response, RpcDone done) {
        response.set_success(true);
        gateway.DeleteCollection(context, request.name(), std::move(done));
      });
  registry.Unary<v1::ListCollectionsRequest, v1::ListCollectionsResponse>(
      Named("ListCollections"), [&gateway](CallContext& context, v1::ListCollectionsRequest&,
                                           v1::ListCollectionsResponse& response, RpcDone done) {
        gateway.ListCollections(
            context, [&response, done = std::move(done)](std::vector<std::string> names) {
              for (std::string& name : names) response.add_collections(std::move(name));
              done(absl::OkStatus());
            });
      });
  registry.Unary<v1::GetCollectionStatusRequest, v1::GetCollectionStatusResponse>(
      Named("GetCollectionStatus"),
      [&gateway](CallContext& context, v1::GetCollectionStatusRequest& request,
                 v1::GetCollectionStatusResponse& response, RpcDone done) {
        gateway.GetCollectionStatus(context, request.name(),
                                    [&response, done = std::move(done)](
                                        absl::StatusOr<v1::GetCollectionStatusResponse> status) {
                                      if (status.ok()) response = *std::move(status);
                                      done(status.status());
                                    });
      });
}

void RegisterWrites(Gateway& gateway, rpc::RpcRegistry& registry) {
  registry.Unary<v1::UpsertRequest, v1::UpsertResponse>(
      Named("Upsert"), [&gateway](CallContext& context, v1::UpsertRequest& request,
                                  v1::UpsertResponse& response, RpcDone done) {
        absl::StatusOr<UpsertCall> call = UpsertFromProto(request);
        if (!call.ok()) return done(call.status());
        gateway.Upsert(context, *std::move(call),
                       [&response, done = std::move(done)](absl::StatusOr<UpsertReply> reply) {
                         if (!reply.ok()) return done(reply.status());
                         response.set_upserted(static_cast<int32_t>(reply->upserted));
                         response.mutable_versions()->Add(reply->versions.begin(),
                                                          reply->versions.end());
                         done(absl::OkStatus());
                       });
      });
  registry.Json(Named("Upsert"),
                [&gateway](CallContext& context, HttpRequest& request, JsonDone done) {
                  absl::StatusOr<UpsertCall> call =
                      UpsertFromJson(request.body.padded(), request.Param("collection"));
                  if (!call.ok()) return done(call.status());
                  gateway.Upsert(context, *std::move(call),
                                 [done = std::move(done)](absl::StatusOr<UpsertReply> reply) {
                                   if (!reply.ok()) return done(reply.status());
                                   done(UpsertToJson(*reply));
                                 });
                });
  registry.Unary<v1::DeleteRequest, v1::DeleteResponse>(
      Named("Delete"), [&gateway](CallContext& context, v1::DeleteRequest& request,
                                  v1::DeleteResponse& response, RpcDone done) {
        gateway.Delete(context, request,
                       [&response, done = std::move(done)](absl::StatusOr<uint64_t> version) {
                         if (version.ok()) response.set_version(*version);
                         done(version.status());
                       });
      });
}

void RegisterReads(Gateway& gateway, rpc::RpcRegistry& registry) {
  registry.Unary<v1::GetRequest, v1::GetResponse>(
      Named("Get"), [&gateway](CallContext& context, v1::GetRequest& request,
                               v1::GetResponse& response, RpcDone done) {
        gateway.Get(context, request,
                    [&response, done = std::move(done)](absl::StatusOr<PointRecord> point) {
                      if (point.ok()) PointToProto(*point, *response.mutable_point());
                      done(point.status());
                    });
      });
  registry.Json(
      Named("Get"), [&gateway](CallContext& context, HttpRequest& request, JsonDone done) {
        const absl::StatusOr<v1::GetRequest> get = FromHttp<v1::GetRequest>(context, request);
        if (!get.ok()) return done(get.status());
        gateway.Get(context, *get, [done = std::move(done)](absl::StatusOr<PointRecord> point) {
          if (!point.ok()) return done(point.status());
          std::string json = "{\"point\":";
          PointToJson(*point, json);
          done(json + "}");
        });
      });
  registry.Unary<v1::ScrollRequest, v1::ScrollResponse>(
      Named("ScrollPoints"), [&gateway](CallContext& context, v1::ScrollRequest& request,
                                        v1::ScrollResponse& response, RpcDone done) {
        absl::StatusOr<ScrollCall> call = ScrollFromProto(request);
        if (!call.ok()) return done(call.status());
        gateway.Scroll(context, *std::move(call),
                       [&response, done = std::move(done)](absl::StatusOr<ScrollReply> reply) {
                         if (!reply.ok()) return done(reply.status());
                         for (const PointRecord& point : reply->points) {
                           PointToProto(point, *response.add_points());
                         }
                         response.set_next_after_id(std::move(reply->next_after_id));
                         done(absl::OkStatus());
                       });
      });
  registry.Json(Named("ScrollPoints"),
                [&gateway](CallContext& context, HttpRequest& request, JsonDone done) {
                  absl::StatusOr<ScrollCall> call = ScrollFromBody(request);
                  if (!call.ok()) return done(call.status());
                  gateway.Scroll(context, *std::move(call),
                                 [done = std::move(done)](absl::StatusOr<ScrollReply> reply) {
                                   if (!reply.ok()) return done(reply.status());
                                   std::string json;
                                   ScrollToJson(reply->points, reply->next_after_id, json);
                                   done(std::move(json));
                                 });
                });
}

void RegisterSearches(Gateway& gateway, rpc::RpcRegistry& registry) {
  registry.Unary<v1::SearchRequest, v1::SearchResponse>(
      Named("Search"), [&gateway](CallContext& context, v1::SearchRequest& request,
                                  v1::SearchResponse& response, RpcDone done) {
        absl::StatusOr<SearchCall> call = SearchFromProto(request);
        if (!call.ok()) return done(call.status());
        gateway.Search(context, *std::move(call),
                       [&response, done = std::move(done)](absl::StatusOr<SearchReply> reply) {
                         if (!reply.ok()) return done(reply.status());
                         reply->last = false;  // a word of streams
                         ReplyToProto(*reply, response);
                         done(absl::OkStatus());
                       });
      });
  registry.Json(Named("Search"),
                [&gateway](CallContext& context, HttpRequest& request, JsonDone done) {
                  absl::StatusOr<SearchCall> call =
                      SearchFromJson(request.body.padded(), request.Param("collection"));
                  if (!call.ok()) return done(call.status());
                  gateway.Search(context, *std::move(call),
                                 [done = std::move(done)](absl::StatusOr<SearchReply> reply) {
                                   if (!reply.ok()) return done(reply.status());
                                   reply->last = false;
                                   std::string json;
                                   ReplyToJson(*reply, json);
                                   done(std::move(json));
                                 });
                });
  registry.Stream<v1::SearchRequest, v1::SearchResponse>(
      Named("SearchStream"), [&gateway](CallContext& context, v1::SearchRequest& request,
                                        rpc::ServerStream<v1::SearchResponse> stream) {
        absl::StatusOr<SearchCall> call = SearchFromProto(request);
        if (!call.ok()) return stream.Finish(call.status());
        gateway.SearchStream(
            context, *std::move(call),
            [stream](const SearchReply& reply) mutable {
              v1::SearchResponse response;
              ReplyToProto(reply, response);
              stream.Write(response);  // a slow reader misses this one and gets a better one
              return !stream.cancelled();
            },
            [stream](const absl::StatusOr<SearchReply>& reply) mutable {
              if (!reply.ok()) return stream.Finish(reply.status());
              v1::SearchResponse response;
              ReplyToProto(*reply, response);
              stream.FinishWith(response);
            });
      });
}

}  // namespace

absl::Status Gateway::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.v1.VectronService"));
  RegisterCollections(*this, registry);
  RegisterWrites(*this, registry);
  RegisterReads(*this, registry);
  RegisterSearches(*this, registry);
  return absl::OkStatus();
}

}  // namespace vectron::gateway
