#pragma once

// `vectronctl search`, `get`, `delete` and `export`.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/client.h"

namespace vectron::ctl {

struct SearchOptions {
  std::string collection;
  std::string vector;       // "0.1,0.2,…" or "[0.1, 0.2]"
  std::string vector_file;  // such a text; "-" is standard input
  std::string id;           // search from this point's vector, without the point itself
  std::string filter;       // JSON, or @FILE
  uint32_t k = 10;
  uint32_t offset = 0;
  uint32_t ef = 0;
  std::optional<float> max_distance;
  bool exact = false;
  std::string consistency;  // STRONG, BOUNDED or EVENTUAL; "": the collection's
  bool explain = false;
  bool with_vectors = false;
  bool json = false;
};
// All return the exit code.
int RunSearch(Client& client, const SearchOptions& options);

struct PointsOptions {
  std::string collection;
  std::vector<std::string> ids;
  bool json = false;
};
int RunGet(Client& client, const PointsOptions& options);
int RunDelete(Client& client, const PointsOptions& options);

struct ExportOptions {
  std::string collection;
  std::string output;  // "-" is standard output; ".gz" packs
  std::string filter;
  bool without_vectors = false;
  uint32_t page = 1'000;
};
int RunExport(Client& client, const ExportOptions& options);

// Numbers between commas or blanks, maybe in brackets. InvalidArgument names the position.
absl::StatusOr<std::vector<float>> ParseVector(std::string_view text);
// The JSON of a filter, or what is in a file when the text begins with '@'.
absl::StatusOr<std::string> FilterText(const std::string& text);
// Such a filter. InvalidArgument: what and where.
absl::StatusOr<v1::Filter> ParseFilter(const std::string& text);
// {"id":…,"vector":[…],"payload":{…}}; the vector only when there is one.
void AppendPointJson(const v1::Point& point, std::string& out);

}  // namespace vectron::ctl
