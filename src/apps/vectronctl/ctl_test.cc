#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "apps/vectronctl/batch_sender.h"
#include "apps/vectronctl/collections.h"
#include "apps/vectronctl/import_state.h"
#include "apps/vectronctl/points.h"
#include "apps/vectronctl/terminal.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Words(const absl::Status& status) { return std::string(MessageOf(status)); }

TEST(ParseVector, TakesCommasBlanksAndBrackets) {
  EXPECT_THAT(ParseVector("0.1,-2,3e2").value(), ElementsAre(0.1F, -2.0F, 300.0F));
  EXPECT_THAT(ParseVector(" [1, 2 ,3]\n").value(), ElementsAre(1.0F, 2.0F, 3.0F));
  EXPECT_THAT(ParseVector("1 2\n3\n").value(), ElementsAre(1.0F, 2.0F, 3.0F));
}

TEST(ParseVector, NamesThePositionOfWhatIsWrong) {
  EXPECT_THAT(Words(ParseVector("1,x").status()), HasSubstr("character 3: wanted a number"));
  EXPECT_THAT(Words(ParseVector("1,,2").status()), HasSubstr("character 3"));
  EXPECT_THAT(Words(ParseVector("[1,2").status()), HasSubstr("character 5: wanted ']'"));
  EXPECT_THAT(Words(ParseVector("[1] 2").status()), HasSubstr("character 5: wanted the end"));
  EXPECT_THAT(Words(ParseVector("1e99").status()), HasSubstr("character 1"));
  EXPECT_THAT(Words(ParseVector("nan").status()), HasSubstr("a number"));
  EXPECT_FALSE(ParseVector("").ok());
}

TEST(ParseFilter, ReadsTheContractsExample) {
  const auto filter = ParseFilter(
      "{\"must\":[{\"field\":\"section\",\"match\":[\"sound\",\"video\"]},{\"field\":\"size_kb\","
      "\"range\":{\"gte\":10,\"lt\":500}}],\"must_not\":[{\"field\":\"tags[]\",\"match\":\"x\"}]}");
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_EQ(filter->must_size(), 2);
  EXPECT_EQ(filter->must(0).match().list_value().values_size(), 2);
  EXPECT_EQ(filter->must(1).range().gte().number_value(), 10);
}

TEST(ParseFilter, RefusesAMisspeltCondition) {
  EXPECT_FALSE(ParseFilter("{\"must\":[{\"field\":\"a\",\"mach\":1}]}").ok());
  EXPECT_THAT(Words(ParseFilter("{\"must\":[{\"field\":\"a\",\"match\":1}}").status()),
              HasSubstr("filter: malformed JSON at byte "));
  EXPECT_FALSE(ParseFilter("not json").ok());
  EXPECT_FALSE(ParseFilter("@/no/such/file").ok());
}

TEST(ParsePayloadIndex, SplitsAtTheLastColonAndNamesTheTypes) {
  const auto index = ParsePayloadIndex("a:b[]:integer");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->field(), "a:b[]");
  EXPECT_EQ(index->type(), v1::INTEGER);
  EXPECT_EQ(ParsePayloadIndex("section:KEYWORD")->type(), v1::KEYWORD);
  EXPECT_THAT(Words(ParsePayloadIndex("a:int").status()), HasSubstr("keyword, integer"));
  EXPECT_FALSE(ParsePayloadIndex(":integer").ok());
}

TEST(Shorten, CutsBetweenCharactersOfUtf8) {
  EXPECT_EQ(Shorten("Müller", 6), "Müller");
  EXPECT_EQ(Shorten("Müller", 3), "Mü…");
  EXPECT_EQ(Shorten("äöü", 2), "ä…");
}

TEST(Table, AlignsColumnsAndKeepsToTheWidth) {
  Table table({">n", "id", "text"});
  table.AddRow({"1", "äö", "hello world"});
  table.AddRow({"12", "b", ""});
  EXPECT_EQ(table.Render(0), " n  id  text\n 1  äö  hello world\n12  b\n");
  EXPECT_EQ(table.Render(12), " n  id  text\n 1  äö  hel…\n12  b\n");
}

TEST(Numbers, ReadWell) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1'234'567), "1,234,567");
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanSeconds(65), "1:05");
  EXPECT_EQ(HumanSeconds(7389), "2:03:09");
}

