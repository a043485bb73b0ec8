#include "rpc/audit_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
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
constexpr std::array<std::string_view, 2> kActionsOfWriters = {
    "vectron.v1.VectronService.CreateCollection", "vectron.v1.VectronService.DeleteCollection"};
constexpr std::array<std::string_view, 8> kInternalActions = {
    "vectron.auth.v1.AuthService.SetSubscription",
    "vectron.placementdriver.v1.PlacementService.CreateCollection",
    "vectron.placementdriver.v1.PlacementService.DeleteCollection",
    "vectron.placementdriver.v1.PlacementService.DrainWorker",
    "vectron.placementdriver.v1.PlacementService.Rebalance",
    "vectron.placementdriver.v1.PlacementService.RemoveWorker",
    "vectron.reranker.v1.RerankService.ControlModel",
    "vectron.reranker.v1.RerankService.InvalidateCache",
};
// With which the detail of what an administrator did begins where there is no identity yet: a
// login, the first registration.
constexpr std::string_view kAdminDetail = "role=ROLE_ADMIN";
constexpr std::string_view kAuthService = "vectron.auth.v1.AuthService.";
constexpr std::string_view kUserIdPrefix = "user-";
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

template <size_t N>
bool Has(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What an administrator does with what is not the administrator's own.
bool ActsForAnother(const CallContext& context) {
  return context.identity != nullptr && !context.tenant.empty() &&
         context.tenant != context.identity->user_id;
}

bool IsRefusal(absl::StatusCode code) {
  return code == absl::StatusCode::kUnauthenticated ||
         code == absl::StatusCode::kPermissionDenied ||
         code == absl::StatusCode::kResourceExhausted;
}

size_t JournalOf(AuditKind kind) {
  CHECK(kind != AuditKind::kNone);
  return static_cast<size_t>(kind) - 1;
}

bool IsOfAdministrator(const CallContext& context) {
  if (context.identity != nullptr) return context.identity->role == Role::kAdmin;
  return context.audit_detail.starts_with(kAdminDetail);
}

}  // namespace

bool IsInternalAction(std::string_view rpc) { return Has(kInternalActions, rpc); }

AuditKind AuditKindOf(const CallContext& context, absl::StatusCode code) {
  if (context.rule == nullptr) return AuditKind::kNone;
  const RouteRule& rule = *context.rule;
  bool action = false;
  switch (rule.scope) {
    case options::SCOPE_INTERNAL:
      // Parts of the cluster that are asked for too much say so; that is no refusal of a stranger.
      if (IsRefusal(code) && code != absl::StatusCode::kResourceExhausted)
        return AuditKind::kRefusal;
      return IsInternalAction(rule.name) ? AuditKind::kAction : AuditKind::kNone;
    case options::SCOPE_ADMIN:
      // Figures of the system are nobody's data; a console reads them every few seconds.
      action = rule.changes || rule.name.starts_with(kAuthService);
      break;
    case options::SCOPE_USER:
    case options::SCOPE_PUBLIC:
      action = rule.changes && rule.rate_class != "validate";
      break;
    default:
      action = Has(kActionsOfWriters, rule.name);
  }
  action = action || ActsForAnother(context);
  const bool stranger = context.identity == nullptr && code != absl::StatusCode::kOk;
  if (IsRefusal(code) || (action && stranger)) return AuditKind::kRefusal;
  if (!action) return AuditKind::kNone;
  return IsOfAdministrator(context) ? AuditKind::kAction : AuditKind::kUserAction;
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
  } else if (AuditKindOf(context, code) == AuditKind::kAction &&
             context.rule->scope == options::SCOPE_INTERNAL) {
    AppendText("credential", "cluster", line);
  }
  AppendText("target", context.audit_target, line);
  AppendText("detail", context.audit_detail, line);
  AppendText("client", context.client, line);
  AppendText("protocol", kProtocols[static_cast<size_t>(context.protocol)], line);
  return line + "}";
}

