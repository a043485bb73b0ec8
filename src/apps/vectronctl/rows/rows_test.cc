#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <fstream>

#include "apps/vectronctl/rows/byte_source.h"
#include "apps/vectronctl/rows/half.h"
#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/rows/row_reader.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::rows {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Gzip(const std::string& bytes, const std::string& path) {
  gzFile file = gzopen(path.c_str(), "wb");
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  gzclose(file);
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string Fvecs() {
  std::string out;
  for (int row = 0; row < 3; ++row) {
    PutFixed<int32_t>(out, 2);
    PutFixed<float>(out, static_cast<float>(row));
    PutFixed<float>(out, 0.5F);
  }
  return out;
}
std::string Bvecs() {
  std::string out;
  for (char row = 0; row < 3; ++row) {
    PutFixed<int32_t>(out, 2);
    out += {row, static_cast<char>(255)};
  }
  return out;
}
std::string F16() {
  std::string out;
  PutFixed<uint32_t>(out, 3);
  PutFixed<uint32_t>(out, 2);
  for (int row = 0; row < 3; ++row) {
    PutFixed<uint16_t>(out, static_cast<uint16_t>(0x3c00 + row));
    PutFixed<uint16_t>(out, 0xc000);
  }
  return out;
}
std::string Npy(const std::string& descr, const std::string& data,
                const std::string& shape = "(3, 2)", const std::string& order = "False") {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += '\n';
  std::string out = "\x93NUMPY";
  out += '\x01';
  out += '\0';
  PutFixed<uint16_t>(out, static_cast<uint16_t>(header.size()));
  return out + header + data;
}
std::string NpyF64() {
  std::string data;
  for (int i = 0; i < 6; ++i) PutFixed<double>(data, i * 0.25);
  return Npy("<f8", data);
}

// Rows read before the end or the first error, and that error.
struct ReadResult {
  std::vector<Row> rows;
  absl::Status status;
};
ReadResult ReadAll(const std::string& path) {
  ReadResult result;
  auto reader = RowReader::Open(path);
  result.status = reader.status();
  while (result.status.ok()) {
    auto row = (*reader)->Next();
    result.status = row.status();
    if (!row.ok() || !row->has_value()) break;
    result.rows.push_back(std::move(**row));
  }
  return result;
}

TEST(RowReader, ReadsEveryFormatPlainAndPacked) {
  TempDir dir;
  const std::string jsonl =
      "{\"id\":\"a\",\"vector\":[0,1],\"payload\":{\"k\":[1,\"x\",null]}}\n\n"
      "{\"id\":7,\"vector\":[2,3]}\r\n{\"vector\":[4,5.5]}";
  const std::vector<std::pair<std::string, std::string>> files = {
      {"a.fvecs", Fvecs()}, {"a.bvecs", Bvecs()}, {"a.f16", F16()},
      {"a.npy", NpyF64()},  {"a.jsonl", jsonl},
  };
  for (const auto& [name, bytes] : files) {
    const auto plain = ReadAll(Write(dir / name, bytes));
    Gzip(bytes, dir / (name + ".gz"));
    const auto packed = ReadAll(dir / (name + ".gz"));
    ASSERT_TRUE(plain.status.ok()) << plain.status;
    ASSERT_TRUE(packed.status.ok()) << packed.status;
    ASSERT_EQ(plain.rows.size(), 3U) << name;
    ASSERT_EQ(packed.rows.size(), 3U) << name;
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(plain.rows[i].vector, packed.rows[i].vector);
  }
  EXPECT_THAT(ReadAll(dir / "a.fvecs").rows[2].vector, ElementsAre(2.0F, 0.5F));
  EXPECT_THAT(ReadAll(dir / "a.bvecs").rows[1].vector, ElementsAre(1.0F, 255.0F));
  EXPECT_THAT(ReadAll(dir / "a.f16").rows[0].vector, ElementsAre(1.0F, -2.0F));
  EXPECT_THAT(ReadAll(dir / "a.npy").rows[2].vector, ElementsAre(1.0F, 1.25F));
  const auto lines = ReadAll(dir / "a.jsonl").rows;
  EXPECT_EQ(lines[0].id, "a");
  EXPECT_EQ(lines[1].id, "7");
  EXPECT_EQ(lines[2].id, "");
  EXPECT_EQ(lines[1].number, 2U);  // the empty line counts
  EXPECT_EQ(lines[0].payload.fields.fields().at("k").list_value().values_size(), 3);
}

