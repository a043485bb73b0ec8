#include "apps/vectronctl/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>

#include "apps/vectronctl/bench.h"
#include "apps/vectronctl/client.h"
#include "apps/vectronctl/collections.h"
#include "apps/vectronctl/import.h"
#include "apps/vectronctl/mcp.h"
#include "apps/vectronctl/points.h"
#include "apps/vectronctl/terminal.h"
#include "apps/wrong_command_line.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

// What is in a file that was there a moment ago; "" without a path.
std::string TextOf(const std::string& path) {
  std::ostringstream text;
  if (!path.empty()) text << std::ifstream(path).rdbuf();
  return text.str();
}

// What is wrong with the address of a server; "" for nothing.
std::string WrongAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  const bool of_http = text.starts_with("http://") || text.starts_with("https://");
  if (!of_http && colon != std::string::npos && colon + 1 < text.size()) return "";
  return fmt::format("'{}' is no address of gRPC: wanted HOST:PORT, such as 127.0.0.1:8081", text);
}

struct Flags {
  std::string host = "127.0.0.1:8081";
  std::string http = "127.0.0.1:8080";
  uint32_t timeout_ms = 60'000;
  std::string api_key;
  std::string tenant;
  std::string tls_ca;  // paths
  std::string tls_certificate;
  std::string tls_key;
  bool json = false;
  bool f16 = false;
  std::string name;
  CreateOptions create;
  DropOptions drop;
  ImportOptions import;
  SearchOptions search;
  PointsOptions points;
  ExportOptions export_to;
  BenchOptions bench;
  McpOptions mcp;
  std::function<int()> run;  // of the command that was given
  std::unique_ptr<Client> client;

  Client& Connect() {
    client = std::make_unique<Client>(ClientOptions{.address = host,
                                                    .timeout_ms = timeout_ms,
                                                    .credential = api_key,
                                                    .tenant = tenant,
                                                    .tls_ca = TextOf(tls_ca),
                                                    .tls_certificate = TextOf(tls_certificate),
                                                    .tls_key = TextOf(tls_key)});
    return *client;
  }
};

// The options of a new collection, shared by create and import.
void AddCreationFlags(CLI::App& app, v1::CreateCollectionRequest& request, Flags& flags) {
  app.add_option_function<int32_t>(
         "--dim", [&](int32_t v) { request.set_dimension(v); }, "Components of a vector")
      ->check(CLI::Range(1U, kMaxDimension));
  app.add_option_function<std::string>(
         "--distance", [&](const std::string& v) { request.set_distance(v); },
         "cosine, euclidean (squared) or dot; default euclidean")
      ->check(CLI::IsMember({"cosine", "euclidean", "dot"}));
  app.add_option_function<uint32_t>(
      "--shards", [&](uint32_t v) { request.set_shard_count(v); },
      "Shards; default chosen by the server");
  app.add_option_function<uint32_t>(
      "--replicas", [&](uint32_t v) { request.set_replication_factor(v); },
      "Copies of each shard; default chosen by the server");
  app.add_option_function<uint32_t>(
      "--m", [&](uint32_t v) { request.mutable_hnsw()->set_m(v); },
      "Links per point in the graph, 4-64; default 16");
  app.add_option_function<uint32_t>(
      "--ef-construct", [&](uint32_t v) { request.mutable_hnsw()->set_ef_construct(v); },
      "Breadth of an insert, 8-4096; default 200");
  app.add_option_function<uint32_t>(
      "--ef-search", [&](uint32_t v) { request.mutable_hnsw()->set_ef_search(v); },
      "Breadth of a search; default max(64, 3 k)");
  app.add_flag("--f16", flags.f16, "Keep full-precision vectors in 16 bits a component");
  app.add_flag_callback(
      "--in-memory", [&] { request.set_vectors_in_memory(true); },
      "Keep full-precision vectors in memory instead of mapping them from disk");
  app.add_option(
      "--index", flags.create.indexes,
      "Index a payload field, FIELD:TYPE (keyword, integer, float, bool, datetime); may be "
      "given several times");
}

