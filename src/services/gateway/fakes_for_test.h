#pragma once

// Twins of placement and worker for the gateway's tests: everything in memory, searches by plain
// scan, failures on demand.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/payload.h"
#include "rpc/placement_api.h"
#include "rpc/worker_api.h"

namespace vectron::gateway {

class FakePlacement : public rpc::PlacementApi {
 public:
  std::vector<WorkerId> replicas = {WorkerId{1}};  // of shards to be made; the first leads

  void CreateCollection(CollectionSchema schema, std::string owner,
                        std::function<void(absl::Status)> done) override {
    if (FindCollection(owner, schema.name) != nullptr) return done(AlreadyExists("taken"));
    auto record = std::make_shared<rpc::CollectionRecord>();
    record->owner = owner;
    record->created_unix_ms = ++created_;
    for (uint32_t i = 0; i < schema.shard_count; ++i) {
      record->shards.push_back({.group = GroupId{next_group_++},
                                .ordinal = ShardOrdinal{i},
                                .epoch = 1,
                                .replicas = replicas,
                                .leader = WorkerId{1},
                                .ready = true});
    }
    const std::string name = schema.name;
    record->schema = std::move(schema);
    records_[{std::move(owner), name}] = std::move(record);
    done(absl::OkStatus());
  }
  void Put(const std::shared_ptr<const rpc::CollectionRecord>& record) {
    records_[{record->owner, record->schema.name}] = record;
  }
  void DeleteCollection(std::string owner, std::string name,
                        std::function<void(absl::Status)> done) override {
    done(records_.erase({owner, name}) == 1 ? absl::OkStatus() : NotFound("none"));
  }
  std::shared_ptr<const rpc::CollectionRecord> FindCollection(const std::string& owner,
                                                              const std::string& name) override {
    const auto found = records_.find({owner, name});
    return found == records_.end() ? nullptr : found->second;
  }
  std::vector<std::shared_ptr<const rpc::CollectionRecord>> ListCollections(
      const std::string& owner) override {
    std::vector<std::shared_ptr<const rpc::CollectionRecord>> records;
    for (const auto& [key, record] : records_) {
      if (key.first == owner) records.push_back(record);
    }
    return records;
  }
  std::vector<std::shared_ptr<const rpc::CollectionRecord>> AllCollections() override {
    std::vector<std::shared_ptr<const rpc::CollectionRecord>> records;
    for (const auto& [key, record] : records_) records.push_back(record);
    return records;
  }

 private:
  uint64_t next_group_ = 1;
  int64_t created_ = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const rpc::CollectionRecord>>
      records_;
};

// Answers at once, but for groups that are silent (never) or failing.
class FakeWorker : public rpc::WorkerApi {
 public:
  std::set<GroupId> silent;
  std::map<GroupId, absl::Status> failing;
  std::vector<std::string> request_ids;  // of upserts, as they came
  std::vector<GroupId> searched;
  std::vector<SearchQuery> queries;  // as they came
  int called_off = 0;                // searches with silent shards

