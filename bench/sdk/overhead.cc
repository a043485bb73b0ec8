// What the C++ client costs per search, against the generated messages and a bare channel.
// Arguments: HOST:PORT of gRPC.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vectron/client.h"
#include "vectron/vectron.grpc.pb.h"

namespace {

constexpr int kWarmUp = 200;
constexpr int kRounds = 2'000;
constexpr size_t kPoints = 2'000;
using Clock = std::chrono::steady_clock;
using Hits = std::vector<std::pair<std::string, float>>;

Hits Raw(vectron::v1::VectronService::Stub& stub, const std::string& name,
         std::span<const float> vector) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  vectron::v1::SearchRequest request;
  request.set_collection(name);
  request.mutable_vector()->Add(vector.begin(), vector.end());
  request.set_top_k(10);
  vectron::v1::SearchResponse response;
  Hits hits;
  if (!stub.Search(&context, request, &response).ok()) return hits;
  for (const auto& result : response.results()) hits.emplace_back(result.id(), result.score());
  return hits;
}

Hits Ours(vectron::Client& client, const std::string& name, std::span<const float> vector) {
  Hits hits;
  for (auto& result : client.Search(name, vector).results) {
    hits.emplace_back(std::move(result.id), result.score);
  }
  return hits;
}

double MedianUs(std::vector<Clock::duration>& times) {
  std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
  return std::chrono::duration<double, std::micro>(times[kRounds / 2]).count();
}

bool Measure(vectron::Client& client, vectron::v1::VectronService::Stub& stub, size_t dimension) {
  const std::string name = "overhead-" + std::to_string(dimension);
  std::vector<float> vectors(kPoints * dimension);
  uint32_t state = 7;  // Numerical Recipes' generator: any vectors will do
  for (float& component : vectors) {
    state = state * 1664525U + 1013904223U;
    component = static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
  }
  std::vector<std::string> ids;
  for (size_t i = 0; i < kPoints; ++i) ids.push_back(std::to_string(i));
  client.CreateCollection(name, static_cast<uint32_t>(dimension));
  client.UpsertBatch(name, {ids, vectors, {}});

  std::array<std::vector<Clock::duration>, 2> times;
  for (int round = 0; round < kWarmUp + kRounds; ++round) {
    const std::span<const float> vector = std::span<const float>(vectors).subspan(
        static_cast<size_t>(round) % kPoints * dimension, dimension);
    std::array<Hits, 2> found;
    for (int turn = 0; turn < 2; ++turn) {
      const auto which = static_cast<size_t>((turn + round) % 2);
      const auto start = Clock::now();
      found[which] = which == 0 ? Raw(stub, name, vector) : Ours(client, name, vector);
      if (round >= kWarmUp) times[which].push_back(Clock::now() - start);
    }
    if (found[0] != found[1] || found[0].empty()) return false;
  }
  const double raw = MedianUs(times[0]);
  const double ours = MedianUs(times[1]);
  std::printf("cpp %zu: raw %.0f us, client %.0f us, ratio %.3f\n", dimension, raw, ours,
              ours / raw);
  client.DeleteCollection(name);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  vectron::Client client(argv[1]);
  const auto stub = vectron::v1::VectronService::NewStub(
      grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  for (const size_t dimension : {size_t{128}, size_t{768}}) {
    if (!Measure(client, *stub, dimension)) return 1;
  }
  return 0;
}