void AddCollectionCommands(CLI::App& app, Flags& flags) {
  CLI::App* create = app.add_subcommand("create", "Make an empty collection");
  create
      ->add_option_function<std::string>(
          "collection", [&](const std::string& v) { flags.create.request.set_name(v); }, "Its name")
      ->required();
  AddCreationFlags(*create, flags.create.request, flags);
  create->get_option("--dim")->required();
  create->callback([&flags] {
    flags.run = [&flags] {
      if (flags.f16) flags.create.request.set_storage(v1::VECTOR_STORAGE_F16);
      flags.create.json = flags.json;
      return RunCreate(flags.Connect(), flags.create);
    };
  });
  CLI::App* list = app.add_subcommand("list", "Show all collections");
  list->callback(
      [&flags] { flags.run = [&flags] { return RunList(flags.Connect(), flags.json); }; });
  CLI::App* describe =
      app.add_subcommand("describe", "Show one collection: options, shards, sizes");
  describe->add_option("collection", flags.name, "Its name")->required();
  describe->callback([&flags] {
    flags.run = [&flags] { return RunDescribe(flags.Connect(), flags.name, flags.json); };
  });
  CLI::App* drop = app.add_subcommand("drop", "Delete a collection and all its points");
  drop->add_option("collection", flags.drop.name, "Its name")->required();
  drop->add_flag("-y,--yes", flags.drop.yes, "Do not ask");
  drop->callback([&flags] {
    flags.run = [&flags] {
      flags.drop.json = flags.json;
      return RunDrop(flags.Connect(), flags.drop);
    };
  });
}

int RunImportWith(Flags& flags, Client& client) {
  ImportOptions& options = flags.import;
  options.json = flags.json;
  if (flags.f16) options.creation.set_storage(v1::VECTOR_STORAGE_F16);
  for (const std::string& text : flags.create.indexes) {
    auto index = ParsePayloadIndex(text);
    if (!index.ok()) return FailUsage(MessageOf(index.status()));
    *options.creation.add_payload_indexes() = std::move(*index);
  }
  return RunImport(client, options);
}

void AddImportCommand(CLI::App& app, Flags& flags) {
  ImportOptions& options = flags.import;
  CLI::App* command = app.add_subcommand("import", "Write the points of a file");
  command->footer(
      "Files: .fvecs, .bvecs, .npy, .f16, JSON Lines of {\"id\", \"vector\", \"payload\"}\n"
      "(.jsonl, .ndjson) and what Qdrant and Chroma export (.json), each also packed (.gz "
      "behind).\n"
      "An interrupted import goes on where it was when the same command is given again.\n"
      "Example: vectronctl import books books.jsonl.gz --create --distance cosine --wait");
  command->add_option("collection", options.collection, "The collection")->required();
  command->add_option("file", options.input, "The file; - for JSON Lines on standard input")
      ->required();
  command->add_option("--payload", options.payload,
                      "JSON Lines with the payload of each row of a file of vectors");
  command->add_option(
      "--id-prefix", options.id_prefix,
      "Before each id; the id is the row's number, from 0, where the file gives none");
  command->add_option("--resume", options.resume,
                      "Where to keep how far the import came; default FILE.COLLECTION.import");
  command->add_flag("--create", options.create, "Make the collection when there is none");
  AddCreationFlags(*command, options.creation, flags);
  command->add_option("--batch", options.batch_points, "Points per request; default 500")
      ->check(CLI::Range(size_t{1}, kMaxUpsertPoints));
  command->add_option("--in-flight", options.in_flight, "Requests under way at once; default 4")
      ->check(CLI::Range(1, 64));
  command->add_option("--limit", options.limit, "Stop after this many rows");
  command->add_option("--max-errors", options.max_errors,
                      "Bad rows before giving up; default 1000");
  command->add_flag("--wait", options.wait_indexed, "Wait until the points are in the graph");
  command->callback(
      [&flags] { flags.run = [&flags] { return RunImportWith(flags, flags.Connect()); }; });
}

