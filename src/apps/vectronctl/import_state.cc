#include "apps/vectronctl/import_state.h"

#include <sys/stat.h>

#include "apps/vectronctl/rows/json.h"
#include "base/status.h"

namespace vectron::ctl {
namespace {

constexpr std::string_view kFormat = "vectronctl-import-1";

absl::Status ReadText(const google::protobuf::Struct& object, const std::string& key,
                      std::string& into) {
  const auto field = object.fields().find(key);
  if (field == object.fields().end() || !field->second.has_string_value()) {
    return InvalidArgument("the text \"{}\" is missing", key);
  }
  into = field->second.string_value();
  return absl::OkStatus();
}

absl::Status ReadCount(const google::protobuf::Struct& object, const std::string& key,
                       uint64_t& into) {
  const auto field = object.fields().find(key);
  if (field == object.fields().end() || !field->second.has_number_value() ||
      field->second.number_value() < 0) {
    return InvalidArgument("the number \"{}\" is missing", key);
  }
  into = static_cast<uint64_t>(field->second.number_value());
  return absl::OkStatus();
}

}  // namespace

std::string WriteImportState(const ImportState& state) {
  google::protobuf::Struct object;
  const auto text = [&](const char* key, std::string_view value) {
    (*object.mutable_fields())[key].set_string_value(std::string(value));
  };
  const auto count = [&](const char* key, uint64_t value) {
    (*object.mutable_fields())[key].set_number_value(static_cast<double>(value));
  };
  text("format", kFormat);
  text("input", state.input);
  text("input_stamp", state.input_stamp);
  text("collection", state.collection);
  text("address", state.address);
  text("id_prefix", state.id_prefix);
  text("import_id", state.import_id);
  count("rows_done", state.rows_done);
  count("points_written", state.points_written);
  count("rows_bad", state.rows_bad);
  std::string out;
  rows::AppendJson(object, out);
  return out + "\n";
}

absl::StatusOr<ImportState> ParseImportState(std::string_view text) {
  ASSIGN_OR_RETURN(const auto object, rows::ParseObject(text));
  ImportState state;
  std::string format;
  RETURN_IF_ERROR(ReadText(object, "format", format));
  if (format != kFormat) return InvalidArgument("format '{}', wanted '{}'", format, kFormat);
  RETURN_IF_ERROR(ReadText(object, "input", state.input));
  RETURN_IF_ERROR(ReadText(object, "input_stamp", state.input_stamp));
  RETURN_IF_ERROR(ReadText(object, "collection", state.collection));
  RETURN_IF_ERROR(ReadText(object, "address", state.address));
  RETURN_IF_ERROR(ReadText(object, "id_prefix", state.id_prefix));
  RETURN_IF_ERROR(ReadText(object, "import_id", state.import_id));
  RETURN_IF_ERROR(ReadCount(object, "rows_done", state.rows_done));
  RETURN_IF_ERROR(ReadCount(object, "points_written", state.points_written));
  RETURN_IF_ERROR(ReadCount(object, "rows_bad", state.rows_bad));
  return state;
}

absl::Status CheckSameImport(const ImportState& saved, const ImportState& wanted) {
  const auto differs = [](std::string_view what, const std::string& was, const std::string& is) {
    return FailedPrecondition("{} was '{}' and is '{}' now", what, was, is);
  };
  if (saved.input != wanted.input) return differs("the input", saved.input, wanted.input);
  if (saved.collection != wanted.collection) {
    return differs("the collection", saved.collection, wanted.collection);
  }
  if (saved.address != wanted.address) return differs("the server", saved.address, wanted.address);
  if (saved.id_prefix != wanted.id_prefix) {
    return differs("the id prefix", saved.id_prefix, wanted.id_prefix);
  }
  if (saved.input_stamp != wanted.input_stamp) {
    return FailedPrecondition("the input or its payload file has changed since");
  }
  return absl::OkStatus();
}

std::string FileStamp(const std::string& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return "none";
  return fmt::format("{}-{}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace vectron::ctl
