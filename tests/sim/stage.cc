#include "sim/stage.h"

#include <fmt/format.h>

#include "sim/append_check.h"
#include "sim/node.h"

namespace vectron::sim {

using consensus::PeerMessage;

void Stage::Violation(const std::string& what) {
  if (report_.violation.empty()) report_.violation = fmt::format("at {} ms: {}", now(), what);
}

Node& Stage::AddNode(uint64_t id, uint64_t first_site) {
  nodes_.push_back(std::make_unique<Node>(*this, WorkerId{id}, first_site));
  return *nodes_.back();
}

void Stage::RunUntil(int64_t end_ms) {
  int64_t at = now();
  while (report_.violation.empty()) {
    std::function<void()> run = events_.TakeNext(end_ms, at);
    if (run == nullptr) break;
    clock_.AdvanceMillis(at - now());
    run();
  }
  if (report_.violation.empty()) clock_.AdvanceMillis(end_ms - now());
}

bool Stage::RunUntilTrue(int64_t within_ms, const std::function<bool()>& done) {
  const int64_t end = now() + within_ms;
  while (report_.violation.empty() && now() < end) {
    if (done()) return true;
    RunUntil(now() + 50);
  }
  return false;
}

void Stage::Say(uint64_t from, uint64_t to, std::function<void()> there) {
  if (to == 0 || to > nodes_.size()) return;
  if (faulty_ && OneIn(30)) return;
  int64_t delay = Between(1, 15);
  if (faulty_ && OneIn(50)) delay += Between(50, 2'000);
  After(delay, [this, from, to, there = std::move(there)] {
    if (node(to).alive() && !IsCut(from, to)) there();
  });
}

void Stage::Send(uint64_t from, uint64_t to, PeerMessage message) {
  if (message.type == consensus::kAppendMessage) {
    const std::string fault = AppendFault(message.bytes);
    if (!fault.empty()) Violation(fmt::format("site {} sends a false append: {}", from, fault));
  }
  if (faulty_ && OneIn(40)) Send(from, to, message);
  Say(from, to, [this, from, to, message = std::move(message)]() mutable {
    Trace(Hash64(message.bytes, from * 64 + to) + static_cast<uint64_t>(now()));
    node(to).Receive(std::move(message));
  });
}

void Stage::Cut(uint64_t from, uint64_t to, bool both) {
  cuts_.insert({from, to});
  if (both) cuts_.insert({to, from});
  After(Between(50, 3'000), [this, from, to] {
    cuts_.erase({from, to});
    cuts_.erase({to, from});
  });
}

void Stage::Isolate(const Node& node) {
  for (uint64_t site = 1; site <= nodes_.size(); ++site) {
    if (site != node.site()) Cut(node.site(), site, /*both=*/true);
  }
}

void Stage::CrashForAWhile(Node& node) {
  node.Crash();
  After(Between(10, 2'500), [&node] {
    if (!node.alive()) node.Start();
  });
}

void Stage::FillDiskForAWhile(Node& node) {
  node.host().SetDiskRoom(OneIn(2) ? shard::DiskRoom::kFull : shard::DiskRoom::kNearlyFull);
  node.Later(Between(100, 3'000), [&node] { node.host().SetDiskRoom(shard::DiskRoom::kPlenty); });
}

bool Stage::MakeFault() {
  const uint64_t kind = random_.Below(11);
  Node& victim = *nodes_[random_.Below(nodes_.size())];
  const uint64_t other = 1 + random_.Below(nodes_.size());
  if (kind < 4) {
    if (calm_ || !victim.alive()) return false;
    CrashForAWhile(victim);
  } else if (kind < 7) {
    if (other == victim.site()) return false;
    Cut(victim.site(), other, OneIn(2));
  } else if (kind == 7) {
    Isolate(victim);
  } else if (kind == 8) {
    if (!victim.alive()) return false;
    victim.StallUntil(now() + Between(100, 3'000));
  } else if (kind == 9) {
    if (!victim.alive()) return false;
    FillDiskForAWhile(victim);
  } else {
    return false;
  }
  return true;
}

void Stage::Heal() {
  faulty_ = false;
  cuts_.clear();
  for (const auto& node : nodes_) {
    if (!node->alive()) node->Start();
  }
}

void Stage::CrashAll() {
  for (const auto& node : nodes_) {
    if (node->alive()) node->Crash();
  }
}

}  // namespace vectron::sim