void AddConsistency(CLI::App& command, std::string& consistency) {
  command
      .add_option("--consistency", consistency,
                  "How fresh: STRONG, BOUNDED or EVENTUAL; default the collection's")
      ->transform(CLI::IsMember({"STRONG", "BOUNDED", "EVENTUAL"}, CLI::ignore_case));
}

void AddSearchCommand(CLI::App& app, Flags& flags) {
  SearchOptions& options = flags.search;
  CLI::App* search = app.add_subcommand("search", "Find the nearest points");
  search->add_option("collection", options.collection, "The collection")->required();
  search->footer(
      "One of --vector, --vector-file and --id says what is looked for.\n"
      "Example: vectronctl search books --id dune -k 5 \\\n"
      "         --filter '{\"must\": [{\"field\": \"year\", \"range\": {\"gte\": 1960}}]}'");
  search->add_option("--vector", options.vector, "The query: 0.1,0.2,...");
  search->add_option("--vector-file", options.vector_file,
                     "A file with the query; - for standard input");
  search->add_option("--id", options.id, "Search with the vector of this point");
  search->add_option("--filter", options.filter,
                     "Only points that pass: JSON with must, should, must_not; or @FILE");
  search->add_option("-k,--top-k", options.k, "Results; default 10")
      ->check(CLI::Range(1U, kMaxTopK));
  search->add_option("--offset", options.offset, "Results to leave out at the front");
  search->add_option("--ef", options.ef, "Breadth of the search; default the collection's");
  search->add_option("--max-distance", options.max_distance, "Only results at most this far");
  search->add_flag("--exact", options.exact, "Compare with every point");
  AddConsistency(*search, options.consistency);
  search->add_flag("--explain", options.explain, "Show what each shard did");
  search->add_flag("--with-vectors", options.with_vectors, "Show the vectors too");
  search->callback([&flags] {
    flags.run = [&flags] {
      flags.search.json = flags.json;
      return RunSearch(flags.Connect(), flags.search);
    };
  });
}

void AddPointCommands(CLI::App& app, Flags& flags) {
  CLI::App* get = app.add_subcommand("get", "Show points");
  CLI::App* remove = app.add_subcommand("delete", "Delete points");
  for (CLI::App* command : {get, remove}) {
    command->add_option("collection", flags.points.collection, "The collection")->required();
    command->add_option("id", flags.points.ids, "The points")->required();
  }
  get->callback([&flags] {
    flags.run = [&flags] {
      flags.points.json = flags.json;
      return RunGet(flags.Connect(), flags.points);
    };
  });
  remove->callback([&flags] {
    flags.run = [&flags] {
      flags.points.json = flags.json;
      return RunDelete(flags.Connect(), flags.points);
    };
  });
  CLI::App* dump =
      app.add_subcommand("export", "Write all points as JSON Lines, which import reads");
  dump->add_option("collection", flags.export_to.collection, "The collection")->required();
  dump->add_option("file", flags.export_to.output, "The file (.gz packs); default standard output");
  dump->add_option("--filter", flags.export_to.filter, "Only points that pass");
  dump->add_flag("--without-vectors", flags.export_to.without_vectors, "Ids and payloads only");
  dump->callback([&flags] {
    flags.run = [&flags] {
      if (flags.export_to.output.empty()) flags.export_to.output = "-";
      return RunExport(flags.Connect(), flags.export_to);
    };
  });
}

