#include <charconv>
#include <cmath>
#include <cstring>

#include "apps/vectronctl/rows/formats.h"
#include "apps/vectronctl/rows/half.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::rows {
namespace {

enum class Element { kF16, kF32, kF64, kU8 };

size_t BytesOf(Element element) {
  switch (element) {
    case Element::kF16:
      return 2;
    case Element::kF32:
      return 4;
    case Element::kF64:
      return 8;
    case Element::kU8:
      return 1;
  }
  return 1;
}

std::vector<float> Widen(const std::string& bytes, Element element) {
  std::vector<float> out(bytes.size() / BytesOf(element));
  const char* from = bytes.data();
  if (element == Element::kF32) {
    std::memcpy(out.data(), from, bytes.size());
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    switch (element) {
      case Element::kF16:
        out[i] = HalfToFloat(LoadFixed<uint16_t>(from + 2 * i));
        break;
      case Element::kF64:
        out[i] = static_cast<float>(LoadFixed<double>(from + 8 * i));
        break;
      default:
        out[i] = static_cast<float>(static_cast<unsigned char>(from[i]));
        break;
    }
  }
  return out;
}

// Rows of one size one after the other; with `framed`, each has its length before it.
class BinaryReader : public RowReader {
 public:
  struct Shape {
    Element element = Element::kF32;
    size_t dimension = 0;               // 0: of the first row (framed files)
    std::optional<uint64_t> row_count;  // none: to the end of the file
    bool framed = false;
  };
  BinaryReader(std::unique_ptr<ByteSource> source, Shape shape)
      : source_(std::move(source)), shape_(shape) {}

  absl::StatusOr<std::optional<Row>> Next() override {
    if (done_) return std::nullopt;
    auto row = ReadRow();
    if (!row.ok() || !row->has_value()) done_ = true;
    return row;
  }
  double Fraction() const override {
    if (shape_.row_count.has_value() && *shape_.row_count > 0) {
      return static_cast<double>(number_) / static_cast<double>(*shape_.row_count);
    }
    return source_->Fraction();
  }
  uint64_t position() const override { return number_; }
  std::string Place(uint64_t number) const override {
    return fmt::format("{}: row {}", source_->path(), number);
  }

 private:
  absl::StatusOr<std::optional<Row>> ReadRow() {
    if (shape_.row_count.has_value() && number_ == *shape_.row_count) return CheckEnd();
    const std::string what = fmt::format("row {}", number_);
    if (shape_.framed) {
      ASSIGN_OR_RETURN(const bool more, ReadFrame(what));
      if (!more) return std::nullopt;
    }
    bytes_.resize(shape_.dimension * BytesOf(shape_.element));
    RETURN_IF_ERROR(source_->ReadExactly(bytes_.data(), bytes_.size(), what));
    Row row;
    row.number = number_++;
    row.vector = Widen(bytes_, shape_.element);
    return row;
  }

  absl::StatusOr<bool> ReadFrame(const std::string& what) {
    char head[4];
    const uint64_t start = source_->position();
    ASSIGN_OR_RETURN(const size_t got, source_->Read(head, sizeof head));
    if (got == 0) return false;
    if (got < sizeof head) {
      return DataLoss("{}: {} at byte {}: the file ends after {} of 4 bytes", source_->path(), what,
                      start, got);
    }
    const auto dimension = LoadFixed<int32_t>(head);
    if (dimension < 1 || static_cast<uint32_t>(dimension) > kMaxDimension) {
      return DataLoss("{}: {} at byte {}: {} components, wanted 1 to {}", source_->path(), what,
                      start, dimension, kMaxDimension);
    }
    if (shape_.dimension != 0 && static_cast<size_t>(dimension) != shape_.dimension) {
      return DataLoss("{}: {} at byte {}: {} components, the rows before have {}", source_->path(),
                      what, start, dimension, shape_.dimension);
    }
    shape_.dimension = static_cast<size_t>(dimension);
    return true;
  }

  // Behind the last row: nothing more, and for gzip a whole trailer.
  absl::StatusOr<std::optional<Row>> CheckEnd() {
    char extra = 0;
    ASSIGN_OR_RETURN(const size_t got, source_->Read(&extra, 1));
    if (got == 0) return std::nullopt;
    return DataLoss("{}: byte {}: more bytes behind the last of {} rows", source_->path(),
                    source_->position() - 1, *shape_.row_count);
  }

