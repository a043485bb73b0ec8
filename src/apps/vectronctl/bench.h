#pragma once

// `vectronctl bench`: recall, rate and latency of searches in a collection.

#include <cstdint>
#include <string>

#include "apps/vectronctl/client.h"

namespace vectron::ctl {

struct BenchOptions {
  std::string collection;
  std::string queries;  // a file of vectors
  std::string truth;    // .ivecs or .u32; "" for no recall
  std::string grpc_address;
  std::string http_address;
  std::string credential;  // "": none is shown
  std::string protocol = "grpc";
  std::string filter;
  uint32_t clients = 8;
  double seconds = 10;
  uint32_t k = 10;
  uint32_t ef = 0;
  bool exact = false;
  std::string consistency;  // STRONG, BOUNDED or EVENTUAL; "": the collection's
  uint64_t limit = 10'000;  // queries taken from the file
  std::string id_prefix;    // as given to import
  uint64_t pid = 0;         // of the server on this machine: its CPU per query and memory too
  bool json = false;
};
// `client`: of the gRPC address. Returns the exit code: 1 when a request failed.
int RunBench(Client& client, const BenchOptions& options);

}  // namespace vectron::ctl
