#pragma once

// `vectronctl create`, `list`, `describe` and `drop`.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/client.h"

namespace vectron::ctl {

struct CreateOptions {
  v1::CreateCollectionRequest request;
  std::vector<std::string> indexes;  // FIELD:TYPE
  bool json = false;
};
// "section:keyword" into a payload index. InvalidArgument names the types.
absl::StatusOr<v1::PayloadIndex> ParsePayloadIndex(const std::string& text);

// All return the exit code.
int RunCreate(Client& client, const CreateOptions& options);
int RunList(Client& client, bool json);
int RunDescribe(Client& client, const std::string& name, bool json);
struct DropOptions {
  std::string name;
  bool yes = false;  // do not ask
  bool json = false;
};
int RunDrop(Client& client, const DropOptions& options);

}  // namespace vectron::ctl
