#pragma once

// `vectronctl mcp`: lets assistants use a Vectron, over the Model Context Protocol on standard
// input and output.

#include <vector>

#include "apps/vectronctl/client.h"
#include "apps/vectronctl/mcp_session.h"

namespace vectron::ctl {

struct McpOptions {
  bool read_only = false;  // without the tools that write
};

// Tools that call the client, which outlives them: list_collections, describe_collection, search,
// get_point, and upsert_points unless read-only.
std::vector<McpTool> McpTools(Client& client, const McpOptions& options);

// Answers line by line until the input ends. Returns the exit code.
int RunMcp(Client& client, const McpOptions& options);

}  // namespace vectron::ctl
