// The client against a real server; VECTRON_BINARY names the program.

#include <gtest/gtest.h>

#include <ctime>
#include <limits>
#include <stdexcept>

#include "process_testing.h"
#include "vectron/client.h"

namespace vectron {
namespace {

using std::chrono::milliseconds;

class ClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(std::getenv("VECTRON_BINARY"), nullptr) << "VECTRON_BINARY names no server";
    folder_ = std::make_unique<TempFolder>();
    server_ = std::make_unique<Server>(folder_->At("data"));
    ASSERT_TRUE(server_->ready());
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }

  std::string Make(uint32_t dimension, const CollectionOptions& options = {}) {
    const std::string name = "c" + std::to_string(++count_);
    client_.CreateCollection(name, dimension, Distance::kEuclidean, options);
    return name;
  }
  static std::vector<std::string> Ids(const SearchResults& results) {
    std::vector<std::string> ids;
    for (const auto& result : results.results) ids.push_back(result.id);
    return ids;
  }
  static std::unique_ptr<TempFolder> folder_;
  static std::unique_ptr<Server> server_;
  static int count_;
  Client client_{server_->address()};
};
std::unique_ptr<TempFolder> ClientTest::folder_;
std::unique_ptr<Server> ClientTest::server_;
int ClientTest::count_ = 0;

const std::vector<float> kOrigin = {0};

TEST_F(ClientTest, PutsPointsInFindsAndDeletesThem) {
  CollectionOptions options;
  options.half_precision = true;
  options.hnsw_m = 8;
  options.payload_indexes = {{"n", PayloadType::kInteger}};
  const std::string name = Make(3, options);
  const Payload payload = {
      {"s", "é"}, {"n", 7}, {"b", true}, {"none", nullptr}, {"list", Value::Array{1, "two"}}};
  EXPECT_EQ(client_.Upsert(name, {{"a", {1, 0, 0}, payload}, {"b", {0, 1, 0}, {}}}), 2U);
  SearchOptions search;
  search.top_k = 1;
  search.include_vectors = true;
  const SearchResults found = client_.Search(name, std::vector{1.0F, 0.0F, 0.0F}, search);
  ASSERT_EQ(Ids(found), (std::vector<std::string>{"a"}));
  EXPECT_EQ(found.results[0].score, 0);
  EXPECT_EQ(found.results[0].payload, payload);
  EXPECT_EQ(found.results[0].vector, (std::vector<float>{1, 0, 0}));
  EXPECT_FALSE(found.query_id.empty());
  const CollectionStatus status = client_.GetCollectionStatus(name);
  EXPECT_EQ(status.point_count, 2U);
  EXPECT_TRUE(status.shards.at(0).ready);
  client_.Delete(name, "a");
  EXPECT_THROW(client_.Get(name, "a"), NotFoundError);
  EXPECT_THROW(client_.CreateCollection(name, 3), AlreadyExistsError);
  client_.DeleteCollection(name);
  EXPECT_THROW(client_.DeleteCollection(name), NotFoundError);
}

TEST_F(ClientTest, FiltersAndScrolls) {
  const std::string name = Make(1);
  std::vector<Point> points;
  for (int i = 0; i < 12; ++i) {
    points.push_back(
        {(i < 10 ? "p0" : "p") + std::to_string(i),
         {static_cast<float>(i)},
         {{"n", i}, {"even", i % 2 == 0}, {"tags", Value::Array{"t" + std::to_string(i % 3)}}}});
  }
  client_.Upsert(name, points);
  const Field n("n");
  const std::vector<std::pair<Filter, std::function<bool(int)>>> cases = {
      {n < 3, [](int i) { return i < 3; }},
      {n >= 3 && Field("even") == true, [](int i) { return i >= 3 && i % 2 == 0; }},
      {n < 2 || n > 9, [](int i) { return i < 2 || i > 9; }},
      {!Field("tags[]").OneOf({"t0", "t1"}), [](int i) { return i % 3 == 2; }},
      {HasId({"p03", "absent"}), [](int i) { return i == 3; }},
  };
  for (const auto& [filter, wanted] : cases) {
    std::vector<std::string> expected;
    for (int i = 0; i < 12; ++i) {
      if (wanted(i)) expected.push_back(points[static_cast<size_t>(i)].id);
    }
    SearchOptions search;
    search.top_k = 12;
    search.filter = filter;
    EXPECT_EQ(Ids(client_.Search(name, kOrigin, search)), expected);
    std::vector<std::string> scrolled;
    ScrollOptions scroll;
    scroll.limit = 5;
    scroll.filter = filter;
    do {
      const Page page = client_.Scroll(name, scroll);
      for (const Point& point : page.points) scrolled.push_back(point.id);
      scroll.after_id = page.next_after_id;
    } while (!scroll.after_id.empty());
    EXPECT_EQ(scrolled, expected);
  }
}

