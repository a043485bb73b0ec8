#include "services/reranker/document.h"

#include "base/status.h"

namespace vectron::reranker {
namespace {

void AppendText(std::string& out, const Value& value) {
  if (const std::string* text = value.get<std::string>()) {
    out += *text;
  } else {
    AppendJson(out, value);
  }
}

}  // namespace

absl::StatusOr<Document> DocumentFromPayload(std::string id, float distance,
                                             std::string_view payload) {
  Document document{.id = std::move(id), .distance = distance};
  if (payload.empty()) return document;
  absl::StatusOr<Value> tree = ParsePayload(payload);
  if (!tree.ok()) return Annotate(tree.status(), fmt::format("candidate '{}'", document.id));
  document.payload = *std::move(tree);
  return document;
}

std::string_view FieldText(const Document& document, std::string_view field, std::string& scratch) {
  const Value* value = document.payload.Find(field);
  if (value == nullptr || value->is_null()) return {};
  if (const std::string* text = value->get<std::string>()) return *text;
  scratch.clear();
  if (const Array* list = value->get<Array>()) {
    for (const Value& element : *list) {
      if (!scratch.empty()) scratch.push_back(' ');
      AppendText(scratch, element);
    }
  } else {
    AppendText(scratch, *value);
  }
  return scratch;
}

}  // namespace vectron::reranker