TEST(RowReader, RefusesEveryTruncationWithAPosition) {
  TempDir dir;
  const std::vector<std::pair<std::string, std::string>> files = {
      {"a.fvecs", Fvecs()}, {"a.bvecs", Bvecs()}, {"a.f16", F16()}, {"a.npy", NpyF64()}};
  for (const auto& [name, bytes] : files) {
    const bool framed = name.ends_with("vecs");
    const size_t row_bytes = bytes.size() / 3;
    for (size_t size = 0; size < bytes.size(); ++size) {
      SCOPED_TRACE(name + " cut to " + std::to_string(size));
      const auto read = ReadAll(Write(dir / name, bytes.substr(0, size)));
      if (framed && size % row_bytes == 0) {  // a shorter file of its kind
        EXPECT_TRUE(read.status.ok());
        EXPECT_EQ(read.rows.size(), size / row_bytes);
        continue;
      }
      ASSERT_EQ(read.status.code(), absl::StatusCode::kDataLoss) << read.status;
      EXPECT_THAT(std::string(MessageOf(read.status)), HasSubstr("at byte"));
      EXPECT_LT(read.rows.size(), 3U);
    }
    const std::string packed = Gzip(bytes, dir / "whole.gz");
    for (size_t size = 2; size < packed.size(); ++size) {
      SCOPED_TRACE(name + ".gz cut to " + std::to_string(size));
      const auto read = ReadAll(Write(dir / (name + ".gz"), packed.substr(0, size)));
      ASSERT_FALSE(read.status.ok());
      EXPECT_THAT(std::string(MessageOf(read.status)), HasSubstr("byte"));
    }
  }
}

TEST(RowReader, RefusesBytesBehindTheLastRow) {
  TempDir dir;
  const auto read = ReadAll(Write(dir / "a.f16", F16() + "x"));
  EXPECT_THAT(std::string(MessageOf(read.status)), HasSubstr("byte 20: more bytes"));
}

TEST(RowReader, RefusesNpyItCannotRead) {
  TempDir dir;
  const auto message = [&](const std::string& bytes) {
    return std::string(MessageOf(ReadAll(Write(dir / "a.npy", bytes)).status));
  };
  EXPECT_THAT(message("no numpy file at all"), HasSubstr("no .npy file"));
  EXPECT_THAT(message(Npy(">f4", "")), HasSubstr("'>f4'"));
  EXPECT_THAT(message(Npy("<i8", "")), HasSubstr("wanted '<f2'"));
  EXPECT_THAT(message(Npy("<f4", "", "(3, 2)", "True")), HasSubstr("Fortran"));
  EXPECT_THAT(message(Npy("<f4", "", "(3,)")), HasSubstr("two dimensions"));
  EXPECT_THAT(message(Npy("<f4", "", "(3, 2, 1)")), HasSubstr("two dimensions"));
  EXPECT_THAT(message(Npy("<f4", "", "(3, 99999999)")), HasSubstr("wanted 1 to 65535"));
}

