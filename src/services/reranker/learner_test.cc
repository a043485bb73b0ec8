#include "services/reranker/learner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "services/reranker/explore.h"
#include "services/reranker/features.h"

namespace vectron::reranker {
namespace {

Impression RandomImpression(Random& random) {
  Impression impression;
  impression.explored = random.OneIn(2);
  impression.parity = static_cast<uint8_t>(random.Below(2));
  impression.interleaved = !impression.explored && random.OneIn(4);
  for (uint64_t n = 2 + random.Below(9); n > 0; --n) {
    ShownResult shown{
        .id = "d" + std::to_string(random.Below(50)) + "-" + std::to_string(n),
        .row = {},
        .team = static_cast<int8_t>(impression.interleaved ? (random.OneIn(2) ? 1 : -1) : 0)};
    for (float& x : shown.row.x) x = static_cast<float>(random.Uniform());
    for (uint64_t k = random.Below(4); k > 0; --k) {
      shown.row.keys.push_back(static_cast<uint16_t>(1 + random.Below(256)));
    }
    impression.shown.push_back(std::move(shown));
    if (impression.shown.size() == kShown) break;
  }
  return impression;
}

LearnEvent RandomEvent(Random& random) {
  LearnEvent event{.impression = RandomImpression(random),
                   .items = {},
                   .end_user = "u" + std::to_string(random.Below(300)),
                   .unix_ms = 1'000};
  for (const ShownResult& shown : event.impression.shown) {
    if (random.OneIn(4)) {
      const bool graded = random.OneIn(5);
      event.items.push_back({.id = shown.id,
                             .clicked = !graded,
                             .grade = graded ? static_cast<uint32_t>(1 + random.Below(5)) : 0});
    }
  }
  return event;
}

std::string Bytes(const Learner& learner) {
  std::string bytes;
  learner.Encode(bytes);
  return bytes;
}

TEST(Impression, SurvivesItsBytesAndRefusesOthers) {
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    const Impression impression = RandomImpression(random);
    const std::string bytes = EncodeImpression(impression);
    const absl::StatusOr<Impression> again = DecodeImpression(bytes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(EncodeImpression(*again), bytes);
    EXPECT_FALSE(DecodeImpression(bytes.substr(0, bytes.size() - 1)).ok());
    EXPECT_FALSE(DecodeImpression(bytes + "x").ok());
    std::string damaged = bytes;
    damaged[random.Below(damaged.size())] ^= static_cast<char>(1 + random.Below(255));
    if (const auto read = DecodeImpression(damaged); read.ok()) {
      for (const ShownResult& shown : read->shown) {
        for (const float x : shown.row.x) EXPECT_TRUE(std::isfinite(x));
      }
    }
  }
}

TEST(Learner, StartsAsTheRule) {
  const Learner learner{LearnedConfig()};
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    FeatureRow row;
    for (float& x : row.x) x = static_cast<float>(random.Uniform());
    EXPECT_DOUBLE_EQ(learner.Score(row), ClickModel::RuleScore(row));
  }
}

TEST(Learner, IsTheSameAfterTheSameEvents) {
  const uint64_t seed = 11;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Learner a{LearnedConfig()};
  Learner b{LearnedConfig()};
  Random random_a(seed);
  Random random_b(seed);
  for (int i = 0; i < 2'500; ++i) a.Apply(RandomEvent(random_a));
  for (int i = 0; i < 2'500; ++i) b.Apply(RandomEvent(random_b));
  EXPECT_EQ(Bytes(a), Bytes(b));
}

TEST(Learner, GoesOnFromItsBytesAsIfItHadNeverStopped) {
  const uint64_t seed = 12;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Learner whole{LearnedConfig()};
  Random random(seed);
  for (int i = 0; i < 2'200; ++i) whole.Apply(RandomEvent(random));
  absl::StatusOr<Learner> restored = Learner::Decode(Bytes(whole), LearnedConfig());
  ASSERT_TRUE(restored.ok()) << restored.status();
  Random random_again = random;
  for (int i = 0; i < 300; ++i) whole.Apply(RandomEvent(random));
  for (int i = 0; i < 300; ++i) restored->Apply(RandomEvent(random_again));
  EXPECT_EQ(Bytes(whole), Bytes(*restored));
}

TEST(Learner, RefusesDamagedBytes) {
  Learner learner{LearnedConfig()};
  Random random(13);
  for (int i = 0; i < 50; ++i) learner.Apply(RandomEvent(random));
  const std::string bytes = Bytes(learner);
  for (size_t cut = 0; cut < bytes.size(); cut += 101) {
    EXPECT_FALSE(Learner::Decode(bytes.substr(0, cut), LearnedConfig()).ok());
  }
}

TEST(Learner, StaysFiniteUnderExtremeFeatures) {
  Learner learner{LearnedConfig()};
  Random random(14);
  for (int i = 0; i < 3'000; ++i) {
    LearnEvent event = RandomEvent(random);
    for (ShownResult& shown : event.impression.shown) {
      for (float& x : shown.row.x) x = random.OneIn(2) ? kMaxFeature : -kMaxFeature;
    }
    learner.Apply(event);
  }
  FeatureRow row;
  row.x.fill(kMaxFeature);
  EXPECT_TRUE(std::isfinite(learner.Score(row)));
  EXPECT_TRUE(std::isfinite(ProbabilityOf(learner.Score(row))));
}

TEST(Learner, IgnoresWhatWasNotShown) {
  Learner learner{LearnedConfig()};
  Random random(15);
  LearnEvent event = RandomEvent(random);
  event.items = {{.id = "never shown", .clicked = true}};
  const std::string before = Bytes(learner);
  EXPECT_FALSE(learner.Apply(event));
  EXPECT_EQ(Bytes(learner), before);
}

// Clicks alone cannot tell two equal results apart from their places: swapped lists cancel out.
TEST(Learner, DoesNotTakePositionForMerit) {
  Learner learner{LearnedConfig()};
  Random random(16);
  for (int i = 0; i < 2'000; ++i) {
    LearnEvent event;
    for (uint16_t p = 0; p < 4; ++p) {  // key 1 is always first, 2 second and so on
      ShownResult shown;
      shown.id = "d" + std::to_string(p);
      shown.row.keys.push_back(static_cast<uint16_t>(p + 1));
      event.impression.shown.push_back(shown);
    }
    event.end_user = "u" + std::to_string(i);
    while (event.items.empty()) {
      for (size_t p = 0; p < 4; ++p) {
        if (random.Uniform() < 0.5 * PriorBias(p)) {
          event.items.push_back({.id = "d" + std::to_string(p), .clicked = true});
        }
      }
    }
    learner.Apply(event);
  }
  FeatureRow first;
  first.keys = {1};
  FeatureRow last;
  last.keys = {4};
  EXPECT_NEAR(learner.Score(first), learner.Score(last), 0.15);
}

TEST(Learner, CapsWhatOneUserCanChange) {
  LearnEvent event;
  for (int p = 0; p < 2; ++p) {
    ShownResult shown;
    shown.id = "d" + std::to_string(p);
    shown.row.keys.push_back(static_cast<uint16_t>(p + 1));
    event.impression.shown.push_back(shown);
  }
  event.items = {{.id = "d1", .clicked = true}};
  FeatureRow clicked;
  clicked.keys = {2};
  Learner one{LearnedConfig()};
  event.end_user = "same";
  for (int i = 0; i < 500; ++i) one.Apply(event);
  Learner many{LearnedConfig()};
  for (int i = 0; i < 500; ++i) {
    event.end_user = "u" + std::to_string(i);
    many.Apply(event);
  }
  EXPECT_LT(one.Score(clicked), 0.5 * many.Score(clicked));
}

TEST(Gate, HoldsAfterTwoFallsWithinAWeek) {
  Gate gate(true);
  uint64_t number = 0;
  const auto feed = [&](EventEvidence evidence, int count) {
    for (int i = 0; i < count; ++i) {
      evidence.event = ++number;
      evidence.unix_ms = 1'000 + static_cast<int64_t>(number);
      evidence.epoch = gate.epoch();
      gate.Observe(evidence);
    }
  };
  for (int fall = 0; fall < 2; ++fall) {
    feed({.has_fit = true}, 300);  // rest
    feed({.pairs_disagree = true, .pair_clicks = 1}, 150);
    EXPECT_EQ(gate.state(), GateState::kCanary);
    feed({.live = 1}, 150);
    EXPECT_EQ(gate.state(), GateState::kLearned);
    feed({.has_fit = true, .fit = -1}, 100);
    EXPECT_EQ(gate.state(), GateState::kRule);
  }
  EXPECT_TRUE(gate.held());
  feed({.pairs_disagree = true, .pair_clicks = 1}, 1'000);
  EXPECT_EQ(gate.state(), GateState::kRule);
  gate.Resume();
  feed({.pairs_disagree = true, .pair_clicks = 1}, 50);
  EXPECT_EQ(gate.state(), GateState::kCanary);
}

TEST(Gate, TakesNoEvidenceFromListsOfAnotherState) {
  Gate gate(true);
  gate.Promote();
  for (uint64_t number = 1; number <= 500; ++number) {
    gate.Observe(
        {.event = number, .pairs_disagree = true, .pair_clicks = -1, .live = -1, .epoch = 0});
  }
  EXPECT_EQ(gate.state(), GateState::kLearned);
}

TEST(Explore, FlipsNeighboursOnly) {
  Random random(17);
  for (int i = 0; i < 500; ++i) {
    std::vector<size_t> order(15);
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    const uint8_t parity = FlipPairs(random, order);
    for (size_t p = 0; p < order.size(); ++p) {
      if (p >= kShown || p < parity) {
        EXPECT_EQ(order[p], p);
      } else {
        const size_t pair = (p - parity) / 2 * 2 + parity;
        EXPECT_TRUE(order[p] == pair || order[p] == pair + 1);
      }
    }
  }
}

TEST(Explore, InterleavingShowsEachResultOnceAndSharesThePicks) {
  Random random(18);
  int balance = 0;
  for (int i = 0; i < 500; ++i) {
    std::vector<size_t> rule(20);
    for (size_t k = 0; k < rule.size(); ++k) rule[k] = k;
    std::vector<size_t> model(rule.rbegin(), rule.rend());
    const Interleaved mixed = TeamDraft(random, rule, model, rule);
    std::vector<size_t> sorted = mixed.order;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, rule);
    ASSERT_EQ(mixed.team.size(), kShown);
    for (const int8_t team : mixed.team) balance += team;
  }
  EXPECT_EQ(balance, 0);  // ten places are five picks each
}

TEST(Features, PercentilesAreMidRanksOfThosePresent) {
  std::vector<Document> documents;
  for (const char* payload : {R"({"price":1})", R"({"price":5})", R"({"price":5})",
                              R"({"price":9})", R"({"name":"x"})"}) {
    documents.push_back(
        *DocumentFromPayload("d" + std::to_string(documents.size()), 0.1f, payload));
  }
  const RuleResult rule = ScoreByRule({}, documents, RuleConfig());
  const std::vector<FeatureRow> rows = ExtractFeatures(documents, rule.rows);
  const size_t slot = kDenseCount + Hash64("price") % kNumericSlots;
  EXPECT_FLOAT_EQ(rows[0].x[slot], -1);
  EXPECT_FLOAT_EQ(rows[1].x[slot], 0);
  EXPECT_FLOAT_EQ(rows[2].x[slot], 0);
  EXPECT_FLOAT_EQ(rows[3].x[slot], 1);
  EXPECT_FLOAT_EQ(rows[4].x[slot], 0);
  EXPECT_EQ(rows[4].keys.size(), 1u);
}

TEST(Features, KeywordsAreShortTextsBoolsAndElements) {
  const Document document = *DocumentFromPayload(
      "d", 0.1f,
      R"({"kind":"pump","sale":true,"tags":["a","b c d e"],"text":"one two three four","n":1})");
  const std::vector<FeatureRow> rows =
      ExtractFeatures({{document}}, ScoreByRule({}, {{document}}, RuleConfig()).rows);
  EXPECT_EQ(rows[0].keys.size(), 3u);  // kind, sale, tags=a
}

}  // namespace
}  // namespace vectron::reranker
