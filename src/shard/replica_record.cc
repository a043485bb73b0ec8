#include "shard/replica_record.h"

#include "base/bytes.h"
#include "base/status.h"
#include "shard/framed.h"

namespace vectron::shard {
namespace {

constexpr uint32_t kMagic = 0x31505256;  // "VRP1"
using Length = uint32_t;                 // as the format has it
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
  return Framed<Length>(kMagic, body);
}

absl::StatusOr<ReplicaRecord> DecodeReplicaRecord(std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, Unframed<Length>(kMagic, bytes));
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