TEST_F(ClientTest, PassesSearchOptionsOnAndStreams) {
  const std::string name = Make(1);
  for (int i = 0; i < 10; ++i) {
    client_.Upsert(name,
                   {{"p" + std::to_string(i), {static_cast<float>(i)}, {{"n", i}, {"m", i}}}});
  }
  SearchOptions options;
  options.top_k = 3;
  options.offset = 2;
  options.payload_fields = {"n"};
  options.exact = true;
  const SearchResults found = client_.Search(name, kOrigin, options);
  EXPECT_EQ(Ids(found), (std::vector<std::string>{"p2", "p3", "p4"}));
  EXPECT_EQ(found.results[0].payload.size(), 1U);
  SearchOptions near;
  near.score_threshold = 4.0F;
  near.include_payload = false;
  near.consistency = Consistency::kEventual;
  EXPECT_EQ(client_.Search(name, kOrigin, near).results.size(), 3U);
  SearchResults last;
  client_.SearchStream(name, kOrigin, {}, [&last](const SearchResults& better) {
    last = better;
    return true;
  });
  EXPECT_TRUE(last.last);
  EXPECT_EQ(last.results.size(), 10U);
  client_.SearchStream(name, kOrigin, {},
                       [](const SearchResults&) { return false; });  // leaves early
}

TEST_F(ClientTest, PassesOnWhatACallbackThrows) {
  const std::string name = Make(1);
  client_.Upsert(name, {{"a", {1}, {}}});
  Client own(server_->address());
  const auto refuse = [](const SearchResults&) -> bool { throw std::domain_error("enough"); };
  EXPECT_EQ(Caught<std::domain_error>([&] { own.SearchStream(name, kOrigin, {}, refuse); }),
            "enough");
  EXPECT_EQ(own.Get(name, "a").id, "a");
  // Its destructor waits for calls under way, of which there is none.
}

TEST_F(ClientTest, ReranksAsACollectionOrASearchSays) {
  CollectionOptions made;
  made.shard_count = 1;
  made.half_precision = true;
  made.payload_indexes = {{"n", PayloadType::kInteger}};
  made.default_consistency = Consistency::kEventual;
  made.rerank = {"rule", 7, std::chrono::milliseconds(500), false};
  const std::string name = Make(1, made);
  const CollectionOptions told = client_.GetCollectionStatus(name).options;
  EXPECT_TRUE(told.half_precision);
  EXPECT_EQ(told.payload_indexes, made.payload_indexes);
  EXPECT_EQ(told.default_consistency, made.default_consistency);
  EXPECT_EQ(told.rerank, made.rerank);
  EXPECT_EQ(client_.GetCollectionStatus(Make(1, told)).options.rerank, made.rerank);
  client_.Upsert(name, {{"a", {1}, {{"text", "a blue boat"}}}});
  EXPECT_FALSE(client_.Search(name, kOrigin).rerank);
  SearchOptions search;
  search.query = "boat";
  search.rerank_candidates = 5;
  const std::optional<RerankInfo> about = client_.Search(name, kOrigin, search).rerank;
  ASSERT_TRUE(about);
  EXPECT_EQ(about->strategy, "rule");
  EXPECT_FALSE(about->explored);
  search.rerank_budget = std::chrono::seconds(70);
  EXPECT_THROW(client_.Search(name, kOrigin, search), InvalidArgumentError);
}

