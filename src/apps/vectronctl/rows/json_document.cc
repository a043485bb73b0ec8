// Whole JSON documents: the answers of other databases' APIs, saved to a file.

#include <simdjson.h>

#include <algorithm>

#include "apps/vectronctl/rows/formats.h"
#include "apps/vectronctl/rows/json_dom.h"
#include "apps/vectronctl/rows/json_point.h"
#include "base/status.h"

namespace vectron::rows {
namespace {

using simdjson::SUCCESS;

constexpr size_t kMaxDocumentBytes = size_t{2} << 30;  // the parser takes up to 4 GiB

absl::StatusOr<std::string> ReadWhole(ByteSource& source) {
  std::string text;
  constexpr size_t kChunk = size_t{1} << 20;
  for (;;) {
    const size_t start = text.size();
    if (start >= kMaxDocumentBytes) {
      return InvalidArgument("{}: larger than {} MiB; write it as JSON Lines, a point a line",
                             source.path(), kMaxDocumentBytes >> 20);
    }
    text.resize(start + kChunk);
    ASSIGN_OR_RETURN(const size_t got, source.Read(text.data() + start, kChunk));
    text.resize(start + got);
    if (got < kChunk) return text;
  }
}

// One way to find the points of a document.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual size_t size() const = 0;
  virtual absl::Status Get(size_t i, Row& row) const = 0;
};

// An array of points.
class PointList : public Layout {
 public:
  explicit PointList(const simdjson::dom::array& points) {
    for (const auto point : points) points_.push_back(point);
  }
  size_t size() const override { return points_.size(); }
  absl::Status Get(size_t i, Row& row) const override {
    simdjson::dom::object object;
    if (points_[i].get(object) != SUCCESS) return InvalidArgument("wanted an object");
    return PointFromDom(object, row);
  }

 private:
  std::vector<simdjson::dom::element> points_;  // an array is walked in order only
};

// Chroma: columns of equal length; metadata and document become the payload.
class Columns : public Layout {
 public:
  static absl::StatusOr<std::unique_ptr<Layout>> Make(const simdjson::dom::object& from) {
    auto columns = std::make_unique<Columns>();
    RETURN_IF_ERROR(Read(from, "ids", columns->ids_));
    RETURN_IF_ERROR(Read(from, "embeddings", columns->vectors_));
    RETURN_IF_ERROR(Read(from, "metadatas", columns->metadata_));
    RETURN_IF_ERROR(Read(from, "documents", columns->documents_));
    const size_t count = columns->ids_.size();
    if (columns->vectors_.size() != count) {
      return InvalidArgument(
          "{} ids, but {} embeddings: export with include=[\"embeddings\", \"metadatas\", "
          "\"documents\"]",
          count, columns->vectors_.size());
    }
    for (const auto* column : {&columns->metadata_, &columns->documents_}) {
      if (!column->empty() && column->size() != count) {
        return InvalidArgument("columns of different lengths: {} and {}", count, column->size());
      }
    }
    return std::unique_ptr<Layout>(std::move(columns));
  }

  size_t size() const override { return ids_.size(); }
  absl::Status Get(size_t i, Row& row) const override {
    RETURN_IF_ERROR(IdFromDom(ids_[i], row.id));
    RETURN_IF_ERROR(VectorFromDom(vectors_[i], row.vector));
    simdjson::dom::object metadata;
    if (!metadata_.empty() && metadata_[i].get(metadata) == SUCCESS) {
      RETURN_IF_ERROR(Annotate(PayloadFromDom(metadata, row.payload), "metadata"));
    }
    std::string_view document;
    if (!documents_.empty() && documents_[i].get(document) == SUCCESS) {
      (*row.payload.fields.mutable_fields())["document"].set_string_value(std::string(document));
    }
    return absl::OkStatus();
  }

 private:
  using Column = std::vector<simdjson::dom::element>;

  // A column that is missing or null is empty.
  static absl::Status Read(const simdjson::dom::object& from, const char* key, Column& into) {
    simdjson::dom::element value;
    if (from.at_key(key).get(value) != SUCCESS || value.is_null()) return absl::OkStatus();
    simdjson::dom::array array;
    if (value.get(array) != SUCCESS) return InvalidArgument("{}: wanted an array", key);
    for (const auto item : array) into.push_back(item);
    return absl::OkStatus();
  }

  Column ids_;
  Column vectors_;
  Column metadata_;
  Column documents_;
};

absl::StatusOr<std::unique_ptr<Layout>> LayoutOf(const simdjson::dom::element& root) {
  simdjson::dom::array array;
  if (root.get(array) == SUCCESS) return std::make_unique<PointList>(array);
  simdjson::dom::object object;
  if (root.get(object) != SUCCESS) return InvalidArgument("wanted an array or an object");
  if (object.at_pointer("/result/points").get(array) == SUCCESS ||
      object.at_key("points").get(array) == SUCCESS) {
    return std::make_unique<PointList>(array);
  }
  simdjson::dom::element ids;
  if (object.at_key("ids").get(ids) == SUCCESS) return Columns::Make(object);
  return InvalidArgument(
      "an unknown layout; known are an array of points, {{\"points\": [...]}}, Qdrant's scroll "
      "answer {{\"result\": {{\"points\": [...]}}}} and Chroma's {{\"ids\", \"embeddings\", ...}}");
}

class JsonDocumentReader : public RowReader {
 public:
  static absl::StatusOr<std::unique_ptr<RowReader>> Open(std::unique_ptr<ByteSource> source) {
    auto reader = std::make_unique<JsonDocumentReader>();
    reader->path_ = source->path();
    ASSIGN_OR_RETURN(const std::string text, ReadWhole(*source));
    simdjson::dom::element root;
    if (const auto error = reader->parser_.parse(text).get(root)) {
      return InvalidArgument("{}: no valid JSON: {}", reader->path_,
                             simdjson::error_message(error));
    }
    auto layout = LayoutOf(root);
    if (!layout.ok()) return Annotate(layout.status(), reader->path_);
    reader->layout_ = *std::move(layout);
    return std::unique_ptr<RowReader>(std::move(reader));
  }

  absl::StatusOr<std::optional<Row>> Next() override {
    if (next_ >= layout_->size()) return std::nullopt;
    Row row;
    row.number = next_++;
    const absl::Status status = layout_->Get(row.number, row);
    if (!status.ok()) return Annotate(status, Place(row.number));
    return row;
  }
  absl::Status Skip(uint64_t count) override {
    next_ = std::min<uint64_t>(next_ + count, layout_->size());
    return absl::OkStatus();
  }
  double Fraction() const override {
    return layout_->size() == 0 ? 1
                                : static_cast<double>(next_) / static_cast<double>(layout_->size());
  }
  uint64_t position() const override { return next_; }
  std::string Place(uint64_t number) const override {
    return fmt::format("{}: point {}", path_, number);
  }

 private:
  std::string path_;
  simdjson::dom::parser parser_;  // owns what the layout points to
  std::unique_ptr<Layout> layout_;
  uint64_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowReader>> OpenJsonDocument(std::unique_ptr<ByteSource> source) {
  return JsonDocumentReader::Open(std::move(source));
}

}  // namespace vectron::rows