TEST(RowReader, GoesOnBehindABadLineAndNamesIt) {
  TempDir dir;
  const std::string path = Write(dir / "a.jsonl",
                                 "{\"vector\":[1]}\n{\"vector\":[1,}\n[1]\n{\"id\":\"x\"}\n"
                                 "{\"vector\":[null]}\n{\"vector\":[1e99]}\n{\"vektor\":[1]}\n"
                                 "{\"vector\":[1],\"payload\":{\"n\":9223372036854775808}}\n"
                                 "{\"vector\":[2]}\n");
  auto reader = RowReader::Open(path);
  ASSERT_TRUE(reader.ok());
  std::vector<std::string> errors;
  std::vector<uint64_t> good;
  for (;;) {
    auto row = (*reader)->Next();
    if (!row.ok()) {
      ASSERT_EQ(row.status().code(), absl::StatusCode::kInvalidArgument);
      errors.emplace_back(MessageOf(row.status()));
    } else if (row->has_value()) {
      good.push_back((*row)->number);
    } else {
      break;
    }
  }
  EXPECT_THAT(good, ElementsAre(0U, 8U));
  ASSERT_EQ(errors.size(), 7U);
  EXPECT_THAT(errors[0], HasSubstr("a.jsonl:2: no valid JSON: malformed JSON at byte 13: "));
  EXPECT_THAT(errors[2], HasSubstr("a.jsonl:4: the key \"vector\" is missing"));
  EXPECT_THAT(errors[3], HasSubstr("a.jsonl:5: vector[0]: wanted a number"));
  EXPECT_THAT(errors[6], HasSubstr("a.jsonl:8: payload: n: 9223372036854775808 would lose digits"));
}

TEST(RowReader, SaysThatJsonHasNoNaNAndAtWhichByte) {
  TempDir dir;
  const auto error = [&](const std::string& line) {
    auto reader = RowReader::Open(Write(dir / "a.jsonl", line + "\n"));
    CHECK_OK(reader.status());
    return std::string(MessageOf((*reader)->Next().status()));
  };
  EXPECT_THAT(error(R"({"id":"a","vector":[1,NaN]})"),
              HasSubstr("a.jsonl:1: no valid JSON: malformed JSON at byte 22: JSON has no NaN"));
  EXPECT_THAT(error(R"({"id":"a","vector":[1],"payload":{"x":-Infinity}})"),
              HasSubstr("malformed JSON at byte 38: JSON has no -Infinity"));
  auto payloads = PayloadReader::Open(Write(dir / "p.jsonl", "{}\n{\"x\": NaN}\n"));
  ASSERT_TRUE(payloads.ok() && (*payloads)->Next().ok());
  EXPECT_THAT(std::string(MessageOf((*payloads)->Next().status())),
              HasSubstr("p.jsonl:2: no valid JSON: malformed JSON at byte 6: JSON has no NaN"));
}

// id, vector and payload of each point, one a line; the first error ends it.
std::string Points(const std::string& path) {
  auto reader = RowReader::Open(path);
  if (!reader.ok()) return std::string(MessageOf(reader.status()));
  std::string out;
  for (;;) {
    auto row = (*reader)->Next();
    if (!row.ok()) return out + std::string(MessageOf(row.status()));
    if (!row->has_value()) return out;
    out += fmt::format("{} [{}] ", (*row)->id, fmt::join((*row)->vector, ","));
    AppendJson((*row)->payload.fields, out);
    out += "\n";
  }
}

TEST(RowReader, ReadsWhatQdrantExports) {
  TempDir dir;
  const std::string point =
      R"({"id":18446744073709551615,"payload":{"city":"Paris"},"vector":[1,2.5],"shard_key":null,"order_value":7})";
  const std::string wanted = "18446744073709551615 [1,2.5] {\"city\":\"Paris\"}\n";
  EXPECT_EQ(Points(Write(dir / "a.jsonl", point + "\n")), wanted);
  EXPECT_EQ(Points(Write(dir / "a.json", R"({"result":{"points":[)" + point +
                                             R"(],"next_page_offset":null},"status":"ok"})")),
            wanted);
  EXPECT_EQ(
      Points(Write(dir / "named.json", R"([{"id":"x","vector":{"text":[1]},"payload":null}])")),
      "x [1] {}\n");
  EXPECT_THAT(Points(Write(dir / "two.json", R"([{"id":"x","vector":{"a":[1],"b":[2]}}])")),
              HasSubstr("two.json: point 0: vector: 2 named vectors"));
}

