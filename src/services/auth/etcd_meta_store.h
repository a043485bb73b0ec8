#pragma once

// The Auth service's records in etcd (version 3 API, over gRPC).

#include <memory>
#include <string>
#include <vector>

#include "rpc/tls.h"
#include "services/auth/meta_store.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace vectron::auth {

struct EtcdOptions {
  // "10.0.0.1:2379" each, numeric; one that answers is used. Or a single one with a name
  // ("etcd.example:2379"), which may stand for several addresses.
  std::vector<std::string> endpoints;
  // CA of etcd's certificates, and what is shown to it; no CA: plain. A single endpoint's
  // certificate has to name its address; of several, one that the CA signed will do.
  rpc::TlsFiles tls = {};
  int64_t call_timeout_ms = 2'000;
  // A broken watch begins again after this, doubled each time up to the second value.
  int64_t retry_ms_min = 50;
  int64_t retry_ms_max = 1'000;
};

// Each subscription has a thread that reads its watch. An etcd that is away at the start does not
// matter: subscriptions begin when it comes.
class EtcdMetaStore : public MetaStore {
 public:
  // InvalidArgument: no endpoint.
  static absl::StatusOr<std::unique_ptr<EtcdMetaStore>> Make(EtcdOptions options);
  ~EtcdMetaStore() override;

  absl::StatusOr<std::vector<MetaEntry>> Read(const std::string& prefix) override;
  absl::StatusOr<int64_t> Commit(const MetaTxn& txn) override;
  std::unique_ptr<MetaSubscription> Subscribe(const std::string& prefix,
                                              MetaListener& listener) override;
  bool tells_at_once() const override { return false; }

 private:
  class Subscription;
  struct Snapshot {
    std::vector<MetaEntry> entries;
    int64_t revision = 0;
  };

  explicit EtcdMetaStore(EtcdOptions options);
  absl::StatusOr<Snapshot> ReadAll(const std::string& prefix);
  // A lease that ends after this many seconds; its id.
  absl::StatusOr<int64_t> Grant(int64_t ttl_seconds);

  const EtcdOptions options_;
  std::shared_ptr<grpc::Channel> channel_;  // gRPC's way to hold it
};

}  // namespace vectron::auth
