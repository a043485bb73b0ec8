#include "services/reranker/world_testing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "base/check.h"
#include "model/filter.h"
#include "services/reranker/explore.h"
#include "services/reranker/rule.h"

namespace vectron::reranker::testing_world {
namespace {

constexpr size_t kDocuments = 1'000;
constexpr size_t kDimension = 24;
constexpr size_t kTopics = 10;
constexpr size_t kTopicWords = 60;
constexpr size_t kCommonWords = 200;
constexpr size_t kCategories = 8;
constexpr int64_t kNow = 1'767'225'600;

double Normal(Random& random) {
  const double u = 1 - random.Uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * random.Uniform());
}

// Draws from the given weights.
class Draw {
 public:
  Draw(size_t count, double power) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += 1 / std::pow(static_cast<double>(i + 1), power);
      sums_.push_back(sum);
    }
  }
  size_t operator()(Random& random) const {
    const double at = random.Uniform() * sums_.back();
    return static_cast<size_t>(std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

struct Words {
  Draw topical{kTopicWords, 0.7};
  Draw common{kCommonWords, 1.0};

  std::vector<std::string> Write(Random& random, size_t topic, size_t low, size_t high,
                                 double share) const {
    std::vector<std::string> words;
    for (size_t n = low + random.Below(high - low); n > 0; --n) {
      words.push_back(random.Uniform() < share ? fmt::format("t{}w{}", topic, topical(random))
                                               : fmt::format("c{}", common(random)));
    }
    return words;
  }
};

struct Doc {
  std::array<double, kDimension> vector{};
  Document document;
  std::vector<std::string> words;  // of title and content
  double quality = 0;
  double appeal = 0;
  size_t category = 0;
};

void Normalise(std::array<double, kDimension>& vector) {
  const double norm =
      std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
  for (double& x : vector) x /= norm;
}

Value Joined(const std::vector<std::string>& words) {
  return Value(fmt::format("{}", fmt::join(words, " ")));
}

Doc MakeDoc(Random& random, size_t number, const Words& words,
            const std::array<std::array<double, kDimension>, kTopics>& centres) {
  Doc doc;
  const size_t topic = random.Below(kTopics);
  for (size_t i = 0; i < kDimension; ++i) doc.vector[i] = centres[topic][i] + 0.9 * Normal(random);
  Normalise(doc.vector);
  const std::vector<std::string> title = words.Write(random, topic, 4, 9, 0.7);
  const std::vector<std::string> content = words.Write(random, topic, 30, 60, 0.4);
  Array tags;
  for (std::string& tag : words.Write(random, topic, 1, 4, 1.0)) tags.emplace_back(std::move(tag));
  std::array<double, 3> uniform = {random.Uniform(), random.Uniform(), random.Uniform()};
  std::sort(uniform.begin(), uniform.end());
  doc.quality = uniform[1];  // the middle of three is beta(2, 2)
  doc.appeal = Normal(random);
  doc.category = random.Below(kCategories);
  const double age_days = -60 * std::log(1 - random.Uniform());
  Object fields;
  fields.emplace_back("title", Joined(title));
  fields.emplace_back("content", Joined(content));
  fields.emplace_back("tags", Value(std::move(tags)));
  fields.emplace_back("category", Value(fmt::format("{}", doc.category)));
  fields.emplace_back("language", Value(fmt::format("{}", random.Below(4))));
  fields.emplace_back("source", Value(fmt::format("{}", random.Below(12))));
  fields.emplace_back("quality", Value(doc.quality));
  fields.emplace_back("cost", Value(std::exp(3 + Normal(random))));
  const int64_t created_s = kNow - static_cast<int64_t>(age_days * 86'400);
  fields.emplace_back("created_at", Value(FormatRfc3339({.seconds = created_s})));
  doc.document.id = fmt::format("d{}", number);
  doc.document.payload = Value(std::move(fields));
  doc.words = title;
  doc.words.insert(doc.words.end(), content.begin(), content.end());
  return doc;
}

Query MakeQuery(Random& random, const std::vector<Doc>& docs) {
  const Doc& target = docs[random.Below(docs.size())];
  std::array<double, kDimension> vector = target.vector;
  for (double& x : vector) x += 0.25 * Normal(random);
  Normalise(vector);
  std::set<std::string> terms;
  for (size_t n = 2 + random.Below(3); n > 0; --n) {
    terms.insert(target.words[random.Below(target.words.size())]);
  }
  std::vector<std::pair<double, uint32_t>> nearest;
  for (uint32_t d = 0; d < docs.size(); ++d) {
    nearest.emplace_back(
        1 - std::inner_product(vector.begin(), vector.end(), docs[d].vector.begin(), 0.0), d);
  }
  std::partial_sort(nearest.begin(), nearest.begin() + kCandidates, nearest.end());
  Query query;
  std::vector<Document> documents;
  for (size_t i = 0; i < kCandidates; ++i) {
    const auto [distance, d] = nearest[i];
    documents.push_back(docs[d].document);
    documents.back().distance = static_cast<float>(distance);
    query.ids.push_back(docs[d].document.id);
    query.quality.push_back(static_cast<float>(docs[d].quality));
    query.appeal.push_back(static_cast<float>(docs[d].appeal));
    query.category.push_back(static_cast<uint8_t>(docs[d].category));
  }
  const Question question{
      .query = fmt::format("{}", fmt::join(terms, " ")), .metric = Metric::kCosine, .now_s = kNow};
  query.rows = ExtractFeatures(documents, ScoreByRule(question, documents, RuleConfig()).rows);
  return query;
}

// One number per candidate of every query, to mean 0 and variance 1.
template <typename Get>
std::vector<double> Standard(const World& world, Get get) {
  std::vector<double> values;
  for (const Query& query : world.queries) {
    for (size_t i = 0; i < kCandidates; ++i) values.push_back(get(query, i));
  }
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double square = 0;
  for (const double value : values) square += (value - mean) * (value - mean);
  for (double& value : values) value = (value - mean) / (std::sqrt(square / count) + 1e-9);
  return values;
}

double Gain(uint8_t grade) { return std::exp2(grade) - 1; }

}  // namespace

World MakeWorld(uint64_t seed) {
  Random random(Mix64(seed + 17));
  std::array<std::array<double, kDimension>, kTopics> centres;
  for (auto& centre : centres) {
    for (double& x : centre) x = Normal(random);
  }
  const Words words;
  std::vector<Doc> docs;
  for (size_t d = 0; d < kDocuments; ++d) docs.push_back(MakeDoc(random, d, words, centres));
  World world{.seed = seed, .queries = {}};
  for (size_t q = 0; q < kQueries; ++q) world.queries.push_back(MakeQuery(random, docs));
  return world;
}

Grades GradesOf(const World& world, Taste taste) {
  const auto feature = [&](size_t f) {
    return Standard(world, [f](const Query& q, size_t i) { return q.rows[i].x[f]; });
  };
  const std::vector<double> similarity = feature(kSimilarity);
  const std::vector<double> bm25 = feature(kBm25);
  const std::vector<double> recency = feature(kRecency);
  const std::vector<double> rule = feature(kRuleScore);
  const std::vector<double> quality =
      Standard(world, [](const Query& q, size_t i) { return q.quality[i]; });
  const std::vector<double> appeal =
      Standard(world, [](const Query& q, size_t i) { return q.appeal[i]; });
  Random random(Mix64(world.seed + 29));
  std::array<double, kCategories> taste_of{};
  for (size_t c = 0; c < kCategories; ++c) {
    taste_of[c] = -1.5 + 3.0 * static_cast<double>(c) / (kCategories - 1);
  }
  for (size_t c = kCategories - 1; c > 0; --c)
    std::swap(taste_of[c], taste_of[random.Below(c + 1)]);
  const std::vector<double> like =
      Standard(world, [&](const Query& q, size_t i) { return taste_of[q.category[i]]; });
  std::vector<double> utility(similarity.size());
  for (size_t i = 0; i < utility.size(); ++i) {
    const double hidden = 0.2 * appeal[i] + 0.5 * Normal(random);
    const double plain = 0.8 * similarity[i] + 0.5 * bm25[i] - 0.2 * recency[i];
    switch (taste) {
      case Taste::kMain:
        utility[i] = plain + 0.6 * quality[i] + 0.6 * like[i] + hidden;
        break;
      case Taste::kFlip:
        utility[i] = plain - 0.6 * quality[i] - 0.6 * like[i] + hidden;
        break;
      case Taste::kMild:
        utility[i] = 0.8 * similarity[i] + 0.5 * bm25[i] + 0.25 * (quality[i] + like[i]) + hidden;
        break;
      case Taste::kVector:
        utility[i] = similarity[i] + 0.3 * Normal(random);
        break;
      case Taste::kNull:
        utility[i] = rule[i] + 0.5 * Normal(random);
        break;
    }
  }
  std::vector<double> sorted = utility;
  std::sort(sorted.begin(), sorted.end());
  Grades grades(kQueries, std::vector<uint8_t>(kCandidates));
  for (const double share : {0.35, 0.20, 0.10, 0.04}) {
    const double bound =
        sorted[static_cast<size_t>((1 - share) * static_cast<double>(sorted.size()))];
    for (size_t i = 0; i < utility.size(); ++i) {
      if (utility[i] >= bound) ++grades[i / kCandidates][i % kCandidates];
    }
  }
  return grades;
}

Loop::Loop(const World& world, const Options& options)
    : world_(world),
      options_(options),
      grades_(GradesOf(world, options.taste)),
      random_(Mix64(world.seed + 53)),
      learner_(LearnedConfig()) {
  if (options.flip_at > 0) flipped_ = GradesOf(world, Taste::kFlip);
}

const Grades& Loop::grades() const {
  return options_.flip_at > 0 && events_ > options_.flip_at ? flipped_ : grades_;
}

std::vector<FeatureRow> Loop::Served(size_t query) const {
  std::vector<FeatureRow> rows = world_.queries[query].rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    learner_.FillRatio(world_.queries[query].ids[i], rows[i]);
  }
  return rows;
}

Impression Loop::Serve(const std::vector<FeatureRow>& rows, const Query& query,
                       std::vector<size_t>& places) {
  const auto order_by = [&](auto score) {
    std::vector<std::pair<double, size_t>> ranked;
    for (size_t i = 0; i < rows.size(); ++i) ranked.emplace_back(-score(rows[i]), i);
    std::sort(ranked.begin(), ranked.end());
    std::vector<size_t> order;
    for (const auto& [key, place] : ranked) order.push_back(place);
    return order;
  };
  const std::vector<size_t> rule =
      order_by([](const FeatureRow& row) { return double{row.x[kRuleScore]}; });
  const std::vector<size_t> model =
      order_by([this](const FeatureRow& row) { return learner_.Score(row); });
  const GateState state = learner_.gate().state();
  Impression impression;
  impression.state = state;
  impression.epoch = learner_.gate().epoch();
  places = state == GateState::kLearned ? model : rule;
  const double interleaved = state == GateState::kCanary    ? 0.5
                             : state == GateState::kLearned ? 0.1
                                                            : 0.0;
  std::vector<int8_t> team(kShown);
  if (random_.Uniform() < interleaved) {
    Interleaved mixed = TeamDraft(random_, rule, model, places);
    impression.interleaved = true;
    places = std::move(mixed.order);
    team = std::move(mixed.team);
  } else if (random_.Uniform() < 0.3) {
    impression.explored = true;
    impression.parity = FlipPairs(random_, places);
  }
  for (size_t p = 0; p < kShown; ++p) {
    impression.shown.push_back(
        {.id = query.ids[places[p]], .row = rows[places[p]], .team = team[p]});
  }
  return impression;
}

LearnEvent Loop::Click(Impression impression, const std::vector<uint8_t>& shown_grades) {
  LearnEvent event{.impression = std::move(impression),
                   .items = {},
                   .end_user = fmt::format("user{}", random_.Below(500)),
                   .unix_ms = kNow * 1000 + static_cast<int64_t>(events_) * 60'000};
  const auto item = [&](size_t place) -> LearnEvent::Item {
    return {.id = event.impression.shown[place].id, .clicked = true};
  };
  if (random_.Uniform() < options_.spam) {
    event.end_user = "spammer";
    for (size_t p = kShown - 3; p < kShown; ++p) event.items.push_back(item(p));
    return event;
  }
  if (random_.Uniform() < options_.graded) {
    for (size_t p = 0; p < 5; ++p) {
      const int step = std::array{-1, 0, 0, 1}[random_.Below(4)];
      const int seen = std::clamp(shown_grades[p] + step, 0, 4);
      event.items.push_back({.id = event.impression.shown[p].id,
                             .clicked = false,
                             .grade = static_cast<uint32_t>(seen + 1)});
    }
    return event;
  }
  for (int attempt = 0; attempt < 30 && event.items.empty(); ++attempt) {
    for (size_t p = 0; p < kShown; ++p) {
      const double rank = static_cast<double>(p) + 1;
      const double theta = options_.shallow ? std::pow(rank, -0.4) : 1 / rank;
      const double trust = 1 + options_.trust / std::log2(1 + rank);
      const double liked = options_.noise + (1 - options_.noise) * Gain(shown_grades[p]) / 15;
      if (random_.Uniform() < theta * std::min(1.0, liked * trust)) event.items.push_back(item(p));
    }
  }
  if (random_.Uniform() < options_.junk) {
    for (LearnEvent::Item& clicked : event.items) clicked.id += "-unknown";
  }
  return event;
}

void Loop::Run(size_t events) {
  for (size_t i = 0; i < events; ++i) {
    ++events_;
    const size_t q = random_.Below(kTrainQueries);
    std::vector<size_t> places;
    Impression impression = Serve(Served(q), world_.queries[q], places);
    std::vector<uint8_t> shown_grades;
    for (size_t p = 0; p < kShown; ++p) shown_grades.push_back(grades()[q][places[p]]);
    learner_.Apply(Click(std::move(impression), shown_grades));
  }
}

template <typename Score>
double Loop::Ndcg(Score score) const {
  double total = 0;
  double counted = 0;
  for (size_t q = kTrainQueries; q < kQueries; ++q) {
    const std::vector<FeatureRow> rows = Served(q);
    const std::vector<uint8_t>& truth = grades()[q];
    std::vector<std::pair<double, size_t>> ranked;
    for (size_t i = 0; i < rows.size(); ++i) ranked.emplace_back(-score(rows[i]), i);
    std::partial_sort(ranked.begin(), ranked.begin() + kShown, ranked.end());
    std::vector<uint8_t> best = truth;
    std::sort(best.rbegin(), best.rend());
    double got = 0;
    double most = 0;
    for (size_t p = 0; p < kShown; ++p) {
      const double discount = 1 / std::log2(2 + static_cast<double>(p));
      got += Gain(truth[ranked[p].second]) * discount;
      most += Gain(best[p]) * discount;
    }
    if (most <= 0) continue;
    total += got / most;
    counted += 1;
  }
  return total / counted;
}

double Loop::RuleNdcg() const {
  return Ndcg([](const FeatureRow& row) { return double{row.x[kRuleScore]}; });
}

double Loop::ModelNdcg() const {
  return Ndcg([this](const FeatureRow& row) { return learner_.Score(row); });
}

double Loop::ServedNdcg() const {
  return learner_.gate().state() == GateState::kLearned ? ModelNdcg() : RuleNdcg();
}

}  // namespace vectron::reranker::testing_world
