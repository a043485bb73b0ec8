#include "rpc/audit_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/json_text.h"
#include "rpc/route_rule.h"

namespace vectron::rpc {
namespace {

constexpr std::array<std::string_view, 3> kProtocols = {"in_process", "http", "grpc"};
constexpr std::array<std::string_view, 3> kKinds = {"login", "sdk", "api_key"};
// RPCs that change what there is, beside those of the Auth service.
constexpr std::array<std::string_view, 2> kAuditedWrites = {
    "vectron.v1.VectronService.CreateCollection", "vectron.v1.VectronService.DeleteCollection"};
constexpr size_t kMaxTextBytes = 256;  // of one value; what callers choose must not fill the file

std::string Timestamp(int64_t unix_millis) {
  const auto seconds = static_cast<std::time_t>(unix_millis / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), unix_millis % 1000);
}

void AppendText(std::string_view name, std::string_view value, std::string& line) {
  if (value.empty()) return;
  line += fmt::format(",\"{}\":", name);
  AppendJsonString(value.substr(0, kMaxTextBytes), line);
}

}  // namespace

bool IsAudited(const CallContext& context, absl::StatusCode code) {
  if (context.rule == nullptr) return false;
  if (code == absl::StatusCode::kUnauthenticated || code == absl::StatusCode::kPermissionDenied ||
      code == absl::StatusCode::kResourceExhausted) {
    return true;
  }
  switch (context.rule->scope) {
    case options::SCOPE_ADMIN:
    case options::SCOPE_USER:
    case options::SCOPE_PUBLIC:
      return context.rule->changes;
    default:
      return std::find(kAuditedWrites.begin(), kAuditedWrites.end(), context.rule->name) !=
             kAuditedWrites.end();
  }
}

std::string AuditLine(const CallContext& context, absl::StatusCode code, int64_t unix_millis) {
  std::string line = fmt::format("{{\"time\":\"{}\"", Timestamp(unix_millis));
  AppendText("what", context.rule->name, line);
  AppendText("code", CodeName(code), line);
  if (const Identity* who = context.identity.get()) {
    AppendText("user", who->user_id, line);
    AppendText("credential", kKinds[static_cast<size_t>(who->kind)], line);
    AppendText("key", who->key_prefix, line);
    if (context.tenant != who->user_id) AppendText("tenant", context.tenant, line);
  }
  AppendText("target", context.audit_target, line);
  AppendText("client", context.client, line);
  AppendText("protocol", kProtocols[static_cast<size_t>(context.protocol)], line);
  return line + "}";
}

AuditLog::AuditLog(AuditLogOptions options, FileSystem& files, const Clock& clock, Metrics& metrics)
    : options_(std::move(options)),
      files_(files),
      clock_(clock),
      lines_(metrics.AddCounter("vectron_audit_lines_total", "Lines of the audit log.")),
      dropped_total_(
          metrics.AddCounter("vectron_audit_dropped_total", "Audit events there was no room for.")),
      failures_(metrics.AddCounter("vectron_audit_write_failures_total",
                                   "Failed writes of the audit log.")) {
  CHECK_GT(options_.max_files, 0u);
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(AuditLogOptions options, FileSystem& files,
                                                         const Clock& clock, Metrics& metrics) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options), files, clock, metrics));
  RETURN_IF_ERROR(files.MakeDirs(log->options_.dir));
  RETURN_IF_ERROR(log->OpenFile());
  log->writer_ = std::make_unique<ThreadPool>("audit", 1);
  return log;
}

AuditLog::~AuditLog() {
  writer_.reset();  // runs what is scheduled
  if (file_ == nullptr) return;
  const absl::Status synced = file_->Sync();
  if (!synced.ok()) LogError("audit log: {}", MessageOf(synced));
}

std::string AuditLog::PathOf(size_t number) const {
  return number == 0 ? options_.dir + "/audit.log"
                     : fmt::format("{}/audit.log.{}", options_.dir, number);
}

absl::Status AuditLog::OpenFile() {
  ASSIGN_OR_RETURN(const bool exists, files_.Exists(PathOf(0)));
  ASSIGN_OR_RETURN(file_,
                   files_.Open(PathOf(0), exists ? OpenMode::kReadWrite : OpenMode::kCreate));
  std::error_code ignored;  // a file system without permissions has nothing to protect
  std::filesystem::permissions(
      PathOf(0), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
  ASSIGN_OR_RETURN(size_bytes_, file_->Size());
  return absl::OkStatus();
}

absl::Status AuditLog::Rotate() {
  RETURN_IF_ERROR(file_->Sync());
  file_ = nullptr;
  RETURN_IF_ERROR(files_.Remove(PathOf(options_.max_files - 1)));
  for (size_t number = options_.max_files - 1; number > 0; --number) {
    ASSIGN_OR_RETURN(const bool exists, files_.Exists(PathOf(number - 1)));
    if (exists) RETURN_IF_ERROR(files_.Rename(PathOf(number - 1), PathOf(number)));
  }
  return OpenFile();
}

absl::Status AuditLog::Append(std::string_view bytes) {
  if (file_ == nullptr) RETURN_IF_ERROR(OpenFile());
  if (size_bytes_ > 0 && size_bytes_ + bytes.size() > options_.max_file_bytes) {
    RETURN_IF_ERROR(Rotate());
  }
  RETURN_IF_ERROR(file_->Write(size_bytes_, bytes));
  size_bytes_ += bytes.size();
  return absl::OkStatus();
}

void AuditLog::Add(std::string line) {
  const absl::MutexLock lock(&mutex_);
  if (queued_lines_ >= kMaxQueuedLines) {
    ++dropped_;
    dropped_total_.Increment();
    return;
  }
  queued_ += line;
  queued_ += '\n';
  ++queued_lines_;
  if (scheduled_) return;
  scheduled_ = true;
  writer_->Schedule([this] { WriteQueued(); });
}

void AuditLog::WriteQueued() {
  std::string bytes;
  size_t lines = 0;
  uint64_t dropped = 0;
  {
    const absl::MutexLock lock(&mutex_);
    bytes.swap(queued_);
    lines = std::exchange(queued_lines_, 0);
    dropped = std::exchange(dropped_, 0);
    scheduled_ = false;
  }
  if (dropped != 0) {
    bytes += fmt::format("{{\"time\":\"{}\",\"dropped\":{}}}\n", Timestamp(clock_.UnixMillis()),
                         dropped);
  }
  const absl::Status status = Append(bytes);
  if (status.ok()) {
    lines_.Increment(lines);
  } else {  // the calls have ended; the counter and the log are who can still be told
    failures_.Increment();
    LogError("audit log: {} lines are lost: {}", lines, MessageOf(status));
  }
}

void AuditLog::Flush() {
  absl::Notification done;
  writer_->Schedule([&done] { done.Notify(); });
  done.WaitForNotification();
}

CallObserver AuditLog::AsObserver() {
  return [this](CallContext& context, absl::StatusCode code) {
    if (IsAudited(context, code)) Add(AuditLine(context, code, clock_.UnixMillis()));
  };
}

}  // namespace vectron::rpc
