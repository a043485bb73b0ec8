#include <vectron/client.h>

#include <iostream>

int main(int argc, char** argv) try {
  vectron::Client client(argc > 1 ? argv[1] : "localhost:8081");
  client.CreateCollection("fruit-cpp", 3, vectron::Distance::kCosine);
  client.Upsert("fruit-cpp", {{"apple", {0.9F, 0.1F, 0.2F}, {{"price", 1.2}}},
                              {"kiwi", {0.1F, 0.9F, 0.4F}, {{"price", 0.6}}}});
  vectron::SearchOptions options{.top_k = 2, .filter = vectron::Field("price") < 5};
  auto found = client.Search("fruit-cpp", std::vector{0.9F, 0.2F, 0.2F}, options);
  std::cout << found.results[0].id << " " << found.results[0].score << "\n";
  client.SearchStream("fruit-cpp", std::vector{0.1F, 0.8F, 0.4F}, options, [](const auto& better) {
    std::cout << better.last << " " << better.results[0].id << std::endl;
    return true;
  });
  client.SubmitFeedback("fruit-cpp", {.query_id = found.query_id, .items = {{"apple", 5, true}}});
  client.DeleteCollection("fruit-cpp");
} catch (const vectron::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
