#include "services/reranker/rule.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/random.h"
#include "model/collection.h"
#include "services/reranker/tokens.h"

namespace vectron::reranker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

double Number(const Value& value) {
  if (const int64_t* whole = value.get<int64_t>()) return static_cast<double>(*whole);
  return *value.get<double>();
}

// [["field", "text", factor], ...]
std::vector<MatchRule> MatchRules(const Value& list) {
  std::vector<MatchRule> rules;
  for (const Value& entry : *list.get<Array>()) {
    const Array& parts = *entry.get<Array>();
    rules.push_back({.field = *parts[0].get<std::string>(),
                     .equals = *parts[1].get<std::string>(),
                     .factor = Number(parts[2])});
  }
  return rules;
}

Value LoadGolden() {
  const char* root = std::getenv("VECTRON_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") +
                     "/src/services/reranker/testdata/rule_golden.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto tree = ParsePayload("{\"cases\":" + text + "}");
  EXPECT_TRUE(tree.ok()) << tree.status();
  return tree.ok() ? *std::move(tree) : Value(Object());
}

void CheckGolden(const Value& golden) {
  Question question;
  question.query = *golden.Find("query")->get<std::string>();
  question.metric = *ParseMetric(*golden.Find("metric")->get<std::string>());
  question.now_s = static_cast<int64_t>(Number(*golden.Find("now_s")));
  RuleConfig config;
  config.boosts = MatchRules(*golden.Find("boosts"));
  config.penalties = MatchRules(*golden.Find("penalties"));
  std::vector<Document> documents;
  for (const Value& candidate : *golden.Find("candidates")->get<Array>()) {
    documents.push_back({.id = *candidate.Find("id")->get<std::string>(),
                         .distance = static_cast<float>(Number(*candidate.Find("score"))),
                         .payload = *candidate.Find("metadata")});
  }
  const RuleResult result = ScoreByRule(question, documents, config);
  std::vector<float> scores;
  for (size_t i = 0; i < documents.size(); ++i) {
    const RuleRow& row = result.rows[i];
    scores.push_back(row.score);
    const Array& parts = *golden.Find("parts")->Find(documents[i].id)->get<Array>();
    const double ours[] = {row.similarity, row.bm25,  row.coverage,
                           row.recency,    row.boost, row.penalty};
    for (size_t p = 0; p < 6; ++p) {
      EXPECT_NEAR(ours[p], Number(parts[p]), 1e-6) << documents[i].id << " part " << p;
    }
  }
  const std::vector<size_t> order = OrderByScore(scores, documents);
  const Array& expected = *golden.Find("result")->get<Array>();
  ASSERT_EQ(order.size(), expected.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const Array& pair = *expected[i].get<Array>();
    EXPECT_EQ(documents[order[i]].id, *pair[0].get<std::string>());
    EXPECT_NEAR(scores[order[i]], Number(pair[1]), 1e-6);
  }
}

TEST(Rule, AnExcerptScoresAsTheWholePayload) {
  std::vector<Document> whole;
  std::vector<Document> cut;
  for (int i = 0; i < 4; ++i) {
    std::string words;
    while (words.size() < 40'000) words += fmt::format("wörd{} apple ", words.size() % (3 + i));
    const std::string payload = fmt::format(
        R"({{"title":"apple {}","other":"{}","content":"{}","tags":["red","{}"],"created_at":17}})",
        i, words, words, words);
    whole.push_back(*DocumentFromPayload(std::to_string(i), 1, payload));
    cut.push_back(*DocumentFromPayload(std::to_string(i), 1, ExcerptPayload(payload)));
  }
  Question question;
  question.query = "red apple wörd1";
  question.now_s = 1'000;
  RuleConfig config;
  for (auto& [name, rule] : config.fields) rule.bytes = kExcerptFieldBytes;
  const RuleResult expected = ScoreByRule(question, whole, config);
  const RuleResult got = ScoreByRule(question, cut, config);
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(got.rows[i].score, expected.rows[i].score);
    EXPECT_EQ(got.rows[i].content_tokens, expected.rows[i].content_tokens);
    EXPECT_EQ(got.rows[i].recency, expected.rows[i].recency);
  }
}

TEST(Rule, GivesTheGoldenScores) {
  const Value golden = LoadGolden();
  ASSERT_NE(golden.Find("cases"), nullptr);
  EXPECT_EQ(golden.Find("cases")->get<Array>()->size(), 6u);
  for (const Value& one : *golden.Find("cases")->get<Array>()) {
    SCOPED_TRACE(*one.Find("name")->get<std::string>());
    CheckGolden(one);
  }
}

