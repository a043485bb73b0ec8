#include "apps/vectronctl/mcp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>

#include "apps/vectronctl/points.h"
#include "apps/vectronctl/rows/json.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// An upsert of a few hundred large points; an assistant has no use for more at once.
constexpr size_t kMaxMessageBytes = size_t{16} << 20;
constexpr uint32_t kMaxResults = 100;
constexpr int kMaxPoints = 1'000;

constexpr char kNoArguments[] = R"({"type":"object","properties":{},"additionalProperties":false})";
constexpr char kCollectionSchema[] =
    R"({"type":"object","properties":{"collection":{"type":"string"}},"required":["collection"],"additionalProperties":false})";
constexpr char kPointSchema[] =
    R"({"type":"object","properties":{"collection":{"type":"string"},"id":{"type":"string"}},)"
    R"("required":["collection","id"],"additionalProperties":false})";
constexpr char kSearchSchema[] =
    R"({"type":"object","properties":{"collection":{"type":"string"},)"
    R"("vector":{"type":"array","items":{"type":"number"},"description":"as long as the collection's dimension"},)"
    R"("like":{"type":"string","description":"id of a point to search from, instead of a vector"},)"
    R"("top_k":{"type":"integer","minimum":1,"maximum":100,"default":10},)"
    R"("filter":{"type":"object","description":"must, should, must_not: lists of {field, and one of match, range {gt, gte, lt, lte}, exists, is_empty}"}},)"
    R"("required":["collection"],"additionalProperties":false})";
constexpr char kUpsertSchema[] =
    R"({"type":"object","properties":{"collection":{"type":"string"},)"
    R"("points":{"type":"array","maxItems":1000,"items":{"type":"object","properties":{"id":{"type":"string"},)"
    R"("vector":{"type":"array","items":{"type":"number"}},"payload":{"type":"object"}},"required":["id","vector"],"additionalProperties":false}}},)"
    R"("required":["collection","points"],"additionalProperties":false})";

const Value* Find(const Struct& arguments, const std::string& name) {
  const auto found = arguments.fields().find(name);
  return found == arguments.fields().end() ? nullptr : &found->second;
}

absl::StatusOr<std::string> TextOf(const Struct& arguments, const std::string& name) {
  const Value* value = Find(arguments, name);
  if (value == nullptr || value->kind_case() != Value::kStringValue) {
    return InvalidArgument("{} is missing, or no string", name);
  }
  return value->string_value();
}

// A misspelt argument would otherwise be passed over in silence.
absl::Status CheckNames(const Struct& arguments, std::initializer_list<std::string_view> known,
                        std::string_view what) {
  for (const auto& [name, value] : arguments.fields()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return InvalidArgument("{} has no {}; known are: {}", what, name, fmt::join(known, ", "));
  }
  return absl::OkStatus();
}

