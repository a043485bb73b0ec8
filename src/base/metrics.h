#pragma once

// Measured numbers of the process, in the text format of Prometheus.
//
// A metric is made once, at start, and then counted without a lock: keep the reference, do not look
// it up per event. Names follow Prometheus: `vectron_<what>_<unit>[_total]`, units are base units
// (seconds, bytes).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vectron {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Goes up only. Thread-safe, one relaxed atomic add.
class Counter {
 public:
  void Increment(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A level. Thread-safe.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Counts of observations by size. Thread-safe; an observation is a short scan of the bounds and two
// atomic adds.
class Histogram {
 public:
  // bounds: upper ends of the buckets, strictly rising, at least one; what is above the last counts
  // as +Inf.
  explicit Histogram(std::vector<double> bounds);

  void Observe(double value);
  uint64_t count() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  const std::vector<double>& bounds() const { return bounds_; }
  // Observations in bucket i, not cumulated; i in [0, bounds().size()], the last one being +Inf.
  uint64_t bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  // The value below which the fraction q in [0, 1] of the observations lies, linear within a
  // bucket; 0 without observations, the last bound when it lies above that.
  double Quantile(double q) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> buckets_;
  std::atomic<double> sum_{0};
};

// Bounds in seconds for latencies: 50 us to 10 s, about 2 per octave at the low end.
std::vector<double> LatencyBounds();
// Bounds in bytes: 64 B to 64 MiB, factor 4.
std::vector<double> SizeBounds();

// A value read when the metrics are asked for.
struct MetricSample {
  std::string name;
  std::string help;
  MetricLabels labels;
  double value = 0;
  bool counter = false;  // false: a gauge
};

// All metrics of one process (or of one server in a test). Thread-safe. Destroy it after all that
// counts into it.
class Metrics {
 public:
  // The process's own: CPU seconds, resident and virtual bytes, open and most files, threads, start
  // time.
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The metric of this name and these labels, made if there is none; it lives as long as the
  // registry. One name has one kind, and label names are fixed per name (CHECK).
  Counter& AddCounter(const std::string& name, const std::string& help, MetricLabels labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help, MetricLabels labels = {});
  Histogram& AddHistogram(const std::string& name, const std::string& help, MetricLabels labels,
                          std::vector<double> bounds);

  // Calls `collect` at every exposition, for values kept elsewhere (per shard, per collection). The
  // source ends with the handle, after which `collect` is not running and never runs again.
  // `collect` must not call into this registry.
  class Source {
   public:
    Source() = default;
    Source(Source&& other) noexcept : metrics_(other.metrics_), id_(other.id_) {
      other.metrics_ = nullptr;
    }
    Source& operator=(Source&& other) noexcept {
      std::swap(metrics_, other.metrics_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Source();

   private:
    friend class Metrics;
    Source(Metrics* metrics, uint64_t id) : metrics_(metrics), id_(id) {}
    Metrics* metrics_ = nullptr;
    uint64_t id_ = 0;
  };
  [[nodiscard]] Source AddSource(std::function<void(std::vector<MetricSample>&)> collect);

  // Everything in the text exposition format 0.0.4, families sorted by name.
  std::string Expose() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of this process, from /proc; zeros where that cannot be read.
struct ProcessUsage {
  double cpu_seconds = 0;  // user and system
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_files = 0;
  uint64_t max_files = 0;
  uint64_t threads = 0;
  double start_unix_seconds = 0;
};
ProcessUsage ReadProcessUsage();

}  // namespace vectron
