#include "bench/index/machine.h"

#include <malloc.h>
#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/check.h"

namespace vectron::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  CHECK_EQ(::clock_gettime(clock, &now), 0);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The text after "key" and a colon in a file of such lines; "" when there is none.
std::string ValueOf(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

uint64_t KibOf(const std::string& text, const std::string& key) {
  return std::strtoull(ValueOf(text, key).c_str(), nullptr, 10) * 1024;
}

std::string Commit() {
  std::FILE* const pipe = ::popen("git describe --always --dirty --abbrev=12 2>/dev/null", "r");
  if (pipe == nullptr) return "";
  char line[64] = {};
  const char* const got = std::fgets(line, sizeof line, pipe);
  ::pclose(pipe);
  std::string commit = got == nullptr ? "" : line;
  while (!commit.empty() && commit.back() == '\n') commit.pop_back();
  return commit;
}

}  // namespace

double ThreadCpuSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }
double WallSeconds() { return Seconds(CLOCK_MONOTONIC); }

void PinToProcessor(int processor) {
  if (processor < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(processor), &set);
  CHECK_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

uint64_t AnonymousBytes() {
  ::malloc_trim(0);
  return KibOf(ReadFile("/proc/self/smaps_rollup"), "Anonymous");
}

std::string RunInChild(const std::function<std::string()>& body) {
  int ends[2];
  CHECK_EQ(::pipe(ends), 0);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  CHECK_GE(child, 0);
  if (child == 0) {
    ::close(ends[0]);
    const std::string text = body();
    size_t at = 0;
    while (at < text.size()) {
      const ssize_t put = ::write(ends[1], text.data() + at, text.size() - at);
      if (put <= 0) break;
      at += static_cast<size_t>(put);
    }
    _exit(at == text.size() ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? text : "";
}

void DescribeMachine(JsonWriter& json) {
  utsname kernel{};
  ::uname(&kernel);
  const std::string cpu = ReadFile("/proc/cpuinfo");
  double load[3] = {};
  ::getloadavg(load, 3);
  json.Field("processor", ValueOf(cpu, "model name"));
  json.Count("processors", std::thread::hardware_concurrency());
  const std::string flags = ValueOf(cpu, "flags");
  json.Key("avx512_vnni");
  json.Bool(flags.find("avx512_vnni") != std::string::npos);
  json.Field("kernel", std::string_view(kernel.release));
  json.Key("load_average");
  json.BeginArray();
  for (const double value : load) json.Number(value);
  json.EndArray();
  json.Field("commit", Commit());
}

}  // namespace vectron::bench