TEST(RowReader, ReadsWhatChromaExports) {
  TempDir dir;
  EXPECT_EQ(
      Points(Write(dir / "a.json",
                   R"({"ids":["a","b"],"embeddings":[[1,2],[3,4]],"metadatas":[{"n":1},null],)"
                   R"("documents":["one",null],"uris":null,"included":["documents"]})")),
      "a [1,2] {\"document\":\"one\",\"n\":1}\nb [3,4] {}\n");
  EXPECT_THAT(Points(Write(dir / "b.json", R"({"ids":["a"],"embeddings":null})")),
              HasSubstr("1 ids, but 0 embeddings"));
  EXPECT_THAT(Points(Write(dir / "c.json", R"({"a":1})")), HasSubstr("unknown layout"));
}

TEST(RowReader, ReadsRowsOfATableWithAPgvectorColumn) {
  TempDir dir;
  EXPECT_EQ(
      Points(Write(dir / "a.jsonl", R"({"id":7,"embedding":"[0.5,-1]","title":"t","tags":["x"]})"
                                    "\n")),
      "7 [0.5,-1] {\"tags\":[\"x\"],\"title\":\"t\"}\n");
  EXPECT_THAT(Points(Write(dir / "b.jsonl", R"({"id":7,"embedding":"0.5"})")),
              HasSubstr("vector: a string has to hold an array"));
}

TEST(RowReader, SkipLandsOnTheSameRowAsReading) {
  TempDir dir;
  const std::string lines = "{\"vector\":[0]}\n\nbad\n{\"vector\":[3]}\n{\"vector\":[4]}\n";
  for (uint64_t count = 0; count <= 6; ++count) {
    auto reader = RowReader::Open(Write(dir / "a.jsonl", lines));
    ASSERT_TRUE((*reader)->Skip(count).ok());
    std::optional<uint64_t> next;
    for (;;) {
      auto row = (*reader)->Next();
      if (row.ok() && row->has_value()) next = (*row)->number;
      if (row.ok()) break;
    }
    const std::optional<uint64_t> wanted = count == 0   ? std::optional<uint64_t>(0)
                                           : count <= 3 ? std::optional<uint64_t>(3)
                                           : count == 4 ? std::optional<uint64_t>(4)
                                                        : std::nullopt;
    EXPECT_EQ(next, wanted) << count;
  }
}

TEST(LineReader, SkipsALineThatIsTooLong) {
  TempDir dir;
  const std::string path =
      Write(dir / "a.txt", "one\n" + std::string(LineReader::kMaxLineBytes + 5, 'x') + "\nthree");
  LineReader lines(std::move(ByteSource::Open(path).value()));
  std::string line;
  EXPECT_TRUE(lines.Next(line).value());
  EXPECT_EQ(lines.Next(line).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(lines.Next(line).value());
  EXPECT_EQ(line, "three");
  EXPECT_EQ(lines.line_number(), 3U);
  EXPECT_FALSE(lines.Next(line).value());
}

TEST(ReadTruth, ReadsBothKindsAndRefusesEveryTruncation) {
  TempDir dir;
  std::string ivecs;
  std::string u32;
  PutFixed<uint32_t>(u32, 2);
  PutFixed<uint32_t>(u32, 3);
  for (uint32_t q = 0; q < 2; ++q) {
    PutFixed<int32_t>(ivecs, 3);
    for (uint32_t i = 0; i < 3; ++i) {
      PutFixed<uint32_t>(ivecs, 10 * q + i);
      PutFixed<uint32_t>(u32, 10 * q + i);
    }
  }
  for (const auto& [name, bytes] :
       std::vector<std::pair<std::string, std::string>>{{"t.ivecs", ivecs}, {"t.u32", u32}}) {
    const auto truth = ReadTruth(Write(dir / name, bytes));
    ASSERT_TRUE(truth.ok()) << truth.status();
    EXPECT_EQ(truth->queries, 2U);
    EXPECT_THAT(truth->rows, ElementsAre(0, 1, 2, 10, 11, 12));
    for (size_t size = 1; size < bytes.size(); ++size) {
      if (name == "t.ivecs" && size == bytes.size() / 2) continue;
      EXPECT_FALSE(ReadTruth(Write(dir / name, bytes.substr(0, size))).ok()) << name << size;
    }
  }
}

TEST(HalfToFloat, KnowsTheCornersOfTheFormat) {
  EXPECT_EQ(HalfToFloat(0x0000), 0.0F);
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
  EXPECT_EQ(HalfToFloat(0x0001), 0x1p-24F);
  EXPECT_EQ(HalfToFloat(0x03ff), 0x3ffp-24F);
  EXPECT_EQ(HalfToFloat(0x0400), 0x1p-14F);
  EXPECT_EQ(HalfToFloat(0x7bff), 65504.0F);
  EXPECT_EQ(HalfToFloat(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7e00)));
}