  std::unique_ptr<ByteSource> source_;
  Shape shape_;
  std::string bytes_;
  uint64_t number_ = 0;
  bool done_ = false;
};

absl::StatusOr<std::unique_ptr<RowReader>> MakeReader(std::unique_ptr<ByteSource> source,
                                                      BinaryReader::Shape shape) {
  if (!shape.framed && (shape.dimension < 1 || shape.dimension > kMaxDimension)) {
    return InvalidArgument("{}: header: {} components a row, wanted 1 to {}", source->path(),
                           shape.dimension, kMaxDimension);
  }
  return std::make_unique<BinaryReader>(std::move(source), shape);
}

// The text behind `'key':` in the header's dictionary, from its first non-blank on; empty when the
// key is missing.
std::string_view ValueOf(std::string_view header, std::string_view key) {
  const std::string quoted = fmt::format("'{}':", key);
  const size_t at = header.find(quoted);
  if (at == std::string_view::npos) return {};
  std::string_view rest = header.substr(at + quoted.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

// Takes one unsigned number from the front, and the blanks and the comma behind it.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  while (!text.empty() && (text.front() == ' ' || text.front() == ',')) text.remove_prefix(1);
  return value;
}

absl::StatusOr<BinaryReader::Shape> ParseNpyHeader(const std::string& path,
                                                   std::string_view header) {
  BinaryReader::Shape shape;
  const std::string_view descr = ValueOf(header, "descr");
  if (descr.starts_with("'<f2'")) {
    shape.element = Element::kF16;
  } else if (descr.starts_with("'<f4'")) {
    shape.element = Element::kF32;
  } else if (descr.starts_with("'<f8'")) {
    shape.element = Element::kF64;
  } else if (descr.starts_with("'|u1'")) {
    shape.element = Element::kU8;
  } else {
    return InvalidArgument("{}: header: 'descr' is {}, wanted '<f2', '<f4', '<f8' or '|u1'", path,
                           descr.substr(0, descr.find(',')));
  }
  if (!ValueOf(header, "fortran_order").starts_with("False")) {
    return InvalidArgument(
        "{}: header: the array is in Fortran order; save it with numpy.ascontiguousarray", path);
  }
  std::string_view rest = ValueOf(header, "shape");
  if (rest.starts_with("(")) rest.remove_prefix(1);
  const auto rows = TakeNumber(rest);
  const auto columns = rows.has_value() ? TakeNumber(rest) : std::nullopt;
  if (!columns.has_value() || !rest.starts_with(")")) {
    return InvalidArgument("{}: header: 'shape' must have two dimensions, (rows, components)",
                           path);
  }
  shape.row_count = *rows;
  shape.dimension = *columns;
  return shape;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RowReader>> OpenVecs(std::unique_ptr<ByteSource> source,
                                                    VecsKind kind) {
  BinaryReader::Shape shape;
  shape.element = kind == VecsKind::kFloat ? Element::kF32 : Element::kU8;
  shape.framed = true;
  return MakeReader(std::move(source), shape);
}

absl::StatusOr<std::unique_ptr<RowReader>> OpenF16(std::unique_ptr<ByteSource> source) {
  uint32_t head[2];
  RETURN_IF_ERROR(source->ReadExactly(reinterpret_cast<char*>(head), sizeof head, "header"));
  BinaryReader::Shape shape;
  shape.element = Element::kF16;
  shape.row_count = head[0];
  shape.dimension = head[1];
  return MakeReader(std::move(source), shape);
}

absl::StatusOr<std::unique_ptr<RowReader>> OpenNpy(std::unique_ptr<ByteSource> source) {
  char head[8];
  RETURN_IF_ERROR(source->ReadExactly(head, sizeof head, "header"));
  if (std::memcmp(head, "\x93NUMPY", 6) != 0) {
    return InvalidArgument("{}: byte 0: this is no .npy file", source->path());
  }
  const int major = head[6];
  if (major < 1 || major > 3) {
    return InvalidArgument("{}: byte 6: format version {}, wanted 1 to 3", source->path(), major);
  }
  char length_bytes[4] = {0, 0, 0, 0};
  RETURN_IF_ERROR(source->ReadExactly(length_bytes, major == 1 ? 2 : 4, "header"));
  const auto length = LoadFixed<uint32_t>(length_bytes);
  if (length > 65'535) {
    return InvalidArgument("{}: byte 8: a header of {} bytes", source->path(), length);
  }
  std::string header(length, '\0');
  RETURN_IF_ERROR(source->ReadExactly(header.data(), header.size(), "header"));
  ASSIGN_OR_RETURN(const auto shape, ParseNpyHeader(source->path(), header));
  return MakeReader(std::move(source), shape);
}

}  // namespace vectron::rows
