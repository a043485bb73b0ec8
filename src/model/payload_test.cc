#include "model/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/json_testing.h"
#include "model/payload_proto.h"
#include "model/text.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;
using testing_json::OddText;
using testing_json::RandomObject;
using testing_json::SameJson;

std::string Normal(std::string_view json) {
  const auto text = NormalizePayload(json);
  return text.ok() ? *text : "error: " + std::string(MessageOf(text.status()));
}

TEST(Payload, NormalTextHasNoSpaceAndCanonicalScalars) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {" { } ", ""},
      {R"( { "a" : 1 , "b" : [ 1.5 , true , null , "x" ] } )",
       R"({"a":1,"b":[1.5,true,null,"x"]})"},
      {R"({"a":9007199254740993})", R"({"a":9007199254740993})"},
      {R"({"a":-9223372036854775808})", R"({"a":-9223372036854775808})"},
      {R"({"a":9223372036854775808})", R"({"a":9.223372036854776e+18})"},
      {R"({"a":12345678901234567890123})", R"({"a":1.2345678901234568e+22})"},
      {R"({"a":1.0,"b":-0.0,"c":-0,"d":1e2})", R"({"a":1.0,"b":-0.0,"c":0,"d":100.0})"},
      {R"({"a":0.1,"b":5e-324,"c":1.7976931348623157e308})",
       R"({"a":0.1,"b":5e-324,"c":1.7976931348623157e+308})"},
      {R"({"\u0041\/":"\u00e9\ud83d\ude00\u0000\u001f\b\f\n\r\t\"\\"})",
       "{\"A/\":\"\xc3\xa9\xf0\x9f\x98\x80\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\"}"},
      {"{\"a\":\"\x7f\xc2\x80\"}", "{\"a\":\"\x7f\xc2\x80\"}"},
  };
  for (const auto& [json, normal] : cases) EXPECT_EQ(Normal(json), normal) << json;
}

TEST(Payload, LastOfDoubledKeysWins) {
  EXPECT_EQ(Normal(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
  EXPECT_EQ(Normal(R"({"a":{"x":1,"\u0078":[2]},"b":2,"b":null,"b":4})"),
            R"({"a":{"x":[2]},"b":4})");
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many += fmt::format("\"k{}\":{},", i % 100, i);
  many.back() = '}';
  const std::string normal = Normal(many);
  EXPECT_THAT(normal, testing::StartsWith(R"({"k0":900,"k1":901,)"));
  EXPECT_EQ(*ParsePayload(many), *ParsePayload(normal));
}

TEST(Payload, ParseWriteNormalizeAgree) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const Value payload = RandomObject(random, 5);
    const std::string odd = OddText(random, payload);
    const std::string text = WritePayload(payload);
    const auto parsed = ParsePayload(odd);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << odd;
    EXPECT_EQ(*parsed, payload) << odd;
    EXPECT_EQ(Normal(odd), text) << odd;
    EXPECT_EQ(Normal(text), text);
    EXPECT_EQ(*ParsePayload(text), payload);
  }
}

