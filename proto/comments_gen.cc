// Makes the table of what the protos say about the RPCs with an HTTP route and all that these speak
// of, for the description of the HTTP interface: descriptors that are compiled in have no comments.
// One row per RPC, message, field, enum and value, by name.
//
//   vectron_comments_gen DESCRIPTOR_SET OUT      the set with --include_source_info and
//   --include_imports

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "generator.h"
#include "vectron/options.pb.h"

namespace vectron {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;

class Table {
 public:
  void Add(const google::protobuf::MethodDescriptor& method) {
    if (method.options().GetExtension(options::route).verb().empty()) return;
    Keep(method);
    Add(*method.input_type());
    Add(*method.output_type());
  }

  // As rows of an array in the order of the names.
  std::string Rows() const {
    std::string out;
    for (const auto& [name, text] : comments_) {
      if (!text.empty()) out += "{\"" + name + "\", \"" + Escaped(text) + "\"},\n";
    }
    return out;
  }

 private:
  void Add(const Descriptor& message) {
    if (comments_.count(message.full_name()) != 0) return;
    Keep(message);
    for (int i = 0; i < message.field_count(); ++i) {
      const auto& field = *message.field(i);
      Keep(field);
      if (field.message_type() != nullptr) Add(*field.message_type());
      if (field.enum_type() != nullptr) Add(*field.enum_type());
    }
  }
  void Add(const EnumDescriptor& type) {
    Keep(type);
    for (int i = 0; i < type.value_count(); ++i) Keep(*type.value(i));
  }

  // What stands above a declaration and behind it, as one line. Of what is not ours, nothing.
  template <typename Element>
  void Keep(const Element& element) {
    std::string& kept = comments_[element.full_name()];
    google::protobuf::SourceLocation location;
    if (element.full_name().rfind("vectron.", 0) != 0 || !element.GetSourceLocation(&location))
      return;
    std::istringstream words(location.leading_comments + " " + location.trailing_comments);
    kept.clear();
    for (std::string word; words >> word;) kept += (kept.empty() ? "" : " ") + word;
  }

  static std::string Escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  }

  std::map<std::string, std::string> comments_;  // by full name
};

std::optional<std::string> Comments(const google::protobuf::FileDescriptorSet& set) {
  google::protobuf::DescriptorPool pool;
  Table table;
  for (const auto& described : set.file()) {
    const auto* file = pool.BuildFile(described);
    if (file == nullptr) return std::nullopt;  // protobuf has said why
    for (int i = 0; i < file->service_count(); ++i) {
      for (int k = 0; k < file->service(i)->method_count(); ++k)
        table.Add(*file->service(i)->method(k));
    }
  }
  return table.Rows();
}

}  // namespace
}  // namespace vectron

int main(int argc, char** argv) { return vectron::Generate(argc, argv, vectron::Comments); }
