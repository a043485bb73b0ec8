#include "index/vector_index.h"

#include <utility>

#include "base/check.h"

namespace vectron::index {

std::string_view PlanName(Plan plan) {
  switch (plan) {
    case Plan::kFlat:
      return "flat";
    case Plan::kGraph:
      return "graph";
    case Plan::kGraphFiltered:
      return "graph_filtered";
    case Plan::kGraphTwoHop:
      return "graph_two_hop";
    case Plan::kScanMatches:
      return "scan_matches";
  }
  CHECK(false);
  return "";
}

Snapshot::Snapshot(Snapshot&& other) noexcept
    : index_(std::exchange(other.index_, nullptr)),
      applied_index_(other.applied_index_),
      sequence_(other.sequence_),
      row_count_(other.row_count_),
      reader_(other.reader_) {}

Snapshot::~Snapshot() {
  if (index_ != nullptr) index_->ReleaseReader(reader_);
}

Snapshot VectorIndex::MakeSnapshot(VectorIndex* index, const CheckpointCut& state, size_t reader) {
  Snapshot snapshot;
  snapshot.index_ = index;
  snapshot.applied_index_ = state.applied_index;
  snapshot.sequence_ = state.sequence;
  snapshot.row_count_ = state.row_count;
  snapshot.reader_ = reader;
  return snapshot;
}

}  // namespace vectron::index
