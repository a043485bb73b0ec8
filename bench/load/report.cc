#include "report.h"

#include <fmt/format.h>

#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/terminal.h"
#include "base/file.h"
#include "base/status.h"
#include "google/protobuf/struct.pb.h"

namespace vectron::bench {
namespace {

using google::protobuf::Struct;

constexpr std::string_view kBegin = "<!-- system:begin -->\n";
constexpr std::string_view kEnd = "<!-- system:end -->\n";

void Put(Struct& object, const char* key, double value) {
  (*object.mutable_fields())[key].set_number_value(value);
}
void Put(Struct& object, const char* key, const std::string& value) {
  (*object.mutable_fields())[key].set_string_value(value);
}
Struct& Child(Struct& object, const char* key) {
  return *(*object.mutable_fields())[key].mutable_struct_value();
}
Struct& Append(Struct& object, const char* key) {
  return *(*object.mutable_fields())[key]
              .mutable_list_value()
              ->add_values()
              ->mutable_struct_value();
}

void PutSearch(Struct& object, const SearchFigures& search) {
  Put(object, "protocol", search.protocol);
  Put(object, "clients", static_cast<double>(search.clients));
  Put(object, "ef", search.ef);
  Put(object, "recall", search.recall);
  Put(object, "qps", search.qps);
  Put(object, "p50_us", search.p50_us);
  Put(object, "p99_us", search.p99_us);
  Put(object, "server_cpu_us", search.server_cpu_us);
  Put(object, "client_cpu_us", search.client_cpu_us);
  Put(object, "share", search.share);
}

const SearchFigures* Find(const Report& report, std::string_view protocol, size_t clients) {
  for (const SearchFigures& search : report.searches) {
    if (search.protocol == protocol && search.clients == clients) return &search;
  }
  return nullptr;
}

// One line of the table.
void Row(std::string& out, std::string_view what, std::string_view measured, std::string_view must,
         std::string_view stretch) {
  out += fmt::format("| {} | {} | {} | {} |\n", what, measured, must, stretch);
}

void SearchRows(const Report& report, std::string& out) {
  struct Bars {
    const char* protocol;
    const char* cpu_must;
    const char* cpu_stretch;
    const char* qps_must;
    const char* qps_stretch;
  };
  constexpr Bars kBars[] = {{"grpc", "0.10 ms", "0.07 ms", "12,000", "16,000"},
                            {"http", "0.12 ms", "0.09 ms", "9,300", ""}};
  for (const Bars& bars : kBars) {
    for (const size_t clients : {size_t{1}, size_t{8}}) {
      const SearchFigures* search = Find(report, bars.protocol, clients);
      if (search == nullptr) continue;
      const std::string who =
          fmt::format("{}, {} client{}", bars.protocol, clients, clients == 1 ? "" : "s");
      Row(out,
          fmt::format("server CPU per query, {} (recall {:.4f}, ef {})", who, search->recall,
                      search->ef),
          fmt::format("{:.3f} ms", search->server_cpu_us / 1e3), bars.cpu_must, bars.cpu_stretch);
      if (clients == 1) {
        Row(out, fmt::format("p50 / p99, {}", who),
            fmt::format("{:.2f} / {:.2f} ms", search->p50_us / 1e3, search->p99_us / 1e3),
            "0.20 ms (p50)", "0.12 ms");
      } else {
        Row(out, fmt::format("queries/s, {} (p99 {:.2f} ms)", who, search->p99_us / 1e3),
            ctl::WithCommas(static_cast<uint64_t>(search->qps)), bars.qps_must, bars.qps_stretch);
      }
    }
  }
}

void WriteRows(const Report& report, std::string& out) {
  if (report.ingest.has_value()) {
    const IngestFigures& ingest = *report.ingest;
    Row(out, "durable bulk ingest until indexed",
        fmt::format("{} vec/s ({:.3f} ms CPU each)",
                    ctl::WithCommas(static_cast<uint64_t>(static_cast<double>(ingest.points) /
                                                          ingest.indexed_seconds)),
                    ingest.server_cpu_us / 1e3),
        "6,500 vec/s", "8,700 vec/s");
  }
  if (report.single.has_value()) {
    Row(out,
        fmt::format("one point per request, 8 clients, fsync before every ack (p99 {:.2f} ms)",
                    report.single->p99_us / 1e3),
        fmt::format("{}/s", ctl::WithCommas(static_cast<uint64_t>(report.single->per_second))),
        "4,000/s", "7,800/s");
  }
  for (const RestartFigures& restart : report.restarts) {
    Row(out,
        fmt::format("kill -9 to first right answer, {} collection{}, {} points",
                    restart.collections, restart.collections == 1 ? "" : "s",
                    ctl::WithCommas(restart.points)),
        fmt::format("{:.3f} s (median of {})", restart.median(), restart.seconds.size()), "0.17 s",
        "0.08 s");
  }
  constexpr std::pair<double, const char*> kFilterBars[] = {
      {0.001, "0.18 ms"}, {0.01, "0.30 ms"}, {0.1, "0.25 ms"}, {0.5, "0.25 ms"}};
  for (const SearchFigures& filter : report.filters) {
    const char* must = "";
    for (const auto& [share, bar] : kFilterBars) {
      if (share == filter.share) must = bar;
    }
    Row(out,
        fmt::format(
            "filter on an indexed integer, {:g} % match: CPU per query (recall {:.4f}, ef {})",
            100 * filter.share, filter.recall, filter.ef),
        fmt::format("{:.3f} ms", filter.server_cpu_us / 1e3), must, "half");
  }
  if (report.memory.has_value()) {
    Row(out, "memory (PSS) after the queries",
        fmt::format("{:.0f} MB ({:.0f} MB anonymous)",
                    static_cast<double>(report.memory->pss_bytes) / 1e6,
                    static_cast<double>(report.memory->anonymous_bytes) / 1e6),
        "130 MB", "90 MB");
  }
}

}  // namespace

std::string ReportJson(const Report& report) {
  Struct root;
  Put(root, "commit", report.commit);
  Put(root, "cpu_model", report.cpu_model);
  Put(root, "cpus", report.cpus);
  Put(root, "load_before", report.load_before);
  Put(root, "load_after", report.load_after);
  Put(root, "data_set", report.data_set);
  Put(root, "base_rows", static_cast<double>(report.base_rows));
  Put(root, "query_rows", static_cast<double>(report.query_rows));
  Put(root, "dimension", static_cast<double>(report.dimension));
  Put(root, "seconds_each", report.seconds_each);
  Put(root, "shards", report.shards);
  for (const SearchFigures& search : report.searches) PutSearch(Append(root, "searches"), search);
  for (const SearchFigures& search : report.filters) PutSearch(Append(root, "filters"), search);
  if (report.ingest.has_value()) {
    Struct& ingest = Child(root, "ingest");
    Put(ingest, "points", static_cast<double>(report.ingest->points));
    Put(ingest, "acknowledged_seconds", report.ingest->acknowledged_seconds);
    Put(ingest, "indexed_seconds", report.ingest->indexed_seconds);
    Put(ingest, "server_cpu_us", report.ingest->server_cpu_us);
  }
  if (report.single.has_value()) {
    Struct& single = Child(root, "single");
    Put(single, "per_second", report.single->per_second);
    Put(single, "p50_us", report.single->p50_us);
    Put(single, "p99_us", report.single->p99_us);
    Put(single, "server_cpu_us", report.single->server_cpu_us);
  }
  if (report.memory.has_value()) {
    Put(Child(root, "memory"), "pss_bytes", static_cast<double>(report.memory->pss_bytes));
    Put(Child(root, "memory"), "anonymous_bytes",
        static_cast<double>(report.memory->anonymous_bytes));
  }
  for (const RestartFigures& restart : report.restarts) {
    Struct& object = Append(root, "restarts");
    Put(object, "collections", static_cast<double>(restart.collections));
    Put(object, "points", static_cast<double>(restart.points));
    Put(object, "median_seconds", restart.median());
    for (const double seconds : restart.seconds) {
      (*object.mutable_fields())["seconds"].mutable_list_value()->add_values()->set_number_value(
          seconds);
    }
  }
  std::string out;
  rows::AppendJson(root, out);
  return out + "\n";
}

std::string ReportMarkdown(const Report& report) {
  std::string out = fmt::format(
      "{}, {} CPUs shared by server and client, load average {} before and {} after. {}: {} x {}, "
      "{} queries, k = 10, M 16, "
      "ef_construct 200, {:.0f} s a run. Commit {}.\n\n",
      report.cpu_model, report.cpus, report.load_before, report.load_after, report.data_set,
      ctl::WithCommas(report.base_rows), report.dimension, ctl::WithCommas(report.query_rows),
      report.seconds_each, report.commit);
  out += "| what | measured | must | stretch |\n|---|---|---|---|\n";
  SearchRows(report, out);
  WriteRows(report, out);
  return out;
}

absl::Status WriteSection(const std::string& path, const std::string& text) {
  const auto files = NewPosixFileSystem();
  ASSIGN_OR_RETURN(const bool exists, files->Exists(path));
  std::string whole;
  if (exists) {
    ASSIGN_OR_RETURN(whole, files->ReadAll(path));
  }
  const size_t begin = whole.find(kBegin);
  const size_t end = whole.find(kEnd);
  const std::string section = std::string(kBegin) + text + std::string(kEnd);
  if (begin != std::string::npos && end != std::string::npos && begin < end) {
    whole.replace(begin, end + kEnd.size() - begin, section);
  } else {
    whole += section;
  }
  return files->WriteAtomically(path, whole);
}

}  // namespace vectron::bench