  void Upsert(rpc::ShardUpsert request, int64_t,
              std::function<void(absl::StatusOr<rpc::WriteAck>)> done) override {
    if (const absl::Status* error = Failure(request.target.group)) return done(*error);
    request_ids.push_back(request.request_id);
    Shard& shard = shards_[request.target.group];
    if (request.insert_only) {
      for (const std::string& id : request.points.ids) {
        if (shard.points.contains(id)) return done(AlreadyExists("point '{}' exists", id));
      }
    }
    ++shard.version;
    for (size_t i = 0; i < request.points.size(); ++i) {
      const std::span<const float> vector = request.points.vector(i);
      shard.points[request.points.ids[i]] = {.id = request.points.ids[i],
                                             .vector = {vector.begin(), vector.end()},
                                             .payload = request.points.payloads[i],
                                             .version = shard.version};
    }
    done(rpc::WriteAck{.version = shard.version});
  }
  void Delete(rpc::ShardDelete request, int64_t,
              std::function<void(absl::StatusOr<rpc::WriteAck>)> done) override {
    if (const absl::Status* error = Failure(request.target.group)) return done(*error);
    Shard& shard = shards_[request.target.group];
    shard.points.erase(request.id);
    done(rpc::WriteAck{.version = ++shard.version});
  }
  void Get(rpc::ShardGet request, int64_t,
           std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override {
    if (const absl::Status* error = Failure(request.target.group)) return done(*error);
    const Shard& shard = shards_[request.target.group];
    const auto found = shard.points.find(request.id);
    if (found == shard.points.end()) return done(std::optional<PointRecord>());
    done(std::optional<PointRecord>(found->second));
  }
  void Search(rpc::ShardsSearch request, int64_t,
              std::function<void(rpc::ShardAnswer)> each) override {
    queries.push_back(request.query);
    for (const rpc::ShardTarget& target : request.targets) {
      searched.push_back(target.group);
      if (silent.contains(target.group)) {
        if (request.cancellation != nullptr) {
          request.cancellation->SetHook([this] { ++called_off; });
        }
        late_.push_back([this, each, target, query = request.query] {
          each({.group = target.group, .answer = SearchShard(target.group, query)});
        });
      } else if (const absl::Status* error = Failure(target.group)) {
        each({.group = target.group, .answer = *error});
      } else {
        each({.group = target.group, .answer = SearchShard(target.group, request.query)});
      }
    }
  }
  void Scan(rpc::ShardScan request, int64_t,
            std::function<void(absl::StatusOr<rpc::ScanPage>)> done) override {
    if (const absl::Status* error = Failure(request.target.group)) return done(*error);
    const Shard& shard = shards_[request.target.group];
    rpc::ScanPage page{.points = {}, .scanned_to = request.after_id, .end = false};
    auto it = shard.points.upper_bound(request.after_id);
    for (; it != shard.points.end() && page.points.size() < request.limit; ++it) {
      page.scanned_to = it->first;
      if (request.filter == nullptr ||
          Matches(*request.filter, it->first, *ParsePayload(it->second.payload))) {
        page.points.push_back(it->second);
      }
    }
    page.end = it == shard.points.end();
    done(std::move(page));
  }
  void Describe(std::vector<GroupId> groups, int64_t,
                std::function<void(absl::StatusOr<std::vector<rpc::ShardInfo>>)> done) override {
    std::vector<rpc::ShardInfo> infos;
    for (const GroupId group : groups) {
      infos.push_back({.group = group,
                       .points = shards_[group].points.size(),
                       .ready = Failure(group) == nullptr});
    }
    done(std::move(infos));
  }
  // The silent shards speak up.
  void AnswerLate() {
    for (const auto& answer : std::exchange(late_, {})) answer();
  }

 private:
  struct Shard {
    uint64_t version = 0;
    std::map<std::string, PointRecord> points;
  };

  const absl::Status* Failure(GroupId group) const {
    const auto found = failing.find(group);
    return found == failing.end() ? nullptr : &found->second;
  }
  SearchAnswer SearchShard(GroupId group, const SearchQuery& query) {
    SearchAnswer answer;
    for (const auto& [id, point] : shards_[group].points) {
      float distance = 0;
      for (size_t i = 0; i < query.vector.size(); ++i) {
        distance += (query.vector[i] - point.vector[i]) * (query.vector[i] - point.vector[i]);
      }
      if (query.score_threshold.has_value() && distance > *query.score_threshold) continue;
      if (query.filter != nullptr && !Matches(*query.filter, id, *ParsePayload(point.payload))) {
        continue;
      }
      SearchHit& hit = answer.hits.emplace_back();
      hit.id = id;
      hit.score = distance;
      hit.version = point.version;
      SetPayload(hit, point.payload, query);
    }
    std::sort(answer.hits.begin(), answer.hits.end(), [](const SearchHit& a, const SearchHit& b) {
      return std::tie(a.score, a.id) < std::tie(b.score, b.id);
    });
    if (answer.hits.size() > query.k) answer.hits.resize(query.k);
    return answer;
  }

  std::map<GroupId, Shard> shards_;
  std::vector<std::function<void()>> late_;
};

}  // namespace vectron::gateway
