#include "services/gateway/gateway.h"

#include "base/random.h"
#include "base/status.h"
#include "model/search.h"
#include "rpc/error_table.h"

namespace vectron::gateway {
namespace {

// When to try again after a refusal for load: the tail drains at build speed, so a moment is
// enough.
constexpr int64_t kRetryAfterMillis = 200;

}  // namespace

Gateway::Gateway(const GatewayDeps& deps)
    : deps_(deps),
      router_({.placement = deps.placement,
               .worker_of = deps.worker_of,
               .clock = deps.clock,
               .timer = deps.timer,
               .patience_ms = deps.patience_ms,
               .seed = deps.seed,
               .hedge = deps.hedge}) {}

absl::StatusOr<RecordPtr> Gateway::Find(const std::string& tenant, const std::string& name) const {
  RecordPtr record = deps_.placement->FindCollection(tenant, name);
  if (record == nullptr) return NotFound("collection '{}' does not exist", name);
  return record;
}

absl::Status Gateway::ShardError(const rpc::CollectionRecord& record, ShardOrdinal ordinal,
                                 const absl::Status& error) const {
  if (absl::IsFailedPrecondition(error)) {
    const RecordPtr now = deps_.placement->FindCollection(record.owner, record.schema.name);
    if (now == nullptr) return NotFound("collection '{}' was deleted", record.schema.name);
    if (now->shards[0].group != record.shards[0].group) {
      // What was asked of the old one may not suit the new one: the caller begins again.
      return rpc::WithRetryAfter(
          Unavailable("collection '{}' was made anew meanwhile", record.schema.name),
          kRetryAfterMillis);
    }
  }
  absl::Status result = Annotate(
      error, record.schema.shard_count == 1
                 ? fmt::format("collection '{}'", record.schema.name)
                 : fmt::format("collection '{}', shard {}", record.schema.name, ordinal.value));
  if (IsAnswerTooLarge(error)) return result;  // and would be again
  if (absl::IsResourceExhausted(result) || absl::IsUnavailable(result)) {
    result = rpc::WithRetryAfter(std::move(result),
                                 rpc::RetryAfterMillis(error).value_or(kRetryAfterMillis));
  }
  return result;
}

std::string Gateway::RequestIdFor(std::string wanted) {
  if (!wanted.empty() || deps_.patience_ms == 0) return wanted;
  return NextQueryId();
}

std::string Gateway::NextQueryId() {
  const uint64_t number = next_query_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t high = Mix64(deps_.seed ^ Mix64(number));
  const uint64_t low = Mix64(high + number);
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xfff, 0x8000 | (low >> 50), low & 0xffff'ffff'ffff);
}

}  // namespace vectron::gateway
