#include "shard/replica_record.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

constexpr uint32_t kMagic = 0x31505256;  // "VRP1"
constexpr uint32_t kVersion = 1;
constexpr char kFileName[] = "/replica";

}  // namespace

std::string EncodeReplicaRecord(const ReplicaRecord& record) {
  std::string body;
  PutFixed(body, static_cast<uint8_t>(record.state));
  PutFixed(body, static_cast<uint8_t>(record.log_kept ? 1 : 0));
  PutFixed(body, record.replica.value);
  PutFixed(body, record.term);
  PutFixed(body, record.vote);
  PutFixed(body, record.last_index);
  PutFixed(body, record.snapshot_index);
  std::string out;
  PutFixed(out, kMagic);
  PutFixed(out, kVersion);
  PutFixed(out, static_cast<uint32_t>(body.size()));
  PutFixed(out, Crc32c(body));
  return out + body;
}

absl::StatusOr<ReplicaRecord> DecodeReplicaRecord(std::string_view bytes) {
  ByteReader head(bytes);
  uint32_t magic = 0;
  uint32_t version = 0;
  uint32_t size = 0;
  uint32_t crc = 0;
  if (!head.ReadFixed(magic) || !head.ReadFixed(version) || !head.ReadFixed(size) ||
      !head.ReadFixed(crc)) {
    return DataLoss("{} bytes, too short for a head", bytes.size());
  }
  if (magic != kMagic) return DataLoss("magic is {:#x}", magic);
  if (version > kVersion)
    return FailedPrecondition("format version {}, newest known {}", version, kVersion);
  if (version == 0 || head.remaining() != size) {
    return DataLoss("{} bytes of content, head says {}", head.remaining(), size);
  }
  const std::string_view body = bytes.substr(bytes.size() - size);
  if (Crc32c(body) != crc) return DataLoss("checksum mismatch");
  ByteReader reader(body);
  ReplicaRecord record;
  uint8_t state = 0;
  uint8_t log_kept = 0;
  const bool ok = reader.ReadFixed(state) && reader.ReadFixed(log_kept) &&
                  reader.ReadFixed(record.replica.value) && reader.ReadFixed(record.term) &&
                  reader.ReadFixed(record.vote) && reader.ReadFixed(record.last_index) &&
                  reader.ReadFixed(record.snapshot_index);
  if (!ok || reader.remaining() != 0 || state < 1 || state > 3 || log_kept > 1) {
    return DataLoss("contents cannot be decoded");
  }
  record.state = static_cast<ReplicaState>(state);
  record.log_kept = log_kept != 0;
  return record;
}

absl::StatusOr<std::optional<ReplicaRecord>> ReadReplicaRecord(FileSystem& files,
                                                               const std::string& dir) {
  const std::string path = dir + kFileName;
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return std::optional<ReplicaRecord>();
  ASSIGN_OR_RETURN(const std::string bytes, files.ReadAll(path));
  const absl::StatusOr<ReplicaRecord> record = DecodeReplicaRecord(bytes);
  if (!record.ok()) return Annotate(record.status(), path);
  return std::optional<ReplicaRecord>(*record);
}

absl::Status WriteReplicaRecord(FileSystem& files, const std::string& dir,
                                const ReplicaRecord& record) {
  return files.WriteAtomically(dir + kFileName, EncodeReplicaRecord(record));
}

}  // namespace vectron::shard