AuditLog::AuditLog(const AuditLogOptions& options, FileSystem& files, const Clock& clock,
                   Metrics& metrics)
    : clock_(clock),
      lines_(metrics.AddCounter("vectron_audit_lines_total", "Lines of the audit log.")),
      dropped_total_(
          metrics.AddCounter("vectron_audit_dropped_total", "Audit events there was no room for.")),
      failures_(metrics.AddCounter("vectron_audit_write_failures_total",
                                   "Failed writes of the audit log.")),
      journals_{Journal(RotatingFile(options.dir + "/audit.log", options.max_file_bytes,
                                     options.max_files, files)),
                Journal(RotatingFile(options.dir + "/users.log", options.max_file_bytes,
                                     options.max_files, files)),
                Journal(RotatingFile(options.dir + "/refused.log", options.max_file_bytes,
                                     options.max_files, files))} {}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(AuditLogOptions options, FileSystem& files,
                                                         const Clock& clock, Metrics& metrics) {
  RETURN_IF_ERROR(files.MakeDirs(options.dir));
  std::unique_ptr<AuditLog> log(new AuditLog(options, files, clock, metrics));
  for (Journal& journal : log->journals_) RETURN_IF_ERROR(journal.file.Open());
  log->writer_ = std::make_unique<ThreadPool>("audit", 1);
  return log;
}

AuditLog::~AuditLog() {
  if (writer_ == nullptr) return;
  AddMore(clock_.MonotonicMillis(), /*all=*/true);
  writer_.reset();  // runs what is scheduled
  for (Journal& journal : journals_) {
    const absl::Status synced = journal.file.Sync();
    if (!synced.ok()) LogError("audit log: {}", MessageOf(synced));
  }
}

void AuditLog::Add(AuditKind kind, std::string line) {
  const absl::MutexLock lock(&mutex_);
  Journal& journal = journals_[JournalOf(kind)];
  if (journal.queued_lines >= kMaxQueuedLines) {
    ++journal.dropped;
    dropped_total_.Increment();
    return;
  }
  journal.queued += line;
  journal.queued += '\n';
  ++journal.queued_lines;
  if (scheduled_) return;
  scheduled_ = true;
  writer_->Schedule([this] { WriteQueued(); });
}

void AuditLog::AddMore(int64_t now_ms, bool all) {
  const auto add = [this](AuditKind kind, std::string_view what, const RefusalLimit::More& of) {
    std::string line =
        fmt::format("{{\"time\":\"{}\",\"{}\":{}", Timestamp(clock_.UnixMillis()), what, of.count);
    AppendText(of.address.starts_with(kUserIdPrefix) ? "user" : "client", of.address, line);
    Add(kind, line + "}");
  };
  for (const RefusalLimit::More& of : refusals_.TakeEnded(now_ms, all))
    add(AuditKind::kRefusal, "more_refused", of);
  for (const RefusalLimit::More& of : user_actions_.TakeEnded(now_ms, all))
    add(AuditKind::kUserAction, "more_done", of);
}

bool AuditLog::Admit(AuditKind kind, const CallContext& context, int64_t now_ms) {
  switch (kind) {
    case AuditKind::kRefusal:
      return refusals_.Admit(context.client, now_ms);
    case AuditKind::kUserAction:
      return user_actions_.Admit(
          context.identity == nullptr ? context.client : context.identity->user_id, now_ms);
    default:
      return true;
  }
}

void AuditLog::WriteQueued() {
  {
    const absl::MutexLock lock(&mutex_);
    scheduled_ = false;
  }
  for (size_t i = 0; i < journals_.size(); ++i) Write(i);
}

void AuditLog::Write(size_t number) {
  Journal& journal = journals_[number];
  std::string bytes;
  size_t lines = 0;
  uint64_t dropped = 0;
  {
    const absl::MutexLock lock(&mutex_);
    bytes.swap(journal.queued);
    lines = std::exchange(journal.queued_lines, 0);
    dropped = std::exchange(journal.dropped, 0);
  }
  if (dropped != 0) {
    bytes += fmt::format("{{\"time\":\"{}\",\"dropped\":{}}}\n", Timestamp(clock_.UnixMillis()),
                         dropped);
  }
  if (bytes.empty()) return;
  const absl::Status status = journal.file.Append(bytes);
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

void AuditLog::Observe(const CallContext& context, absl::StatusCode code) {
  const AuditKind kind = AuditKindOf(context, code);
  if (kind == AuditKind::kNone) return;
  const int64_t now_ms = clock_.MonotonicMillis();
  AddMore(now_ms);
  if (!Admit(kind, context, now_ms)) return;
  Add(kind, AuditLine(context, code, clock_.UnixMillis()));
}

CallObserver AuditLog::AsObserver() {
  return [this](CallContext& context, absl::StatusCode code) { Observe(context, code); };
}

}  // namespace vectron::rpc
