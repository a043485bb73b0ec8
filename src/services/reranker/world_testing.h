#pragma once

// A simulated collection whose users click: queries, candidates with text and fields, latent
// relevance, and the loop serve - explore - click - learn - promote - roll back. Seeded.

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "services/reranker/learner.h"

namespace vectron::reranker::testing_world {

inline constexpr size_t kCandidates = 50;
inline constexpr size_t kTrainQueries = 300;
inline constexpr size_t kQueries = 420;  // the others are held out

// What makes a result relevant.
enum class Taste {
  kMain,    // distance, text, quality, categories, hidden appeal
  kFlip,    // the same with quality and categories turned round
  kMild,    // the rule is nearly right
  kVector,  // the distance alone
  kNull,    // the rule is optimal
};

struct Options {
  Taste taste = Taste::kMain;
  double trust = 0;      // how much better the top places look than they are
  double noise = 0.1;    // clicks on what is irrelevant
  bool shallow = false;  // a position bias weaker than the prior curve
  double spam = 0;       // share of events by one user who always clicks the last three
  double junk = 0;       // share of events that name unknown ids
  double graded = 0;     // share of events that grade the first five instead
  size_t flip_at = 0;    // event after which the taste flips; 0: never
};

struct Query {
  std::vector<std::string> ids;  // kCandidates, nearest first
  std::vector<FeatureRow> rows;
  std::vector<float> quality;
  std::vector<float> appeal;
  std::vector<uint8_t> category;
};

struct World {
  uint64_t seed = 0;
  std::vector<Query> queries;
};
World MakeWorld(uint64_t seed);

// Grades 0-4, queries x candidates.
using Grades = std::vector<std::vector<uint8_t>>;
Grades GradesOf(const World& world, Taste taste);

// One collection from its first event on.
class Loop {
 public:
  Loop(const World& world, const Options& options);

  void Run(size_t events);
  // NDCG@10 over the held-out queries (Jarvelin & Kekalainen 2002), without exploration.
  double RuleNdcg() const;
  double ModelNdcg() const;
  // Of whichever serves now.
  double ServedNdcg() const;
  const Learner& learner() const { return learner_; }

 private:
  const Grades& grades() const;
  std::vector<FeatureRow> Served(size_t query) const;
  Impression Serve(const std::vector<FeatureRow>& rows, const Query& query,
                   std::vector<size_t>& places);
  LearnEvent Click(Impression impression, const std::vector<uint8_t>& shown_grades);
  template <typename Score>
  double Ndcg(Score score) const;

  const World& world_;
  const Options options_;
  Grades grades_;
  Grades flipped_;
  Random random_;
  Learner learner_;
  size_t events_ = 0;
};

}  // namespace vectron::reranker::testing_world
