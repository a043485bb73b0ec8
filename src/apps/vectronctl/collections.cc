#include "apps/vectronctl/collections.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <iostream>

#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/terminal.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

struct TypeName {
  std::string_view name;
  v1::PayloadType type;
};
constexpr TypeName kTypeNames[] = {{"keyword", v1::KEYWORD},
                                   {"integer", v1::INTEGER},
                                   {"float", v1::FLOAT},
                                   {"bool", v1::BOOL},
                                   {"datetime", v1::DATETIME}};

std::string NameOf(v1::PayloadType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return std::string(entry.name);
  }
  return "?";
}

// "1,000, all indexed". Where the server keeps no graph there is nothing to index, and all points
// count as indexed.
std::string PointsText(const v1::GetCollectionStatusResponse& status) {
  const uint64_t waiting =
      status.point_count() - std::min(status.point_count(), status.indexed_count());
  return fmt::format("{}, {} indexed", WithCommas(status.point_count()),
                     waiting == 0 ? "all" : WithCommas(waiting) + " of them not yet");
}

// A message as the HTTP interface writes it.
int PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return Fail(Internal("{}", status.ToString()));
  fmt::print("{}\n", text);
  return 0;
}

void PrintOptions(const v1::GetCollectionStatusResponse& status) {
  const v1::CreateCollectionRequest& options = status.options();
  const std::string ef = options.hnsw().ef_search() > 0 ? std::to_string(options.hnsw().ef_search())
                                                        : std::string("max(64, 3 k)");
  fmt::print("  vectors    {} components, {} distance, {} {}\n", status.dimension(),
             status.distance(), options.storage() == v1::VECTOR_STORAGE_F16 ? "f16" : "f32",
             options.vectors_in_memory() ? "in memory" : "on disk");
  fmt::print("  graph      M {}, ef_construct {}, ef_search {}\n", options.hnsw().m(),
             options.hnsw().ef_construct(), ef);
  std::string indexes;
  for (const auto& index : options.payload_indexes()) {
    indexes +=
        fmt::format("{}{} ({})", indexes.empty() ? "" : ", ", index.field(), NameOf(index.type()));
  }
  fmt::print("  indexes    {}\n", indexes.empty() ? "none" : indexes);
}

}  // namespace

absl::StatusOr<v1::PayloadIndex> ParsePayloadIndex(const std::string& text) {
  const size_t colon = text.rfind(':');
  v1::PayloadIndex index;
  if (colon != std::string::npos && colon > 0) {
    std::string type = text.substr(colon + 1);  // KEYWORD as well, which the API says
    std::transform(type.begin(), type.end(), type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    index.set_field(text.substr(0, colon));
    for (const TypeName& entry : kTypeNames) {
      if (type == entry.name) index.set_type(entry.type);
    }
  }
  if (index.type() == v1::PAYLOAD_TYPE_UNSPECIFIED) {
    return InvalidArgument(
        "--index {}: wanted FIELD:TYPE with type keyword, integer, float, bool or datetime", text);
  }
  return index;
}

int RunCreate(Client& client, const CreateOptions& options) {
  v1::CreateCollectionRequest request = options.request;
  for (const std::string& text : options.indexes) {
    auto index = ParsePayloadIndex(text);
    if (!index.ok()) return FailUsage(MessageOf(index.status()));
    *request.add_payload_indexes() = std::move(*index);
  }
  if (const auto status = client.CreateCollection(request); !status.ok()) return Fail(status);
  if (options.json) return RunDescribe(client, request.name(), true);
  fmt::print("collection '{}' created\n", request.name());
  return 0;
}

int RunList(Client& client, bool json) {
  const auto names = client.ListCollections();
  if (!names.ok()) return Fail(names.status());
  if (json) return PrintJson(*names);
  if (names->collections_size() == 0) {
    fmt::print("there is no collection yet; make one with: vectronctl create NAME --dim N\n");
    return 0;
  }
  Table table(
      {"collection", ">points", ">indexed", ">dimension", "distance", ">shards", ">on disk"});
  for (const std::string& name : names->collections()) {
    const auto status = client.Describe(name);
    if (status.status().code() == absl::StatusCode::kNotFound) continue;  // dropped meanwhile
    if (!status.ok()) return Fail(status.status());
    table.AddRow({name, WithCommas(status->point_count()), WithCommas(status->indexed_count()),
                  std::to_string(status->dimension()), status->distance(),
                  std::to_string(status->shards_size()), HumanBytes(status->size_bytes())});
  }
  fmt::print("{}", table.Render(TerminalColumns()));
  return 0;
}

int RunDescribe(Client& client, const std::string& name, bool json) {
  const auto status = client.Describe(name);
  if (!status.ok()) return Fail(status.status());
  if (json) return PrintJson(*status);
  fmt::print("{}\n  points     {}\n  on disk    {}\n", status->name(), PointsText(*status),
             HumanBytes(status->size_bytes()));
  PrintOptions(*status);
  Table table({">  shard", ">leader", "replicas", "ready"});
  for (const auto& shard : status->shards()) {
    std::string replicas;
    for (const uint64_t replica : shard.replicas()) {
      replicas += fmt::format("{}{}", replicas.empty() ? "" : ", ", replica);
    }
    table.AddRow({std::to_string(shard.shard_id()), std::to_string(shard.leader_id()), replicas,
                  shard.ready() ? "yes" : "no"});
  }
  fmt::print("{}", table.Render(TerminalColumns()));
  return 0;
}

int RunDrop(Client& client, const DropOptions& options) {
  if (!options.yes) {
    if (::isatty(STDIN_FILENO) == 0) return FailUsage("drop needs --yes when nobody can be asked");
    const auto status = client.Describe(options.name);
    if (!status.ok()) return Fail(status.status());
    fmt::print("Delete collection '{}' and its {} points? Type its name to go on: ", options.name,
               WithCommas(status->point_count()));
    std::fflush(stdout);
    std::string typed;
    std::getline(std::cin, typed);
    if (typed != options.name) {
      fmt::print("nothing was deleted\n");
      return 1;
    }
  }
  if (const auto status = client.DeleteCollection(options.name); !status.ok()) return Fail(status);
  fmt::print("{}", options.json ? "{\"success\":true}\n"
                                : fmt::format("collection '{}' deleted\n", options.name));
  return 0;
}

}  // namespace vectron::ctl
