#pragma once

// `vectronctl import`: points of a file into a collection.

#include <cstdint>
#include <string>

#include "apps/vectronctl/client.h"
#include "vectron/vectron.pb.h"

namespace vectron::ctl {

struct ImportOptions {
  std::string collection;
  std::string input;    // "-" for JSON Lines on standard input
  std::string payload;  // "" for none
  std::string id_prefix;
  std::string resume;                    // state file; "" for beside the input
  bool create = false;                   // make the collection when there is none
  v1::CreateCollectionRequest creation;  // its options; dimension 0: that of the first row
  uint32_t batch_points = 500;
  uint32_t in_flight = 4;
  uint64_t max_errors = 1'000;  // bad rows before giving up
  uint64_t limit = 0;           // rows; 0 for all
  bool wait_indexed = false;
  bool json = false;
};

// Returns the exit code: 0 when every row was written.
int RunImport(Client& client, const ImportOptions& options);

// Waits until the graph holds all points but for what is short of one batch of its builder per
// shard.
absl::Status WaitUntilIndexed(Client& client, const std::string& collection, bool show);

}  // namespace vectron::ctl