template <typename Floats>
absl::Status AddFloats(const Value* value, std::string_view what, Floats* out) {
  if (value == nullptr || !value->has_list_value()) {
    return InvalidArgument("{} is missing, or no array of numbers", what);
  }
  for (const Value& item : value->list_value().values()) {
    if (item.kind_case() != Value::kNumberValue) {
      return InvalidArgument("{} has something that is no number", what);
    }
    out->Add(static_cast<float>(item.number_value()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ListCollections(Client& client, const Struct& arguments) {
  RETURN_IF_ERROR(CheckNames(arguments, {}, "list_collections"));
  ASSIGN_OR_RETURN(const auto response, client.ListCollections());
  std::string list;
  for (const std::string& name : response.collections()) {
    if (!list.empty()) list.push_back(',');
    rows::AppendJsonString(name, list);
  }
  return fmt::format(R"({{"collections":[{}]}})", list);
}

absl::StatusOr<std::string> DescribeCollection(Client& client, const Struct& arguments) {
  RETURN_IF_ERROR(CheckNames(arguments, {"collection"}, "describe_collection"));
  ASSIGN_OR_RETURN(const std::string name, TextOf(arguments, "collection"));
  ASSIGN_OR_RETURN(const auto response, client.Describe(name));
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  const auto status = google::protobuf::util::MessageToJsonString(response, &json, options);
  if (!status.ok()) return Internal("the answer is no JSON: {}", status.ToString());
  return json;
}

absl::StatusOr<v1::SearchRequest> SearchRequest(Client& client, const Struct& arguments) {
  RETURN_IF_ERROR(
      CheckNames(arguments, {"collection", "vector", "like", "top_k", "filter"}, "search"));
  v1::SearchRequest request;
  ASSIGN_OR_RETURN(*request.mutable_collection(), TextOf(arguments, "collection"));
  if (Find(arguments, "like") != nullptr) {
    ASSIGN_OR_RETURN(const std::string id, TextOf(arguments, "like"));
    ASSIGN_OR_RETURN(const v1::Point point, client.Get(request.collection(), id));
    *request.mutable_vector() = point.vector();
  } else {
    RETURN_IF_ERROR(
        AddFloats(Find(arguments, "vector"), "vector (or like)", request.mutable_vector()));
  }
  request.set_top_k(kDefaultTopK);
  if (const Value* count = Find(arguments, "top_k"); count != nullptr) {
    const double wanted = count->number_value();
    if (!(wanted >= 1 && wanted <= kMaxResults) || std::trunc(wanted) != wanted) {
      return InvalidArgument("top_k must be a whole number from 1 to {}", kMaxResults);
    }
    request.set_top_k(static_cast<uint32_t>(wanted));
  }
  if (const Value* filter = Find(arguments, "filter"); filter != nullptr) {
    if (!filter->has_struct_value()) return InvalidArgument("filter is no object");
    std::string json;
    rows::AppendJson(*filter, json);
    ASSIGN_OR_RETURN(*request.mutable_filter(), ParseFilter(json));
  }
  return request;
}

absl::StatusOr<std::string> Search(Client& client, const Struct& arguments) {
  ASSIGN_OR_RETURN(const auto request, SearchRequest(client, arguments));
  ASSIGN_OR_RETURN(const auto response, client.Search(request));
  std::string results;
  for (const v1::SearchResult& hit : response.results()) {
    results += results.empty() ? "{\"id\":" : ",{\"id\":";
    rows::AppendJsonString(hit.id(), results);
    results += ",\"distance\":";
    rows::AppendJsonNumber(hit.score(), results);
    results += ",\"payload\":";
    rows::AppendPayload(hit.fields(), hit.payload(), results);
    results.push_back('}');
  }
  return fmt::format(R"({{"results":[{}]}})", results);
}

absl::StatusOr<std::string> GetPoint(Client& client, const Struct& arguments) {
  RETURN_IF_ERROR(CheckNames(arguments, {"collection", "id"}, "get_point"));
  ASSIGN_OR_RETURN(const std::string collection, TextOf(arguments, "collection"));
  ASSIGN_OR_RETURN(const std::string id, TextOf(arguments, "id"));
  ASSIGN_OR_RETURN(const v1::Point point, client.Get(collection, id));
  std::string json;
  AppendPointJson(point, json);
  return json;
}

absl::StatusOr<std::string> UpsertPoints(Client& client, const Struct& arguments) {
  RETURN_IF_ERROR(CheckNames(arguments, {"collection", "points"}, "upsert_points"));
  v1::UpsertRequest request;
  ASSIGN_OR_RETURN(*request.mutable_collection(), TextOf(arguments, "collection"));
  const Value* points = Find(arguments, "points");
  if (points == nullptr || !points->has_list_value()) return InvalidArgument("points is no array");
  if (points->list_value().values_size() > kMaxPoints) {
    return InvalidArgument("{} points; at most {} at once", points->list_value().values_size(),
                           kMaxPoints);
  }
  for (const Value& item : points->list_value().values()) {
    if (!item.has_struct_value()) return InvalidArgument("a point is no object");
    RETURN_IF_ERROR(CheckNames(item.struct_value(), {"id", "vector", "payload"}, "a point"));
    v1::Point& point = *request.add_points();
    ASSIGN_OR_RETURN(*point.mutable_id(), TextOf(item.struct_value(), "id"));
    RETURN_IF_ERROR(AddFloats(Find(item.struct_value(), "vector"),
                              fmt::format("vector of point {}", point.id()),
                              point.mutable_vector()));
    const Value* payload = Find(item.struct_value(), "payload");
    if (payload == nullptr) continue;
    if (!payload->has_struct_value()) {
      return InvalidArgument("payload of point {} is no object", point.id());
    }
    *point.mutable_fields() = payload->struct_value();
  }
  ASSIGN_OR_RETURN(const auto response, client.Upsert(request));
  return fmt::format(R"({{"upserted":{}}})", response.upserted());
}

void Write(const std::string& answer) {
  if (answer.empty()) return;
  std::fwrite(answer.data(), 1, answer.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace

std::vector<McpTool> McpTools(Client& client, const McpOptions& options) {
  std::vector<McpTool> tools = {
      {"list_collections", "Names of the collections.", kNoArguments, true,
       [&client](const Struct& arguments) { return ListCollections(client, arguments); }},
      {"describe_collection",
       "Dimension, distance, number of points, indexed payload fields and shards of a collection.",
       kCollectionSchema, true,
       [&client](const Struct& arguments) { return DescribeCollection(client, arguments); }},
      {"search",
       "The points nearest to a vector, or to another point (like), best first, with their "
       "payloads; maybe only those whose payload passes a filter. A lower distance is closer.",
       kSearchSchema, true,
       [&client](const Struct& arguments) { return Search(client, arguments); }},
      {"get_point", "One point with its vector and payload.", kPointSchema, true,
       [&client](const Struct& arguments) { return GetPoint(client, arguments); }}};
  if (!options.read_only) {
    tools.push_back(
        {"upsert_points", "Writes points, replacing those of the same id.", kUpsertSchema, false,
         [&client](const Struct& arguments) { return UpsertPoints(client, arguments); }});
  }
  return tools;
}

int RunMcp(Client& client, const McpOptions& options) {
  McpSession session(McpTools(client, options));
  std::string line;
  bool too_long = false;
  const auto answer = [&] {
    if (too_long) {
      Write(McpParseError(fmt::format("a message of more than {} bytes", kMaxMessageBytes)));
    } else if (!line.empty()) {
      Write(session.Answer(line));
    }
    line.clear();
    too_long = false;
  };
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c == '\n') {
      answer();
      continue;
    }
    too_long = too_long || line.size() >= kMaxMessageBytes;
    if (!too_long) line.push_back(static_cast<char>(c));
  }
  answer();  // the last line may lack its end
  return 0;
}

}  // namespace vectron::ctl
