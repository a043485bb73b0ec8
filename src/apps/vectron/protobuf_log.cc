#include "apps/vectron/protobuf_log.h"

#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_throttle.h"

namespace vectron {
namespace {

constexpr int64_t kEveryNanos = 10'000'000'000;

// A handler is a plain function, so what it needs outlives everything.
void Handle(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
            const std::string& message) {
  static LogThrottle throttle(kEveryNanos);
  if (level == google::protobuf::LOGLEVEL_FATAL) {  // the library ends the process
    LogError("protobuf: {}", message);
    return;
  }
  if (level == google::protobuf::LOGLEVEL_INFO)
    return Log(LogLevel::kDebug, "protobuf: {}", message);
  const auto left_out = throttle.Pass(SystemClock().MonotonicNanos());
  if (!left_out.has_value()) return;
  LogWarning("protobuf: {}{}", message,
             *left_out > 0 ? fmt::format(" ({} more such lines were left out)", *left_out) : "");
}

}  // namespace

void TakeProtobufLog() { google::protobuf::SetLogHandler(Handle); }

}  // namespace vectron