TEST(Payload, MalformedTextIsRefusedWithItsPosition) {
  const std::pair<std::string, const char*> cases[] = {
      {"[1]", "at byte 0"},
      {"1", "at byte 0"},
      {" \"a\"", "at byte 1"},
      {R"({"a":tru})", "at byte 5"},
      {R"({"a":nulll})", "at byte 5"},
      {R"({"a":01})", "at byte 5"},
      {R"({"a":1.})", "at byte 5"},
      {R"({"a":.5})", "at byte 5"},
      {R"({"a":+1})", "at byte 5"},
      {R"({"a":1e400})", "at byte 5"},
      {R"({"a":NaN})", "at byte 5"},
      {R"({"a":1,})", "at byte 7"},
      {R"({"a" 1})", "at byte 5"},
      {R"({"a":[1 2]})", "at byte 8"},
      {R"({"a":[1,]})", "at byte 8"},
      {R"({"a":1]})", "at byte 6"},
      {R"({"a":1}})", "at byte 7"},
      {R"({"a":1} {})", "at byte 8"},
      {R"({"a":"x)", "at byte 7"},
      {R"({"a":"\x"})", "at byte 5"},
      {R"({"a":"\ud800"})", "at byte 5"},
      {R"({"a":"\udc00"})", "at byte 5"},
      {R"({"a":"\u12"})", "at byte 5"},
      {R"({1:2})", "at byte 1"},
      {R"({'a':2})", "at byte 1"},
      {"{\"a\":\"\xff\"}", "at byte 6: not valid UTF-8"},
      {"{\"a\":\"b\x01\"}", "at byte 7: a control character"},
      {"   ", "at byte 3"},
      {"{\"a\":1", "at byte 6"},
  };
  for (const auto& [json, message] : cases) {
    for (const absl::Status& status :
         {ParsePayload(json).status(), NormalizePayload(json).status()}) {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
      EXPECT_THAT(std::string(MessageOf(status)), HasSubstr(message)) << json;
      EXPECT_EQ(ValidUtf8Length(MessageOf(status)), MessageOf(status).size());
    }
  }
}

TEST(Payload, EveryTruncationIsRefused) {
  const std::string json =
      R"({"a":[1,-2.5e3,{"b":null}],"c":"x\u00e9\n","d":true,"e":{"f":{},"g":[]}})";
  ASSERT_EQ(Normal(json),
            R"({"a":[1,-2500.0,{"b":null}],"c":"xé\n","d":true,"e":{"f":{},"g":[]}})");
  for (size_t size = 1; size < json.size(); ++size) {
    const std::string cut = json.substr(0, size);
    for (const absl::Status& status :
         {ParsePayload(cut).status(), NormalizePayload(cut).status()}) {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << cut;
      EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("at byte ")) << cut;
    }
  }
}

TEST(Payload, RandomDamageNeverCrashesAndBothParsersAgree) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    std::string json = OddText(random, RandomObject(random, 4));
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      static constexpr std::string_view kBytes = "{}[]:,\"\\0123eE+-. tfn\x80\xff\xc3\x01";
      json[random.Below(json.size())] = kBytes[random.Below(kBytes.size())];
    }
    const auto parsed = ParsePayload(json);
    const auto normal = NormalizePayload(json);
    ASSERT_EQ(parsed.ok(), normal.ok()) << json << "\n" << parsed.status() << normal.status();
    if (!parsed.ok()) {
      EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    EXPECT_EQ(WritePayload(*parsed), *normal) << json;
  }
}