TEST(Json, TextSurvivesTheWayThroughAStruct) {
  const std::string text =
      "{\"a\":[1,2.5,-0.1,true,null,\"q\\\"\\\\\\n\\u0001ü\"],\"b\":{\"c\":{}},\"n\":"
      "9007199254740992}";
  auto value = ParseObject(text);
  ASSERT_TRUE(value.ok()) << value.status();
  std::string out;
  AppendJson(*value, out);
  EXPECT_EQ(out, text);
}

TEST(Json, APayloadKeepsTheDigitsOfLargeWholeNumbersBesideTheStruct) {
  const std::string text =
      R"({"a":[{"n":-9007199254740993},"x"],"b":9223372036854775807,"c":1e+300,"d":1,"e":0.5})";
  auto payload = ParsePayloadObject(text);
  ASSERT_TRUE(payload.ok()) << payload.status();
  EXPECT_EQ(payload->texts.size(), 2U);
  EXPECT_EQ(payload->texts.at("b"), "9223372036854775807");
  EXPECT_EQ(payload->fields.fields().at("b").number_value(), 0x1p63);
  std::string out;
  AppendPayload(payload->fields, payload->texts, out);
  EXPECT_EQ(out, text);
  EXPECT_FALSE(ParseObject(text).ok());  // a Struct alone would change it
}

TEST(Json, ArraysAreReadElementByElement) {
  EXPECT_THAT(ParseArray(R"( [1, {"a" : 9007199254740993}, [] ] )").value(),
              ElementsAre("1", R"({"a":9007199254740993})", "[]"));
  EXPECT_TRUE(ParseArray("[]")->empty());
  EXPECT_FALSE(ParseArray("{}").ok());
  EXPECT_FALSE(ParseArray("[1").ok());
}

TEST(Json, OfDoubledKeysTheLastOneCounts) {
  auto payload =
      ParsePayloadObject(R"({"a":9007199254740993,"a":1,"b":{"x":1},"b":{"y":2},"c":[1],"c":[2]})");
  ASSERT_TRUE(payload.ok()) << payload.status();
  std::string out;
  AppendPayload(payload->fields, payload->texts, out);
  EXPECT_EQ(out, R"({"a":1,"b":{"y":2},"c":[2]})");
}

TEST(Json, RefusesDeepNesting) {
  const auto nested = [](size_t depth) {
    std::string open;
    std::string close;
    for (size_t i = 0; i < depth; ++i) {
      open += "{\"a\":";
      close += "}";
    }
    return open + "1" + close;
  };
  EXPECT_TRUE(ParseObject(nested(32)).ok());
  EXPECT_FALSE(ParseObject(nested(33)).ok());
}

}  // namespace
}  // namespace vectron::rows
