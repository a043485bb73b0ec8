#include "base/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <variant>

#include "absl/synchronization/mutex.h"
#include "base/check.h"

namespace vectron {
namespace {

// Fields of /proc/self/stat after the command, which is in parentheses and may hold spaces.
// proc(5).
std::vector<std::string> ReadStat() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> fields;
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return fields;
  std::istringstream rest(text.substr(end + 1));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

double BootUnixSeconds() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double value = 0;
    if (word == "btime" && file >> value) return value;
  }
  return 0;
}

uint64_t CountOpenFiles() {
  std::error_code error;
  uint64_t count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // one is the listing itself
}

MetricSample ProcessSample(const char* name, const char* help, double value, bool counter = false) {
  return {name, help, {}, value, counter};
}

void CollectProcess(std::vector<MetricSample>& out) {
  const ProcessUsage usage = ReadProcessUsage();
  out.push_back(ProcessSample("process_cpu_seconds_total", "User and system CPU time.",
                              usage.cpu_seconds, true));
  out.push_back(ProcessSample("process_resident_memory_bytes", "Resident memory.",
                              static_cast<double>(usage.resident_bytes)));
  out.push_back(ProcessSample("process_virtual_memory_bytes", "Virtual memory.",
                              static_cast<double>(usage.virtual_bytes)));
  out.push_back(ProcessSample("process_open_fds", "Open file descriptors.",
                              static_cast<double>(usage.open_files)));
  out.push_back(ProcessSample("process_max_fds", "Most file descriptors allowed.",
                              static_cast<double>(usage.max_files)));
  out.push_back(ProcessSample("process_threads", "Threads.", static_cast<double>(usage.threads)));
  out.push_back(ProcessSample("process_start_time_seconds", "Start of the process, Unix time.",
                              usage.start_unix_seconds));
}

std::vector<prometheus::ClientMetric::Label> ToLabels(const MetricLabels& labels) {
  std::vector<prometheus::ClientMetric::Label> out;
  for (const auto& [name, value] : labels) {
    prometheus::ClientMetric::Label label;
    label.name = name;
    label.value = value;
    out.push_back(std::move(label));
  }
  return out;
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size() + 1) {
  CHECK(!bounds_.empty());
  CHECK(std::adjacent_find(bounds_.begin(), bounds_.end(), std::greater_equal<>()) ==
        bounds_.end());
}

void Histogram::Observe(double value) {
  size_t i = 0;
  while (i < bounds_.size() && value > bounds_[i]) ++i;
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  return total;
}

double Histogram::Quantile(double q) const {
  const uint64_t total = count();
  if (total == 0) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    const auto here = static_cast<double>(bucket(i));
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? 0 : bounds_[i - 1];
      return low + (bounds_[i] - low) * std::max(0.0, rank - below) / here;
    }
    below += here;
  }
  return bounds_.back();
}

std::vector<double> LatencyBounds() {
  return {50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 500e-6, 750e-6, 1e-3, 2e-3, 3e-3,
          5e-3,  10e-3, 20e-3,  50e-3,  100e-3, 200e-3, 500e-3, 1.0,    2.0,  5.0,  10.0};
}

std::vector<double> SizeBounds() {
  std::vector<double> bounds;
  for (double bytes = 64; bytes <= 64.0 * 1024 * 1024; bytes *= 4) bounds.push_back(bytes);
  return bounds;
}

struct Metrics::State {
  using Metric =
      std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;
  struct Family {
    std::string help;
    std::map<MetricLabels, Metric> metrics;
  };
  template <typename T, typename... Args>
  T& Add(const std::string& name, const std::string& help, MetricLabels labels, Args&&... args);

  mutable absl::Mutex mutex;
  std::map<std::string, Family> families ABSL_GUARDED_BY(mutex);
  // Held while sources run, so that ending one waits for it. Taken before `mutex`, never the other
  // way round.
  mutable absl::Mutex sources_mutex;
  std::map<uint64_t, std::function<void(std::vector<MetricSample>&)>> sources
      ABSL_GUARDED_BY(sources_mutex);
  uint64_t next_source ABSL_GUARDED_BY(sources_mutex) = 1;
};

