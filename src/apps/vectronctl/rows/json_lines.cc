#include <simdjson.h>

#include <cmath>

#include "apps/vectronctl/rows/formats.h"
#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/rows/json_dom.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::rows {
namespace {

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t") == std::string_view::npos;
}

absl::Status ReadVector(const simdjson::dom::element& from, std::vector<float>& into) {
  simdjson::dom::array array;
  if (from.get(array) != simdjson::SUCCESS) return InvalidArgument("vector: wanted an array");
  into.reserve(array.size());
  for (const auto item : array) {
    double value = 0;
    if (item.get(value) != simdjson::SUCCESS) {
      return InvalidArgument("vector[{}]: wanted a number", into.size());
    }
    const auto narrow = static_cast<float>(value);
    if (!std::isfinite(narrow)) {
      return InvalidArgument("vector[{}]: {} is beyond the range of 32-bit floats", into.size(),
                             value);
    }
    into.push_back(narrow);
  }
  return absl::OkStatus();
}

absl::Status ReadId(const simdjson::dom::element& from, std::string& into) {
  std::string_view text;
  int64_t number = 0;
  if (from.get(text) == simdjson::SUCCESS) {
    into = text;
  } else if (from.get(number) == simdjson::SUCCESS) {
    into = std::to_string(number);
  } else {
    return InvalidArgument("id: wanted a string or a whole number");
  }
  if (into.empty()) return InvalidArgument("id: is empty");
  return absl::OkStatus();
}

class JsonLinesReader : public RowReader {
 public:
  explicit JsonLinesReader(std::unique_ptr<ByteSource> source) : lines_(std::move(source)) {}

  absl::StatusOr<std::optional<Row>> Next() override {
    for (;;) {
      auto more = lines_.Next(line_);
      if (!more.ok()) return AtLine(more.status());
      if (!*more) return std::nullopt;
      if (IsBlank(line_)) continue;
      Row row;
      row.number = lines_.line_number() - 1;
      if (auto status = Parse(row); !status.ok()) return AtLine(status);
      return row;
    }
  }
  absl::Status Skip(uint64_t count) override {
    while (lines_.line_number() < count) {
      auto more = lines_.Next(line_);
      if (!more.ok() && more.status().code() != absl::StatusCode::kInvalidArgument) {
        return AtLine(more.status());
      }
      if (more.ok() && !*more) break;
    }
    return absl::OkStatus();
  }
  double Fraction() const override { return lines_.source().Fraction(); }
  uint64_t position() const override { return lines_.line_number(); }
  std::string Place(uint64_t number) const override {
    return fmt::format("{}:{}", lines_.source().path(), number + 1);
  }

 private:
  absl::Status AtLine(const absl::Status& status) const {
    if (status.code() != absl::StatusCode::kInvalidArgument) return status;
    return Annotate(status, Place(lines_.line_number() - 1));
  }
  absl::Status Parse(Row& row) {
    simdjson::dom::element element;
    if (const auto error = parser_.parse(line_).get(element)) {
      return InvalidArgument("no valid JSON: {}", simdjson::error_message(error));
    }
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      return InvalidArgument("wanted a JSON object {{\"id\", \"vector\", \"payload\"}}");
    }
    bool has_vector = false;
    for (const auto field : object) {
      if (field.key == "vector") {
        has_vector = true;
        row.vector.clear();
        RETURN_IF_ERROR(ReadVector(field.value, row.vector));
      } else if (field.key == "id") {
        RETURN_IF_ERROR(ReadId(field.value, row.id));
      } else if (field.key == "payload") {
        if (field.value.is_null()) continue;
        simdjson::dom::object payload;
        if (field.value.get(payload) != simdjson::SUCCESS) {
          return InvalidArgument("payload: wanted an object");
        }
        row.payload.Clear();
        RETURN_IF_ERROR(Annotate(StructFromDom(payload, 1, row.payload), "payload"));
      } else if (field.key != "version") {  // written by export
        return InvalidArgument("unknown key \"{}\"; a point has \"id\", \"vector\" and \"payload\"",
                               field.key);
      }
    }
    if (!has_vector) return InvalidArgument("the key \"vector\" is missing");
    return absl::OkStatus();
  }

  LineReader lines_;
  simdjson::dom::parser parser_;
  std::string line_;
};

class PayloadLines : public PayloadReader {
 public:
  explicit PayloadLines(std::unique_ptr<ByteSource> source) : lines_(std::move(source)) {}

  absl::StatusOr<google::protobuf::Struct> Next() override {
    auto more = lines_.Next(line_);
    if (more.ok() && !*more) {
      return OutOfRange("{}: the file has {} lines, the vectors go on", lines_.source().path(),
                        lines_.line_number());
    }
    if (!more.ok()) return AtLine(more.status());
    if (IsBlank(line_)) return google::protobuf::Struct();
    auto payload = ParseObject(line_);
    if (!payload.ok()) return AtLine(payload.status());
    return payload;
  }
  absl::Status Skip(uint64_t count) override {
    while (lines_.line_number() < count) {
      auto more = lines_.Next(line_);
      if (!more.ok() && more.status().code() != absl::StatusCode::kInvalidArgument) {
        return more.status();
      }
      if (more.ok() && !*more) break;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AtLine(const absl::Status& status) const {
    if (status.code() != absl::StatusCode::kInvalidArgument) return status;
    return Annotate(status, fmt::format("{}:{}", lines_.source().path(), lines_.line_number()));
  }

  LineReader lines_;
  std::string line_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowReader>> OpenJsonLines(std::unique_ptr<ByteSource> source) {
  return std::make_unique<JsonLinesReader>(std::move(source));
}

absl::StatusOr<std::unique_ptr<PayloadReader>> PayloadReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(auto source, ByteSource::Open(path));
  return std::make_unique<PayloadLines>(std::move(source));
}

}  // namespace vectron::rows