TEST(Payload, DepthIsBounded) {
  const auto nested = [](size_t levels) {
    return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
  };
  EXPECT_TRUE(NormalizePayload(nested(kMaxJsonDepth)).ok());
  EXPECT_TRUE(ParsePayload(nested(kMaxJsonDepth)).ok());
  for (const size_t levels : {size_t{kMaxJsonDepth} + 1, size_t{1000}, size_t{100'000}}) {
    EXPECT_THAT(Normal(nested(levels)), HasSubstr("too deeply")) << levels;
    EXPECT_FALSE(ParsePayload(nested(levels)).ok());
  }
  EXPECT_FALSE(ParsePayload("{\"a\":" + std::string(100'000, '[')).ok());
}

TEST(Payload, SizeIsBounded) {
  const auto sized = [](size_t bytes) { return "{\"a\":\"" + std::string(bytes - 8, 'x') + "\"}"; };
  EXPECT_TRUE(NormalizePayload(sized(kMaxPayloadBytes)).ok());
  EXPECT_THAT(Normal(sized(kMaxPayloadBytes + 1)),
              HasSubstr("payload has 1048577 bytes, at most 1048576"));
  EXPECT_FALSE(ParsePayload(sized(kMaxPayloadBytes + 1)).ok());
}

TEST(Payload, SelectKeepsTheNamedKeysInStoredOrder) {
  const std::string text = R"({"a":1,"b":{"c":[1,2]},"d":"x"})";
  EXPECT_EQ(SelectPayloadFields(text, {"d", "b", "z"}), R"({"b":{"c":[1,2]},"d":"x"})");
  EXPECT_EQ(SelectPayloadFields(text, {"c"}), "");
  EXPECT_EQ(SelectPayloadFields("", {"c"}), "");
}

TEST(PayloadProto, TypedAndTextualMapsJoinAndTypedWins) {
  v1::Point point;
  (*point.mutable_payload())["b"] = "text";
  (*point.mutable_payload())["a"] = "12";
  auto& fields = *point.mutable_fields()->mutable_fields();
  fields["b"].set_number_value(2);
  fields["c"].set_number_value(0.5);
  fields["d"].mutable_list_value()->add_values()->set_bool_value(true);
  const auto text = PayloadFromProto(point.payload(), point.fields());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, R"({"a":"12","b":2,"c":0.5,"d":[true]})");
}

TEST(PayloadProto, OldClientsReadBackWhatTheyWrote) {
  v1::Point written;
  (*written.mutable_payload())["s"] = "plain \"text\"";
  (*written.mutable_payload())["n"] = "1";
  const auto text = PayloadFromProto(written.payload(), written.fields());
  ASSERT_TRUE(text.ok());
  v1::Point read;
  PayloadToProto(*text, read);
  EXPECT_EQ(read.payload().size(), 2u);
  EXPECT_EQ(read.payload().at("s"), "plain \"text\"");
  EXPECT_EQ(read.payload().at("n"), "1");
  EXPECT_EQ(read.fields().fields().at("n").string_value(), "1");
}

TEST(PayloadProto, OtherValuesAreJsonInTheTextualMap) {
  v1::Point point;
  PayloadToProto(R"({"a":1,"b":1.0,"c":null,"d":[1,"x"],"e":{"f":true}})", point);
  EXPECT_EQ(point.payload().at("a"), "1");
  EXPECT_EQ(point.payload().at("b"), "1.0");
  EXPECT_EQ(point.payload().at("c"), "null");
  EXPECT_EQ(point.payload().at("d"), R"([1,"x"])");
  EXPECT_EQ(point.payload().at("e"), R"({"f":true})");
  EXPECT_EQ(point.fields().fields().at("a").number_value(), 1);
  EXPECT_EQ(point.fields().fields().at("c").kind_case(), google::protobuf::Value::kNullValue);
}

TEST(PayloadProto, BothMapsTogetherKeepTheDigitsOfLargeWholeNumbers) {
  const std::string text =
      R"({"a":[{"n":-9007199254740993}],"b":9007199254740993,"c":9223372036854775807,)"
      R"("d":-9223372036854775808,"e":9007199254740992.0,"f":1e+300,"g":"9007199254740993"})";
  v1::Point point;
  PayloadToProto(text, point);
  EXPECT_EQ(*PayloadFromProto(point.payload(), point.fields()), text);
}

TEST(PayloadProto, ATextThatIsAnotherValueThanTheTypedOneIsPassedOver) {
  for (const char* other : {"9007199254740995", "9007199254740993,\"x\":1", "no JSON", "",
                            "\"9007199254740993\"", "[9007199254740993]"}) {
    v1::Point point;
    (*point.mutable_payload())["n"] = other;
    (*point.mutable_fields()->mutable_fields())["n"].set_number_value(0x1p53);
    EXPECT_EQ(*PayloadFromProto(point.payload(), point.fields()), R"({"n":9007199254740992.0})")
        << other;
  }
}

TEST(PayloadProto, EmptyPayloadLeavesFieldsUnset) {
  v1::Point point;
  PayloadToProto("", point);
  EXPECT_FALSE(point.has_fields());
  EXPECT_EQ(*PayloadFromProto(point.payload(), point.fields()), "");
}

TEST(PayloadProto, TreesSurviveTheWayThroughStruct) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const Value payload = RandomObject(random, 4);
    v1::Point point;
    PayloadToProto(WritePayload(payload), point);
    point.clear_payload();
    const auto text = PayloadFromProto(point.payload(), point.fields());
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_TRUE(SameJson(*ParsePayload(*text), payload)) << *text;
  }
}

TEST(ExcerptPayload, KeepsTheBeginningOfEachField) {
  const std::string longest(kExcerptFieldBytes, 'a');
  const std::string text = longest + "b";
  const Value excerpt = *ParsePayload(ExcerptPayload(
      R"({"text":")" + text + R"(","n":-7,"list":["x",3,")" + text + R"(","y"],"object":{"k":")" +
      text + R"("},"flag":true,"short":{"k":[1,null]}})"));
  EXPECT_EQ(*excerpt.Find("text"), Value(longest));
  EXPECT_EQ(*excerpt.Find("n"), Value(int64_t{-7}));
  EXPECT_EQ(*excerpt.Find("flag"), Value(true));
  EXPECT_EQ(*excerpt.Find("short"), *ParsePayload(R"({"s":{"k":[1,null]}})")->Find("s"));
  const Array& list = *excerpt.Find("list")->get<Array>();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0], Value(std::string("x")));
  EXPECT_EQ(list[1], Value(int64_t{3}));
  EXPECT_TRUE(longest.starts_with(*list[2].get<std::string>()));
  EXPECT_TRUE(excerpt.Find("object")->get<std::string>()->starts_with(R"({"k":"aaa)"));
}