template <typename T, typename... Args>
T& Metrics::State::Add(const std::string& name, const std::string& help, MetricLabels labels,
                       Args&&... args) {
  const absl::MutexLock lock(&mutex);
  Family& family = families[name];
  if (family.help.empty()) family.help = help;
  if (!family.metrics.empty()) {
    const MetricLabels& others = family.metrics.begin()->first;
    CHECK_EQ(labels.size(), others.size());
    for (size_t i = 0; i < labels.size(); ++i) CHECK_EQ(labels[i].first, others[i].first);
    CHECK(std::holds_alternative<std::unique_ptr<T>>(family.metrics.begin()->second));
  }
  auto [it, inserted] = family.metrics.try_emplace(std::move(labels));
  if (inserted) it->second = std::make_unique<T>(std::forward<Args>(args)...);
  return *std::get<std::unique_ptr<T>>(it->second);
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(const std::string& name, const std::string& help,
                             MetricLabels labels) {
  return state_->Add<Counter>(name, help, std::move(labels));
}
Gauge& Metrics::AddGauge(const std::string& name, const std::string& help, MetricLabels labels) {
  return state_->Add<Gauge>(name, help, std::move(labels));
}
Histogram& Metrics::AddHistogram(const std::string& name, const std::string& help,
                                 MetricLabels labels, std::vector<double> bounds) {
  return state_->Add<Histogram>(name, help, std::move(labels), std::move(bounds));
}

Metrics::Source Metrics::AddSource(std::function<void(std::vector<MetricSample>&)> collect) {
  const absl::MutexLock lock(&state_->sources_mutex);
  const uint64_t id = state_->next_source++;
  state_->sources.emplace(id, std::move(collect));
  return Source(this, id);
}

Metrics::Source::~Source() {
  if (metrics_ == nullptr) return;
  const absl::MutexLock lock(&metrics_->state_->sources_mutex);
  metrics_->state_->sources.erase(id_);
}

namespace {

void AppendTo(prometheus::MetricFamily& family, const MetricLabels& labels,
              const Counter& counter) {
  family.type = prometheus::MetricType::Counter;
  auto& metric = family.metric.emplace_back();
  metric.label = ToLabels(labels);
  metric.counter.value = static_cast<double>(counter.value());
}

void AppendTo(prometheus::MetricFamily& family, const MetricLabels& labels, const Gauge& gauge) {
  family.type = prometheus::MetricType::Gauge;
  auto& metric = family.metric.emplace_back();
  metric.label = ToLabels(labels);
  metric.gauge.value = gauge.value();
}

void AppendTo(prometheus::MetricFamily& family, const MetricLabels& labels,
              const Histogram& histogram) {
  family.type = prometheus::MetricType::Histogram;
  auto& metric = family.metric.emplace_back();
  metric.label = ToLabels(labels);
  uint64_t cumulated = 0;
  for (size_t i = 0; i <= histogram.bounds().size(); ++i) {
    cumulated += histogram.bucket(i);
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = cumulated;
    bucket.upper_bound = i < histogram.bounds().size() ? histogram.bounds()[i]
                                                       : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = cumulated;
  metric.histogram.sample_sum = histogram.sum();
}

}  // namespace

std::string Metrics::Expose() const {
  std::vector<MetricSample> samples;
  CollectProcess(samples);
  {
    const absl::MutexLock lock(&state_->sources_mutex);
    for (const auto& [id, collect] : state_->sources) collect(samples);
  }
  std::map<std::string, prometheus::MetricFamily> families;
  const auto family_of = [&families](const std::string& name, const std::string& help) -> auto& {
    auto& family = families[name];
    family.name = name;
    if (family.help.empty()) family.help = help;
    return family;
  };
  for (const MetricSample& sample : samples) {
    auto& family = family_of(sample.name, sample.help);
    family.type = sample.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    auto& metric = family.metric.emplace_back();
    metric.label = ToLabels(sample.labels);
    (sample.counter ? metric.counter.value : metric.gauge.value) = sample.value;
  }
  {
    const absl::MutexLock lock(&state_->mutex);
    for (const auto& [name, family] : state_->families) {
      auto& target = family_of(name, family.help);
      for (const auto& [labels, metric] : family.metrics) {
        std::visit([&, &key = labels](const auto& pointer) { AppendTo(target, key, *pointer); },
                   metric);
      }
    }
  }
  std::vector<prometheus::MetricFamily> all;
  for (auto& [name, family] : families) all.push_back(std::move(family));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, all);
  return std::move(out).str();
}

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  rusage self{};
  if (getrusage(RUSAGE_SELF, &self) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    usage.cpu_seconds = seconds(self.ru_utime) + seconds(self.ru_stime);
  }
  const std::vector<std::string> stat = ReadStat();
  if (stat.size() > 21) {  // counted from field 3: 20 num_threads, 22 starttime, 23 vsize, 24 rss
    const auto field = [&stat](size_t number) {
      return std::strtoull(stat[number - 3].c_str(), nullptr, 10);
    };
    usage.threads = field(20);
    usage.virtual_bytes = field(23);
    usage.resident_bytes = field(24) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    usage.start_unix_seconds = BootUnixSeconds() + static_cast<double>(field(22)) /
                                                       static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  usage.open_files = CountOpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_files = limit.rlim_cur;
  return usage;
}

}  // namespace vectron
