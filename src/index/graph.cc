#include "index/graph.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::index {
namespace {

uint32_t UpperStride(uint32_t m) { return (m * 4 + 63) / 64 * 64; }

}  // namespace

Graph::Graph(const IndexOptions& options, const Kernels& kernels)
    : m_(options.m),
      ef_construct_(options.ef_construct),
      kernels_(kernels),
      upper_(UpperStride(options.m)),
      upper_free_(kMaxLevel + 1) {}

uint32_t Graph::LevelOf(uint64_t ordinal) const {
  // Level l with probability m^-l: that of floor(-ln(uniform) / ln(m)), in whole numbers.
  const uint64_t draw = Mix64(ordinal);
  uint64_t threshold = ~uint64_t{0} / m_;
  uint32_t level = 0;
  while (draw < threshold && level < kMaxLevel) {
    level += 1;
    threshold /= m_;
  }
  return level;
}

Graph::Links Graph::LinksOf(RowTable& table, uint32_t slot, uint32_t level) {
  char* record = table.Record(slot);
  RecordTail& tail = table.layout.Tail(record);
  if (level == 0) {
    return {table.layout.Links(record), tail.link_count.load(std::memory_order_acquire)};
  }
  CHECK_LE(level, uint32_t{tail.level});
  Links links{reinterpret_cast<Link*>(UpperBlock(tail.upper, level)), 0};
  while (links.count < m_ && links.links[links.count].load(std::memory_order_relaxed) != kNoSlot) {
    links.count += 1;
  }
  return links;
}

Graph::ConstLinks Graph::LinksOf(const RowTable& table, uint32_t slot, uint32_t level) const {
  const char* record = table.Record(slot);
  const RecordTail& tail = table.layout.Tail(record);
  if (level == 0) {
    return {table.layout.Links(record), tail.link_count.load(std::memory_order_acquire)};
  }
  // A stale link of a row that has since been unlinked may lead here.
  if (level > tail.level) return {};
  ConstLinks links{reinterpret_cast<const Link*>(UpperBlock(tail.upper, level)), 0};
  while (links.count < m_ && links.links[links.count].load(std::memory_order_relaxed) != kNoSlot) {
    links.count += 1;
  }
  return links;
}

void Graph::StoreLinks(RowTable& table, uint32_t slot, uint32_t level,
                       std::span<const Candidate> links) {
  CHECK_LE(links.size(), size_t{MaxLinks(level)});
  const Links old = LinksOf(table, slot, level);
  for (size_t i = 0; i < links.size(); ++i) {
    old.links[i].store(links[i].slot, std::memory_order_release);
  }
  if (level == 0) {
    table.Tail(slot).link_count.store(static_cast<uint16_t>(links.size()),
                                      std::memory_order_release);
  } else {
    for (size_t i = links.size(); i < old.count; ++i) {
      old.links[i].store(kNoSlot, std::memory_order_relaxed);
    }
  }
}

void Graph::AppendLinks(RowTable& table, uint32_t slot, uint32_t level,
                        std::span<const Candidate> links) {
  const Links old = LinksOf(table, slot, level);
  CHECK_LE(old.count + links.size(), size_t{MaxLinks(level)});
  for (size_t i = 0; i < links.size(); ++i) {
    old.links[old.count + i].store(links[i].slot, std::memory_order_release);
  }
  if (level == 0) {
    table.Tail(slot).link_count.store(static_cast<uint16_t>(old.count + links.size()),
                                      std::memory_order_release);
  }
}

bool Graph::HasLink(const RowTable& table, uint32_t slot, uint32_t level, uint32_t to) const {
  const ConstLinks links = LinksOf(table, slot, level);
  for (uint32_t i = 0; i < links.count; ++i) {
    if (links.links[i].load(std::memory_order_relaxed) == to) return true;
  }
  return false;
}

absl::Status Graph::Reserve(uint64_t rows) {
  // One row in m has upper levels, m / (m - 1) of them on average; allow for chance.
  const uint64_t blocks = rows / (m_ - 1) + rows / (8 * uint64_t{m_}) + 256;
  return upper_.Reserve(blocks);
}

uint32_t Graph::TakeUpper(uint32_t level) {
  if (level == 0) return kNoSlot;
  uint32_t first = 0;
  if (!upper_free_[level].empty()) {
    first = upper_free_[level].back();
    upper_free_[level].pop_back();
  } else {
    first = static_cast<uint32_t>(upper_end_);
    upper_end_ += level;
    CHECK_LE(upper_end_, upper_.reserved_rows());
  }
  for (uint32_t l = 1; l <= level; ++l) {
    Link* links = reinterpret_cast<Link*>(UpperBlock(first, l));
    for (uint32_t i = 0; i < m_; ++i) links[i].store(kNoSlot, std::memory_order_relaxed);
  }
  return first;
}

void Graph::ReleaseUpper(RowTable& table, uint32_t slot) {
  RecordTail& tail = table.Tail(slot);
  if (tail.level == 0) return;
  upper_free_[tail.level].push_back(tail.upper);
  tail.level = 0;
  tail.upper = kNoSlot;
}

Graph::Saved Graph::Save() const {
  Saved saved;
  saved.entry = entry_.load(std::memory_order_relaxed);
  saved.upper_end = upper_end_;
  for (const std::vector<uint32_t>& firsts : upper_free_) {
    saved.upper_free.push_back(static_cast<uint32_t>(firsts.size()));
    saved.upper_free.insert(saved.upper_free.end(), firsts.begin(), firsts.end());
  }
  return saved;
}

absl::Status Graph::Load(const Saved& saved) {
  size_t at = 0;
  for (std::vector<uint32_t>& firsts : upper_free_) {
    if (at >= saved.upper_free.size() || saved.upper_free[at] > saved.upper_free.size() - at - 1) {
      return DataLoss("free upper blocks cut short at {}", at);
    }
    const auto begin = saved.upper_free.begin() + static_cast<ptrdiff_t>(at) + 1;
    firsts.assign(begin, begin + saved.upper_free[at]);
    at += 1 + firsts.size();
  }
  upper_end_ = saved.upper_end;
  entry_.store(saved.entry, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace vectron::index