TEST_F(ClientTest, TellsVersionsAndReadsAsFreshAsAsked) {
  const std::string name = Make(1);
  const std::vector<Point> points = {{"a", {1}, {}}, {"b", {2}, {}}};
  const std::vector<uint64_t> versions = client_.UpsertVersions(name, points);
  const ReadOptions fresh{Consistency::kBounded, std::chrono::minutes(1)};
  EXPECT_EQ(versions, (std::vector<uint64_t>{client_.Get(name, "a", fresh).version,
                                             client_.GetAsync(name, "b").get().version}));
  ScrollOptions scroll;
  scroll.consistency = fresh.consistency;
  scroll.max_staleness = fresh.max_staleness;
  EXPECT_EQ(client_.Scroll(name, scroll).points.size(), 2U);
  scroll.consistency = static_cast<Consistency>(99);
  EXPECT_THROW(client_.Scroll(name, scroll), InvalidArgumentError);
  EXPECT_THROW(client_.Get(name, "a", {static_cast<Consistency>(99), {}}), InvalidArgumentError);
}

TEST_F(ClientTest, NamesBadInputAndWritesNothingOfIt) {
  const std::string name = Make(2);
  const auto refusal = [&](const Point& point) {
    return Caught<InvalidArgumentError>([&] {
      client_.Upsert(name, {{"good", {1, 2}, {}}, point});
    });
  };
  ExpectSays(refusal({"p", {1, 2, 3}, {}}), {"p", "3", "2"});
  ExpectSays(refusal({"p", {1, std::numeric_limits<float>::quiet_NaN()}, {}}),
             {"point 'p': component 1", "nan"});
  ExpectSays(refusal({std::string(257, 'x'), {1, 2}, {}}), {"256"});
  ExpectSays(refusal({"p", {1, 2}, {{"t", std::string(1 << 20, 'x')}}}), {"payload"});
  EXPECT_EQ(client_.GetCollectionStatus(name).point_count, 0U);
  EXPECT_THROW(client_.Search(name, std::vector{1.0F, 2.0F, 3.0F}), InvalidArgumentError);
  ExpectSays(Caught<NotFoundError>([&] { client_.Search("absent", kOrigin); }), {"absent"});
  client_.Upsert(name, {{"p", {1, 2}, {}}});
  EXPECT_THROW(client_.Upsert(name, {{"p", {1, 2}, {}}}, {"", true}), AlreadyExistsError);
}

TEST_F(ClientTest, KeepsUnicodeIds) {
  const std::string name = Make(1);
  for (const std::string id : {"日本語", "emoji-😀", "a/b?c=d%20", " spaces ", "ﬁ"}) {
    client_.Upsert(name, {{id, {1}, {}}});
    EXPECT_EQ(client_.Get(name, id).id, id);
    client_.Delete(name, id);
  }
}

TEST_F(ClientTest, AppliesARequestIdOnce) {
  const std::string name = Make(1);
  client_.Upsert(name, {{"p", {1}, {}}}, {"r", false});
  client_.Upsert(name, {{"p", {2}, {}}});
  client_.Upsert(name, {{"p", {1}, {}}}, {"r", false});
  EXPECT_EQ(client_.Get(name, "p").vector, (std::vector<float>{2}));
}

