#include <simdjson.h>

#include "apps/vectronctl/rows/formats.h"
#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/rows/json_dom.h"
#include "apps/vectronctl/rows/json_point.h"
#include "base/status.h"

namespace vectron::rows {
namespace {

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t") == std::string_view::npos;
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
      return NoValidJson(line_, error);
    }
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      return InvalidArgument("wanted a JSON object {{\"id\", \"vector\", \"payload\"}}");
    }
    return PointFromDom(object, row);
  }

  LineReader lines_;
  simdjson::dom::parser parser_;
  std::string line_;
};

class PayloadLines : public PayloadReader {
 public:
  explicit PayloadLines(std::unique_ptr<ByteSource> source) : lines_(std::move(source)) {}

  absl::StatusOr<Payload> Next() override {
    auto more = lines_.Next(line_);
    if (more.ok() && !*more) {
      return OutOfRange("{}: the file has {} lines, the vectors go on", lines_.source().path(),
                        lines_.line_number());
    }
    if (!more.ok()) return AtLine(more.status());
    if (IsBlank(line_)) return Payload();
    auto payload = ParsePayloadObject(line_);
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
