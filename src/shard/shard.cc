#include "shard/shard.h"

#include <utility>

#include "base/check.h"
#include "index/vector_index.h"
#include "shard/shard_impl.h"
#include "storage/layout.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {
namespace {

index::IndexOptions IndexOptionsOf(const CollectionSchema& schema) {
  return {.dimension = schema.dimension,
          .metric = schema.metric,
          .storage = schema.storage,
          .vectors_in_memory = schema.vectors_in_memory,
          .m = schema.hnsw.m,
          .ef_construct = schema.hnsw.ef_construct};
}

}  // namespace

ShardParts DefaultParts(const ShardOptions& options, const ShardDeps& deps) {
  ShardParts parts;
  parts.open_store = [resources = deps.resources](const std::string& dir) {
    storage::RocksOptions store;
    store.dir = dir;
    store.columns = storage::ShardStoreColumns();
    store.write_ahead_log = storage::WriteAheadLog::kOff;
    return storage::OpenRocksKv(store, *resources);
  };
  const index::IndexOptions index = IndexOptionsOf(options.schema);
  parts.create_index = [index, files = deps.files](const std::string& work_dir) {
    return index::VectorIndex::Create(index, *files, work_dir);
  };
  parts.open_index = [index, files = deps.files](const std::string& checkpoint_dir,
                                                 const std::string& work_dir) {
    return index::VectorIndex::Open(index, *files, checkpoint_dir, work_dir);
  };
  return parts;
}

absl::StatusOr<std::unique_ptr<Shard>> Shard::Open(const ShardOptions& options,
                                                   const ShardDeps& deps,
                                                   const Shard::Attach& attach) {
  CHECK(deps.resources != nullptr);
  return OpenShard(options, deps, DefaultParts(options, deps), attach);
}

}  // namespace vectron::shard