TEST(ImportState, SurvivesTheWayThroughItsFile) {
  const ImportState state{"/a \"b\"", "12-3.4", "docs", "h:1", "p-", "import-1", 12'345, 12'000, 7};
  const auto read = ParseImportState(WriteImportState(state));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(WriteImportState(*read), WriteImportState(state));
  EXPECT_EQ(read->rows_done, 12'345U);
  EXPECT_TRUE(CheckSameImport(*read, state).ok());
}

TEST(ImportState, RefusesEveryTruncation) {
  const std::string text = WriteImportState(ImportState{"/a", "1", "c", "h", "", "i", 1, 2, 3});
  for (size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_FALSE(ParseImportState(text.substr(0, size)).ok()) << size;
  }
}

TEST(ImportState, IsRefusedForAnotherImport) {
  const ImportState saved{"/a", "1", "c", "h", "", "i", 1, 2, 3};
  ImportState other = saved;
  other.collection = "d";
  EXPECT_THAT(Words(CheckSameImport(saved, other)), HasSubstr("the collection was 'c' and is 'd'"));
  other = saved;
  other.input_stamp = "2";
  EXPECT_THAT(Words(CheckSameImport(saved, other)), HasSubstr("has changed"));
}

// Batches of random sizes over rows 0..count-1, where some points are refused.
struct SenderRun {
  SendTotals totals;
  absl::Status status;
  std::set<std::string> written;
  std::set<uint64_t> reported;
  std::set<std::string> request_ids;
};

SenderRun RunSender(uint64_t seed, uint64_t count,
                    const std::function<absl::Status(uint64_t row)>& judge) {
  SenderRun run;
  std::mutex mutex;
  SenderOptions options;
  options.in_flight = 3;
  options.send = [&](const v1::UpsertRequest& request) {
    std::lock_guard lock(mutex);
    EXPECT_TRUE(run.request_ids.insert(request.request_id()).second) << request.request_id();
    EXPECT_LE(request.request_id().size(), 128U);
    for (const auto& point : request.points()) {
      if (auto status = judge(std::stoull(point.id())); !status.ok()) return status;
    }
    for (const auto& point : request.points()) run.written.insert(point.id());
    return absl::OkStatus();
  };
  options.report = [&](uint64_t row, std::string_view) { run.reported.insert(row); };
  BatchSender sender(std::move(options), {});
  Random random(seed);
  for (uint64_t row = 0; row < count && run.status.ok();) {
    Batch batch;
    batch.first_row = row;
    for (uint64_t left = 1 + random.Below(20); left > 0 && row < count; --left, ++row) {
      batch.request.add_points()->set_id(std::to_string(row));
      batch.row_numbers.push_back(row);
    }
    batch.end_row = row;
    batch.request.set_request_id("import-0123456789abcdef-" + std::to_string(batch.first_row));
    run.status = sender.Push(std::move(batch));
  }
  if (run.status.ok()) run.status = sender.Drain();
  run.totals = sender.totals();
  return run;
}

TEST(BatchSender, WritesAllButTheRefusedPointsAndReportsThose) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed + 100);
    std::set<uint64_t> refused;
    for (int i = 0; i < 30; ++i) refused.insert(random.Below(500));
    const SenderRun run = RunSender(seed, 500, [&](uint64_t row) {
      return refused.contains(row) ? InvalidArgument("bad") : absl::OkStatus();
    });
    ASSERT_TRUE(run.status.ok()) << run.status;
    EXPECT_EQ(run.reported, refused);
    EXPECT_EQ(run.written.size(), 500 - refused.size());
    EXPECT_EQ(run.totals.rows_done, 500U);
    EXPECT_EQ(run.totals.points_written, 500 - refused.size());
    EXPECT_EQ(run.totals.rows_bad, refused.size());
  }
}

TEST(BatchSender, AfterAnErrorEverythingBeforeRowsDoneIsWritten) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const SenderRun run = RunSender(seed, 500, [&](uint64_t row) {
      return row == 250 ? Unavailable("gone") : absl::OkStatus();
    });
    EXPECT_EQ(run.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_LE(run.totals.rows_done, 250U);
    for (uint64_t row = 0; row < run.totals.rows_done; ++row) {
      EXPECT_TRUE(run.written.contains(std::to_string(row))) << row;
    }
  }
}

}  // namespace
}  // namespace vectron::ctl