TEST(ExcerptPayload, IsBoundedAndPassesOverWhatDoesNotFit) {
  std::string payload = R"({"a":1)";
  for (int i = 0; i < 100; ++i) {
    payload += fmt::format(R"(,"f{}":"{}")", i, std::string(kExcerptFieldBytes, 'y'));
  }
  payload += R"(,"last":"here"})";
  const std::string excerpt = ExcerptPayload(payload);
  EXPECT_LE(excerpt.size(), kExcerptBytes);
  const Value tree = *ParsePayload(excerpt);
  EXPECT_NE(tree.Find("f2"), nullptr);
  EXPECT_EQ(tree.Find("f99"), nullptr);
  EXPECT_EQ(*tree.Find("last"), Value(std::string("here")));
  EXPECT_EQ(ExcerptPayload(""), "");
}

TEST(ExcerptPayload, CutsAtACharacter) {
  std::string text = "xx";
  while (text.size() <= kExcerptFieldBytes) text += "\xe6\x9d\xb1";
  const Value excerpt = *ParsePayload(ExcerptPayload(R"({"t":")" + text + R"("})"));
  const std::string& cut = *excerpt.Find("t")->get<std::string>();
  EXPECT_TRUE(text.starts_with(cut));
  EXPECT_EQ(cut.size() % 3, 2u);
}

TEST(PayloadProto, RefusesWhatJsonCannotHold) {
  v1::Point point;
  auto& fields = *point.mutable_fields()->mutable_fields();
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    fields["price"].set_number_value(bad);
    const auto text = PayloadFromProto(point.payload(), point.fields());
    ASSERT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(MessageOf(text.status())), HasSubstr("fields 'price'"));
  }
  fields["price"].set_string_value("\xff");
  EXPECT_FALSE(PayloadFromProto(point.payload(), point.fields()).ok());
  auto* nested = &fields["price"];
  for (int i = 0; i < 1000; ++i) nested = nested->mutable_list_value()->add_values();
  EXPECT_FALSE(PayloadFromProto(point.payload(), point.fields()).ok());
}

TEST(PayloadProto, WholeDoublesBelow2To53BecomeIntegers) {
  google::protobuf::Value value;
  value.set_number_value(0x1p53 - 1);
  EXPECT_EQ(*ValueFromProto(value, 1), Value(int64_t{9007199254740991}));
  value.set_number_value(0x1p53);
  EXPECT_EQ(*ValueFromProto(value, 1), Value(0x1p53));
  value.set_number_value(-2.5);
  EXPECT_EQ(*ValueFromProto(value, 1), Value(-2.5));
}

}  // namespace
}  // namespace vectron