TEST(Tokens, FoldCaseWidthAndCompositionAndSplitIdeographs) {
  EXPECT_THAT(Tokenize("Hello, World-2x"), ElementsAre("hello", "world", "2x"));
  EXPECT_THAT(Tokenize("STRASSE Straße"), ElementsAre("strasse", "strasse"));
  EXPECT_THAT(Tokenize("ＴＯＫＹＯ 東京 カフェ"),
              ElementsAre("tokyo", "東", "京", "カ", "フ", "ェ"));
  EXPECT_EQ(Tokenize("caf\u00e9"), Tokenize("CAFE\u0301"));
  EXPECT_THAT(Tokenize("a\xff\xfe"
                       "b"),
              ElementsAre("a", "b"));
  EXPECT_THAT(Tokenize(" \t--"), IsEmpty());
}

TEST(Tokens, CutsNeverWithinACodePoint) {
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("a東", 3), "a");
  EXPECT_EQ(CutText("a東", 4), "a東");
  EXPECT_EQ(CutText("東", 1), "");
}

TEST(Tokens, AsciiPathAgreesWithTheGeneralOne) {
  const uint64_t seed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  for (int i = 0; i < 2'000; ++i) {
    std::string text;
    for (uint64_t n = random.Below(30); n > 0; --n) {
      text.push_back(static_cast<char>(random.Below(128)));
    }
    std::vector<std::string> general;
    tokens_internal::ForEachUnicodeToken(
        text, [&](std::string_view token) { general.emplace_back(token); });
    ASSERT_EQ(Tokenize(text), general) << text;
  }
}

TEST(Rule, TimesComeInThreeForms) {
  EXPECT_EQ(TimestampOf("1767225600"), 1767225600.0);
  EXPECT_EQ(TimestampOf(" 1767225600000 "), 1767225600.0);
  EXPECT_EQ(TimestampOf("2026-01-01T01:00:00+01:00"), 1767225600.0);
  for (const char* bad : {"", "yesterday", "-5", "inf", "nan", "2026-01-01T00:00:00", "12 34"}) {
    EXPECT_LT(TimestampOf(bad), 0) << bad;
  }
}

// Scores stay in [0,1], finite, and do not depend on the order of the candidates.
TEST(Rule, StaysInBoundsForAnyInput) {
  const char* texts[] = {"",         "red apple", "Straße 東京",
                         "\xff\xfe", "a a a a",   "2026-01-01T00:00:00Z"};
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    std::vector<Document> documents;
    for (uint64_t n = 1 + random.Below(12); n > 0; --n) {
      Object fields;
      for (const char* field : {"title", "content", "tags", "created_at", "pinned"}) {
        if (random.OneIn(2)) fields.emplace_back(field, Value(std::string(texts[random.Below(6)])));
      }
      const float magnitude = std::array{0.0f, 1e-30f, 1.0f, 3e38f}[random.Below(4)];
      documents.push_back({.id = std::to_string(n),
                           .distance = magnitude * (static_cast<float>(random.Uniform()) - 0.5f),
                           .payload = Value(std::move(fields))});
    }
    RuleConfig config;
    config.boosts = {{"pinned", "red apple", 0.9}, {"title", "", 0.5}};
    config.penalties = {{"content", "a a a a", 0.9}, {"tags", "", 0.9}};
    if (random.OneIn(5)) config.similarity = config.bm25 = config.coverage = config.recency = 0;
    const Question question{.query = texts[random.Below(6)],
                            .metric = random.OneIn(2) ? Metric::kCosine : Metric::kDot,
                            .now_s = 1'767'225'600};
    const RuleResult result = ScoreByRule(question, documents, config);
    std::vector<Document> reversed(documents.rbegin(), documents.rend());
    const RuleResult again = ScoreByRule(question, reversed, config);
    for (size_t i = 0; i < documents.size(); ++i) {
      const float score = result.rows[i].score;
      ASSERT_TRUE(score >= 0 && score <= 1);
      ASSERT_FLOAT_EQ(score, again.rows[documents.size() - 1 - i].score);
    }
  }
}

TEST(Rule, CloserIsNeverWorseAllElseEqual) {
  std::vector<Document> documents;
  for (int i = 0; i < 10; ++i) {
    documents.push_back({.id = std::to_string(i), .distance = 0.1f * static_cast<float>(i)});
  }
  const RuleResult result = ScoreByRule({.query = "x"}, documents, RuleConfig());
  for (size_t i = 1; i < documents.size(); ++i) {
    EXPECT_LE(result.rows[i].score, result.rows[i - 1].score);
  }
}

}  // namespace
}  // namespace vectron::reranker