TEST_F(ClientTest, Splits100000PointsOverTheSizeLimit) {
  constexpr size_t kCount = 100'000;
  CollectionOptions graph;
  graph.hnsw_m = 4;
  graph.hnsw_ef_construct = 8;
  const std::string name = Make(1, graph);
  std::vector<std::string> ids;
  std::vector<float> vectors;
  for (size_t i = 0; i < kCount; ++i) {
    ids.push_back("p" + std::to_string(i));
    vectors.push_back(static_cast<float>(i));
  }
  const std::vector<Payload> payloads(kCount, Payload{{"text", std::string(700, 'x')}});
  ClientOptions patient;
  patient.timeout = milliseconds(240'000);
  Client client(server_->address(), patient);
  BatchOptions options;
  BatchProgress last;
  options.progress = [&last](const BatchProgress& progress) { last = progress; };
  const UpsertReport report = client.UpsertBatch(name, {ids, vectors, payloads}, options);
  EXPECT_EQ(report.upserted, kCount);
  EXPECT_TRUE(report.failures.empty()) << report.failures[0].message;
  EXPECT_EQ(last.points_done, kCount);
  client.DeleteCollection(name);
}

TEST_F(ClientTest, ReportsTheBadPartOfABatch) {
  const std::string name = Make(2);
  std::vector<std::string> ids;
  for (int i = 0; i < 9; ++i) ids.push_back("p" + std::to_string(i));
  ids[5] = std::string(257, 'x');
  const std::vector<float> vectors(18, 1.0F);
  BatchOptions options;
  options.max_points = 3;
  const UpsertReport report = client_.UpsertBatch(name, {ids, vectors, {}}, options);
  EXPECT_EQ(report.upserted, 6U);
  ASSERT_EQ(report.failures.size(), 1U);
  EXPECT_EQ(report.failures[0].start, 3U);
  EXPECT_THROW(std::rethrow_exception(report.failures[0].error), InvalidArgumentError);
  const std::span<const float> short_of_one(vectors.data(), 17);
  EXPECT_THROW(client_.UpsertBatch(name, {ids, short_of_one, {}}), InvalidArgumentError);
}

TEST_F(ClientTest, WorksWithoutWaiting) {
  const std::string name = Make(1);
  std::vector<std::future<size_t>> writes;
  for (int i = 0; i < 50; ++i) {
    const Point point{"p" + std::to_string(i), {static_cast<float>(i)}, {}};
    writes.push_back(client_.UpsertAsync(name, std::span(&point, 1)));
  }
  for (auto& write : writes) EXPECT_EQ(write.get(), 1U);
  auto search = client_.SearchAsync(name, kOrigin);
  auto point = client_.GetAsync(name, "p7");
  auto absent = client_.GetAsync(name, "absent");
  EXPECT_EQ(search.get().results.size(), 10U);
  EXPECT_EQ(point.get().vector, (std::vector<float>{7}));
  EXPECT_THROW(absent.get(), NotFoundError);
  client_.DeleteAsync(name, "p7").get();
  EXPECT_THROW(client_.Get(name, "p7"), NotFoundError);
  EXPECT_THROW(client_.DeleteAsync("absent", "p7").get(), NotFoundError);
}

TEST_F(ClientTest, NamesAWrongHost) {
  EXPECT_THROW(Client(""), InvalidArgumentError);
  EXPECT_THROW(Client("http://x:1"), InvalidArgumentError);
  Client nobody("127.0.0.1:1");
  ExpectSays(Caught<UnavailableError>([&] { nobody.ListCollections(); }),
             {"127.0.0.1:1", "is the server running"});
  EXPECT_THROW(nobody.GetAsync("c", "p").get(), UnavailableError);
}

TEST_F(ClientTest, EndsWhenTheTimeIsOverOrTheClientIsClosed) {
  const Listener silent;
  ClientOptions hasty;
  hasty.timeout = milliseconds(300);
  Client quiet(silent.address(), hasty);
  ExpectSays(Caught<DeadlineExceededError>([&] { quiet.ListCollections(); }),
             {silent.address(), "in time", "use a longer timeout"});
  std::future<Point> pending;
  {
    Client closing(silent.address());
    pending = closing.GetAsync("c", "p");
  }
  EXPECT_THROW(pending.get(), CancelledError);
}

TEST_F(ClientTest, GivesCallsOnUsersAndManagementATimeOfTheirOwn) {
  const Listener silent;
  ClientOptions patient;
  patient.timeout = patient.attempt_timeout = std::chrono::hours(1);
  Client quiet(silent.address(), patient);
  const Timeout soon = milliseconds(20);
  const std::vector<std::function<void()>> calls = {
      [&] { quiet.RegisterUser("e", "p", "", soon); },
      [&] { quiet.Login("e", "p", soon); },
      [&] { quiet.RefreshToken(soon); },
      [&] { quiet.Logout(soon); },
      [&] { quiet.ChangePassword("p", "q", soon); },
      [&] { quiet.GetUserProfile(soon); },
      [&] { quiet.UpdateUserProfile(Plan::kFree, soon); },
      [&] { quiet.DeleteUser("p", soon); },
      [&] { quiet.CreateApiKey("k", {}, soon); },
      [&] { quiet.ListApiKeys(soon); },
      [&] { quiet.DeleteApiKey("k", soon); },
      [&] { quiet.ValidateApiKey("k", soon); },
      [&] { quiet.CreateSdkJwt("k", soon); },
      [&] { quiet.ListUsers("", 1, soon); },
      [&] { quiet.UpdateUser("u", {}, soon); },
      [&] { quiet.RotateSigningKey(soon); },
      [&] { quiet.admin(soon).Health(); },
      [&] { quiet.admin(soon).Rebalance(); },
      [&] { quiet.admin(soon).Ranking("c"); },
  };
  for (const std::function<void()>& call : calls) {
    ExpectSays(Caught<DeadlineExceededError>(call), {silent.address(), "in time"});
  }
}

TEST_F(ClientTest, SurvivesARestartOfTheServer) {
  const TempFolder own_folder;
  auto own = std::make_unique<Server>(own_folder.At("data"));
  const std::string address = own->address();
  ClientOptions patient;
  patient.timeout = milliseconds(100'000);
  patient.retry = {1'000, milliseconds(50), milliseconds(500)};
  Client client(address, patient);
  client.CreateCollection("c", 2);
  client.Upsert("c", {{"a", {1, 2}, {}}});
  own->Stop(SIGKILL);
  const Point point{"b", {3, 4}, {}};
  std::future<size_t> write = client.UpsertAsync("c", std::span(&point, 1));
  own = std::make_unique<Server>(own_folder.At("data"), address);
  EXPECT_TRUE(own->ready());
  EXPECT_EQ(write.get(), 1U);
  EXPECT_EQ(client.Get("c", "a").vector, (std::vector<float>{1, 2}));
  EXPECT_EQ(client.Get("c", "b").vector, (std::vector<float>{3, 4}));
}

TEST_F(ClientTest, StoresFeedback) {
  const std::string name = Make(1);
  Feedback feedback;
  feedback.items = {{"a", 5, true, 1, ""}};
  feedback.query = "hello";
  feedback.result_ids = {"a"};
  const std::vector<std::string> ids = {client_.SubmitFeedback(name, feedback),
                                        client_.SubmitFeedback(name, feedback)};
  EXPECT_EQ(ids[0].size(), 36U);
  const FeedbackPage first = client_.ListFeedback(name, 0, 1);
  const FeedbackPage rest = client_.ListFeedback(name, first.next_after_number);
  ASSERT_EQ(first.records.size(), 1U);
  ASSERT_EQ(rest.records.size(), 1U);
  EXPECT_EQ(first.records[0].feedback_id, ids[0]);
  EXPECT_EQ(rest.records[0].feedback_id, ids[1]);
  EXPECT_EQ(rest.next_after_number, 0U);
  EXPECT_EQ(rest.records[0].feedback.query, "hello");
  EXPECT_EQ(rest.records[0].feedback.result_ids, feedback.result_ids);
  EXPECT_TRUE(rest.records[0].feedback.items.at(0).clicked);
}

TEST_F(ClientTest, AnswersManagementCallsWithJson) {
  const std::string name = Make(1);
  Admin admin = client_.admin();
  EXPECT_TRUE(admin.Health().contains("overall_status"));
  EXPECT_TRUE(admin.Stats().contains("endpoints"));
  EXPECT_TRUE(admin.Collections().contains("collections"));
  EXPECT_TRUE(admin.Alerts("active", "critical", 5).contains("alerts"));
  EXPECT_TRUE(admin.TimeSeries(std::chrono::minutes(1), std::chrono::system_clock::now(), 5)
                  .contains("stepSeconds"));
  EXPECT_TRUE(admin.SlowQueries(name, 5).contains("queries"));
  EXPECT_EQ(admin.PlanRebalance().at("started"), Value(false));
  EXPECT_TRUE(admin.Rebalance().contains("moves"));
  EXPECT_EQ(admin.Ranking(name).at("state"), Value("rule"));
  EXPECT_THROW(admin.ControlRanking(name, RankingAction::kPromote), FailedPreconditionError);
  const Payload workers = admin.Workers();
  const Value& first = workers.at("workers").as_array()->at(0);
  const std::string worker = *first.as_object()->at("worker_id").as_string();
  EXPECT_THROW(admin.DrainWorker(worker), FailedPreconditionError);  // nowhere to go
  EXPECT_TRUE(admin.CancelDrain(worker).contains("shardsLeft"));
  EXPECT_THROW(admin.RemoveWorker(worker), FailedPreconditionError);
  EXPECT_THROW(admin.ResolveAlert("absent"), NotFoundError);
}

TEST_F(ClientTest, ExplainsASearch) {
  const std::string name = Make(1);
  SearchOptions options;
  EXPECT_FALSE(client_.Search(name, kOrigin, options).explain);
  options.explain = true;
  EXPECT_TRUE(client_.Search(name, kOrigin, options).explain->contains("shards"));
}

// A server that wants credentials, and a client of its administrator.
class AccountsTest : public testing::Test {
 protected:
  AccountsTest() {
    EXPECT_THROW(admin_.ListCollections(), AuthenticationError);
    std::string secret = ReadFile(folder_.At("data/bootstrap.secret"));
    while (secret.ends_with('\n')) secret.pop_back();
    EXPECT_EQ(admin_.RegisterUser("root@example.org", kPassword, secret).role, "admin");
    admin_.Login("root@example.org", kPassword);
  }
  Client With(const std::string& credential, const std::string& tenant = "") const {
    ClientOptions options;
    options.credential = credential;
    options.tenant = tenant;
    return Client(own_.address(), options);
  }

  static constexpr char kPassword[] = "Passw0rd!";
  TempFolder folder_;
  Server own_{folder_.At("data"),
              "127.0.0.1:0",
              "on",
              {"--auth-login-per-minute", "0", "--auth-register-per-minute", "0",
               "--auth-key-per-minute", "0"}};
  Client admin_{own_.address()};
};

TEST_F(AccountsTest, MakesChecksAndRevokesKeys) {
  Client wrong = With("vkey-wrong");
  ExpectSays(Caught<AuthenticationError>([&] { wrong.ListCollections(); }), {"credential"});
  const ApiKey key = admin_.CreateApiKey("a key", {KeyScope::kRead, {"docs*"}, 0});
  EXPECT_TRUE(With(key.full_key).ListCollections().empty());
  EXPECT_THROW(With(key.full_key).CreateCollection("docs", 1), PermissionDeniedError);
  const std::vector<ApiKey> keys = admin_.ListApiKeys();
  ASSERT_EQ(keys.size(), 1U);
  EXPECT_EQ(keys[0].scope, "read");
  EXPECT_EQ(keys[0].collections, (std::vector<std::string>{"docs*"}));
  EXPECT_THROW(With(admin_.CreateSdkJwt(key.key_prefix)).CreateApiKey("not allowed"),
               PermissionDeniedError);
  EXPECT_TRUE(admin_.ValidateApiKey(key.full_key).valid);
  admin_.DeleteApiKey(key.key_prefix);
  EXPECT_FALSE(admin_.ValidateApiKey(key.full_key).valid);
  admin_.Logout();
  EXPECT_THROW(admin_.ListApiKeys(), AuthenticationError);
}

TEST_F(AccountsTest, TellsCollectionsOfOneNameApartByTheirTenant) {
  std::vector<User> users;
  for (const char* email : {"ada@example.org", "bob@example.org"}) {
    Client client(own_.address());
    users.push_back(client.RegisterUser(email, kPassword));
    client.Login(email, kPassword);
    client.CreateCollection("same", static_cast<uint32_t>(users.size()));
  }
  ExpectSays(Caught<FailedPreconditionError>([&] { admin_.GetCollectionStatus("same"); }),
             {"x-vectron-tenant"});
  const std::string token = admin_.RefreshToken();
  for (size_t i = 0; i < users.size(); ++i) {
    EXPECT_EQ(With(token, users[i].id).GetCollectionStatus("same").dimension, i + 1);
  }
}

TEST_F(AccountsTest, SaysThatACredentialHasExpired) {
  const ApiKey key =
      admin_.CreateApiKey("short", {KeyScope::kWrite, {}, int64_t{std::time(nullptr)} + 2});
  Client keyed = With(key.full_key);
  const auto ends = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  ExpectSays(Caught<AuthenticationError>([&] {
               while (std::chrono::steady_clock::now() < ends) keyed.ListCollections();
             }),
             {"expired", "need a new login"});
}

TEST_F(AccountsTest, SaysThatALoginIsOver) {
  Client other = With(admin_.RefreshToken());
  EXPECT_TRUE(other.ListCollections().empty());
  admin_.Logout();
  ExpectSays(Caught<AuthenticationError>([&] { other.ListCollections(); }),
             {"the session has ended", "need a new login"});
  const char* const tool = std::getenv("VECTRON_EXPIRED_TOKEN_TOOL");
  if (tool == nullptr) {
    GTEST_SKIP() << "NOT TESTED: VECTRON_EXPIRED_TOKEN_TOOL is not set; tests/sdk/run.sh cpp does";
  }
  std::string expired = OutputOf(std::string("python3 -B ") + tool + " " + folder_.At("data"));
  while (expired.ends_with('\n')) expired.pop_back();
  Client late = With(expired);
  ExpectSays(Caught<AuthenticationError>([&] { late.ListCollections(); }),
             {"the token is expired", "need a new login"});
}

TEST_F(AccountsTest, ManagesAccounts) {
  Client client(own_.address());
  const User user = client.RegisterUser("ada@example.org", kPassword);
  EXPECT_EQ(client.Login("ada@example.org", kPassword), user);
  EXPECT_EQ(client.GetUserProfile(), user);
  EXPECT_THROW(client.ListUsers(), PermissionDeniedError);
  const UserPage first = admin_.ListUsers("", 1);
  ASSERT_EQ(first.users.size(), 1U);
  const UserPage rest = admin_.ListUsers(first.next_after_id);
  ASSERT_EQ(rest.users.size(), 1U);
  EXPECT_NE(rest.users[0].id, first.users[0].id);
  EXPECT_EQ(rest.next_after_id, "");
  EXPECT_EQ(admin_.UpdateUserProfile(Plan::kPaid).plan, "PAID");
  EXPECT_THROW(client.UpdateUserProfile(Plan::kPaid), PermissionDeniedError);
  const User changed =
      admin_.UpdateUser(user.id, {Plan::kFree, SubscriptionStatus::kPastDue, Role::kAdmin});
  EXPECT_EQ(changed.plan, "FREE");
  EXPECT_EQ(changed.subscription_status, "PAST_DUE");
  EXPECT_EQ(changed.role, "admin");
  EXPECT_FALSE(admin_.RotateSigningKey().empty());
  EXPECT_FALSE(client.RefreshToken().empty());
  client.ChangePassword(kPassword, "Passw0rd!!");
  EXPECT_THROW(client.Login("ada@example.org", kPassword), AuthenticationError);
  client.DeleteUser("Passw0rd!!");
  EXPECT_EQ(admin_.ListUsers().users.size(), 1U);
}

TEST_F(ClientTest, UsesThePoolsClientsInTurn) {
  ClientPool pool(2, server_->address());
  Client* first = &pool.Get();
  EXPECT_NE(first, &pool.Get());
  EXPECT_EQ(first, &pool.Get());
  EXPECT_NO_THROW(first->ListCollections());
}

TEST_F(ClientTest, RunsTheQuickstart) {
  const char* program = std::getenv("VECTRON_EXAMPLE");
  if (program == nullptr)
    GTEST_SKIP() << "NOT TESTED: VECTRON_EXAMPLE names no program; tests/sdk/run.sh cpp builds it";
  const std::string text = OutputOf(std::string(program) + " " + server_->address() + " 2>&1");
  EXPECT_EQ(text.find("apple"), 0U) << text;
  EXPECT_NE(text.find("1 kiwi"), std::string::npos) << text;
}

}  // namespace
}  // namespace vectron
