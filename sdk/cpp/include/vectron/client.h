#pragma once

// The client of the Vectron vector database.
//
//   vectron::Client client("localhost:8081");
//   client.CreateCollection("docs", 3, vectron::Distance::kCosine);
//   client.Upsert("docs", {{"a", {0.1F, 0.2F, 0.3F}, {{"section", "sound"}}}});
//   auto found = client.Search("docs", std::vector{0.1F, 0.2F, 0.3F});

#include <chrono>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vectron/admin.h"
#include "vectron/errors.h"
#include "vectron/filter.h"
#include "vectron/types.h"
#include "vectron/value.h"

namespace vectron {

// A connection to a Vectron gateway. Thread-safe; one client serves a whole program. The destructor
// cancels what is under way and waits for it. Every method throws subclasses of Error, after
// retries where they are safe; the Async ones throw from get().
class Client {
 public:
  // host: HOST:PORT of the gateway's gRPC port. Does not connect yet. Throws InvalidArgumentError.
  explicit Client(const std::string& host, ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const std::string& host() const;

  // --- Collections ---
  // AlreadyExistsError when the name is taken.
  void CreateCollection(const std::string& name, uint32_t dimension,
                        Distance distance = Distance::kEuclidean,
                        const CollectionOptions& options = {}, Timeout timeout = {});
  void DeleteCollection(const std::string& name, Timeout timeout = {});  // NotFoundError
  std::vector<std::string> ListCollections(Timeout timeout = {});        // sorted
  // NotFoundError
  CollectionStatus GetCollectionStatus(const std::string& name, Timeout timeout = {});

  // --- Points ---
  // Writes points, replacing those of the same id; how many. What is too large for one request is
  // split; the parts are written in order, and an error says which part failed.
  size_t Upsert(const std::string& collection, std::span<const Point> points,
                const WriteOptions& options = {});
  size_t Upsert(const std::string& collection, std::initializer_list<Point> points,
                const WriteOptions& options = {}) {
    return Upsert(collection, std::span<const Point>(points.begin(), points.size()), options);
  }
  // Like Upsert; the version of each point, in their order: what Get says until the next write.
  std::vector<uint64_t> UpsertVersions(const std::string& collection, std::span<const Point> points,
                                       const WriteOptions& options = {});
  // Writes many points in parallel requests. A part that fails does not stop the others; the report
  // names it, and upserting its points again is safe. Points of one id in different requests are
  // written in any order. Throws InvalidArgumentError for columns that do not fit together and for
  // a bad point; requests sent before it stay sent.
  UpsertReport UpsertBatch(const std::string& collection, const Columns& columns,
                           const BatchOptions& options = {});
  Point Get(const std::string& collection, const std::string& id,
            const ReadOptions& options = {});  // NotFoundError
  // Deleting what is not there succeeds.
  void Delete(const std::string& collection, const std::string& id,
              const std::string& request_id = "", Timeout timeout = {});
  // One page of points by id; go on with after_id = next_after_id until that is empty.
  Page Scroll(const std::string& collection, const ScrollOptions& options = {});

  // --- Search ---
  SearchResults Search(const std::string& collection, std::span<const float> vector,
                       const SearchOptions& options = {});
  // Calls on_answer with the best so far, the final one having `last` set; false from it ends the
  // search, and so does an exception, which passes through. If the server goes away in between, the
  // search is asked again and better answers follow.
  void SearchStream(const std::string& collection, std::span<const float> vector,
                    const SearchOptions& options,
                    const std::function<bool(const SearchResults&)>& on_answer);
  // Tells what a user made of a search's results; the feedback's id.
  std::string SubmitFeedback(const std::string& collection, const Feedback& feedback,
                             Timeout timeout = {});

  // One page of stored feedback, oldest first; go on with after_number = next_after_number until
  // that is 0.
  FeedbackPage ListFeedback(const std::string& collection, uint64_t after_number = 0,
                            uint32_t limit = 100, Timeout timeout = {});

  // --- Without waiting: no thread is held while a call is under way. The arguments are copied. ---
  std::future<SearchResults> SearchAsync(const std::string& collection,
                                         std::span<const float> vector,
                                         const SearchOptions& options = {});
  std::future<Point> GetAsync(const std::string& collection, const std::string& id,
                              const ReadOptions& options = {});
  // One request: InvalidArgumentError when the points are too large for it.
  std::future<size_t> UpsertAsync(const std::string& collection, std::span<const Point> points,
                                  const WriteOptions& options = {});
  std::future<void> DeleteAsync(const std::string& collection, const std::string& id,
                                const std::string& request_id = "", Timeout timeout = {});

  // --- Users and keys ---
  // bootstrap_secret: of the first start; makes the first administrator.
  User RegisterUser(const std::string& email, const std::string& password,
                    const std::string& bootstrap_secret = "", Timeout timeout = {});
  // The token is used from then on.
  User Login(const std::string& email, const std::string& password, Timeout timeout = {});
  // A new token for the login's, which is used from then on.
  std::string RefreshToken(Timeout timeout = {});
  void Logout(Timeout timeout = {});
  // Ends the other logins; a new token is used from then on.
  void ChangePassword(const std::string& old_password, const std::string& new_password,
                      Timeout timeout = {});
  User GetUserProfile(Timeout timeout = {});
  // A token that names the plan is used from then on. PermissionDeniedError for users who are no
  // administrators.
  User UpdateUserProfile(Plan plan, Timeout timeout = {});
  void DeleteUser(const std::string& password, Timeout timeout = {});  // the caller's account
  ApiKey CreateApiKey(const std::string& name, const KeyOptions& options = {},
                      Timeout timeout = {});
  std::vector<ApiKey> ListApiKeys(Timeout timeout = {});
  void DeleteApiKey(const std::string& key_prefix, Timeout timeout = {});
  KeyCheck ValidateApiKey(const std::string& full_key, Timeout timeout = {});
  // A token of 7 days.
  std::string CreateSdkJwt(const std::string& key_prefix, Timeout timeout = {});

  // --- For administrators ---
  // One page of users by id; go on with after_id = next_after_id until that is empty.
  UserPage ListUsers(const std::string& after_id = "", uint32_t limit = 100, Timeout timeout = {});
  User UpdateUser(const std::string& user_id, const UserChange& change, Timeout timeout = {});
  // Signs tokens with a new key from now on; the key's id.
  std::string RotateSigningKey(Timeout timeout = {});
  // Health, workers, collections, alerts, ranking. timeout: of each call.
  Admin admin(Timeout timeout = {});

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Several connections used in turn, for programs that send more than one HTTP/2 connection carries
// well. Thread-safe.
class ClientPool {
 public:
  // size >= 1. Throws InvalidArgumentError.
  ClientPool(size_t size, const std::string& host, const ClientOptions& options = {});
  ~ClientPool();
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;
  Client& Get();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using VectronClient = Client;
using VectronClientPool = ClientPool;

}  // namespace vectron