void AddBenchCommand(CLI::App& app, Flags& flags) {
  BenchOptions& options = flags.bench;
  CLI::App* bench = app.add_subcommand("bench", "Measure recall, rate and latency of searches");
  bench->add_option("collection", options.collection, "The collection")->required();
  bench->add_option("--queries", options.queries, "A file of vectors")->required();
  bench->add_option("--truth", options.truth, "The exact answers, .ivecs or .u32, for recall");
  bench
      ->add_option("--clients", options.clients,
                   "Connections, one request in flight each; default 8")
      ->check(CLI::Range(1, 1'024));
  bench->add_option("--seconds", options.seconds, "How long; default 10");
  bench->add_option("--protocol", options.protocol, "grpc (default) or http")
      ->check(CLI::IsMember({"grpc", "http"}));
  bench->add_option("--http", flags.http, "HTTP address; default 127.0.0.1:8080");
  bench->add_option("-k,--top-k", options.k, "Results; default 10")
      ->check(CLI::Range(1U, kMaxTopK));
  bench->add_option("--ef", options.ef, "Breadth of the search; default the collection's");
  bench->add_flag("--exact", options.exact, "Compare with every point");
  AddConsistency(*bench, options.consistency);
  bench->add_option("--filter", options.filter, "Only points that pass, as JSON");
  bench->add_option("--limit", options.limit, "Queries taken from the file; default 10000");
  bench->add_option("--id-prefix", options.id_prefix, "As given to import");
  bench->add_option("--pid", options.pid,
                    "The server's process on this machine, to show its CPU and memory");
  bench->callback([&flags] {
    flags.run = [&flags] {
      if (!flags.tenant.empty()) return FailUsage("bench measures the caller's own collections");
      flags.bench.json = flags.json;
      flags.bench.grpc_address = flags.host;
      flags.bench.http_address = flags.http;
      flags.bench.credential = flags.api_key;
      return RunBench(flags.Connect(), flags.bench);
    };
  });
}

void AddTls(CLI::App& app, Flags& flags) {
  CLI::Option* const ca =
      app.add_option("--tls-ca", flags.tls_ca,
                     "Speak TLS with a server whose certificate one of these signed (PEM)")
          ->envname("VECTRON_TLS_CA")
          ->check(CLI::ExistingFile);
  CLI::Option* const certificate =
      app.add_option("--tls-cert", flags.tls_certificate,
                     "Certificate (PEM) to show a server that asks for one")
          ->check(CLI::ExistingFile)
          ->needs(ca);
  CLI::Option* const key = app.add_option("--tls-key", flags.tls_key, "Its private key (PEM)")
                               ->check(CLI::ExistingFile)
                               ->needs(certificate);
  certificate->needs(key);
}

void AddMcpCommand(CLI::App& app, Flags& flags) {
  CLI::App* mcp = app.add_subcommand("mcp",
                                     "Let an assistant use the server: Model Context Protocol on "
                                     "standard input and output");
  mcp->add_flag("--read-only", flags.mcp.read_only, "Without the tools that write");
  mcp->callback([&flags] { flags.run = [&flags] { return RunMcp(flags.Connect(), flags.mcp); }; });
}

int Run(CLI::App& app, const Flags& flags, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!app.get_subcommands().empty()) {
    const std::string wrong = WrongAddress(flags.host);
    return wrong.empty() ? flags.run() : FailUsage(wrong);
  }
  fmt::print(stderr, "{}", app.help());
  return 2;
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  Flags flags;
  CLI::App app("vectronctl: the command-line client of Vectron");
  app.name("vectronctl");
  app.failure_message(WrongCommandLine);
  app.set_version_flag("--version", "vectronctl " VECTRON_VERSION);
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_option("--host", flags.host, "gRPC address of the server; default 127.0.0.1:8081")
      ->envname("VECTRON_HOST");
  app.add_option("--api-key", flags.api_key,
                 "API key or token to show; better given in VECTRON_API_KEY, which other users of "
                 "this machine do not see")
      ->envname("VECTRON_API_KEY");
  app.add_option("--tenant", flags.tenant,
                 "Id of the user whose collections are meant (user-...); for administrators")
      ->envname("VECTRON_TENANT");
  AddTls(app, flags);
  app.add_option("--timeout-ms", flags.timeout_ms, "Of one call; default 60000")
      ->check(CLI::Range(1, 3'600'000));
  app.add_flag("--json", flags.json, "Answers for machines");
  AddCollectionCommands(app, flags);
  AddImportCommand(app, flags);
  AddSearchCommand(app, flags);
  AddPointCommands(app, flags);
  AddBenchCommand(app, flags);
  AddMcpCommand(app, flags);
  return Run(app, flags, argc, argv);
}

}  // namespace vectron::ctl
