// Compares the protos with the table of what is fixed on the wire.

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "contract_table.h"
#include "vectron/auth.pb.h"
#include "vectron/options.pb.h"
#include "vectron/placement.pb.h"
#include "vectron/reranker.pb.h"
#include "vectron/vectron.pb.h"
#include "vectron/worker.pb.h"

namespace vectron {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;

constexpr int kFirstOwnNumber = 16;

// One "name:type=number" or "NAME=number".
struct Entry {
  std::string name;
  std::string type;
  int number = 0;
};

struct Rpc {
  std::string service;  // full name
  std::string name;
  std::string request;
  std::string response;
  bool client_stream = false;
  bool server_stream = false;
  std::string route;  // "VERB path[ body]", or empty
};

struct Message {
  std::string name;  // full name
  bool own = false;
  std::vector<Entry> fields;
};

struct Enum {
  std::string name;  // full name
  std::vector<Entry> values;
};

struct Table {
  std::vector<std::string> services;
  std::vector<Rpc> rpcs;
  std::vector<Message> messages;
  std::vector<Enum> enums;
};

std::vector<Entry> ParseEntries(std::istringstream& line) {
  std::vector<Entry> entries;
  for (std::string text; std::getline(line, text, ',');) {
    text.erase(0, text.find_first_not_of(' '));
    if (text.empty()) continue;
    const size_t equals = text.rfind('=');
    const size_t colon = text.find(':');
    Entry entry;
    entry.name = text.substr(0, std::min(colon, equals));
    if (colon != std::string::npos) entry.type = text.substr(colon + 1, equals - colon - 1);
    entry.number = std::stoi(text.substr(equals + 1));
    entries.push_back(entry);
  }
  return entries;
}

Rpc ParseRpc(std::istringstream& line, const std::string& package, const std::string& service) {
  Rpc rpc{.service = service, .name = {}, .request = {}, .response = {}, .route = {}};
  std::string word;
  line >> rpc.name >> word;
  rpc.client_stream = word == "stream";
  if (rpc.client_stream) line >> word;
  rpc.request = package + "." + word;
  line >> word >> word;  // the arrow
  rpc.server_stream = word == "stream";
  if (rpc.server_stream) line >> word;
  rpc.response = package + "." + word;
  while (line >> word) rpc.route += (rpc.route.empty() ? "" : " ") + word;
  return rpc;
}

Table ParseTable() {
  Table table;
  std::istringstream lines(kContractTable);
  std::string package, service;
  for (std::string text; std::getline(lines, text);) {
    std::istringstream line(text);
    std::string kind, name;
    if (!(line >> kind) || kind == "#") continue;
    if (kind == "rpc") {
      table.rpcs.push_back(ParseRpc(line, package, service));
      continue;
    }
    line >> name;
    if (kind == "package") {
      package = name;
    } else if (kind == "service") {
      service = package + "." + name;
      table.services.push_back(service);
    } else {
      EXPECT_EQ(name.back(), ':') << text;
      name.pop_back();
      const std::string full_name = package + "." + name;
      if (kind == "enum") {
        table.enums.push_back({full_name, ParseEntries(line)});
      } else {
        EXPECT_TRUE(kind == "message" || kind == "own") << text;
        table.messages.push_back({full_name, kind == "own", ParseEntries(line)});
      }
    }
  }
  return table;
}

std::vector<const FileDescriptor*> Files() {
  return {v1::Point::descriptor()->file(), auth::v1::APIKey::descriptor()->file(),
          placementdriver::v1::WorkerInfo::descriptor()->file(),
          worker::v1::Vector::descriptor()->file(), reranker::v1::Candidate::descriptor()->file()};
}

const DescriptorPool& Pool() {
  // The files are linked in, and so known to the pool, because Files() names a message of each.
  static const size_t linked = Files().size();
  EXPECT_EQ(linked, 5u);
  return *DescriptorPool::generated_pool();
}

std::string Relative(const std::string& full_name, const std::string& package) {
  const bool inside = full_name.rfind(package + ".", 0) == 0;
  return inside ? full_name.substr(package.size() + 1) : full_name;
}

// The type of a field in the table's notation.
std::string TypeOf(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor& entry = *field.message_type();
    const bool texts = entry.map_key()->type() == FieldDescriptor::TYPE_STRING &&
                       entry.map_value()->type() == FieldDescriptor::TYPE_STRING;
    return texts ? "map" : "another map";
  }
  std::string type = field.type_name();
  const std::string& package = field.file()->package();
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
    type = Relative(field.message_type()->full_name(), package);
  } else if (field.type() == FieldDescriptor::TYPE_ENUM) {
    type = Relative(field.enum_type()->full_name(), package);
  }
  if (field.is_repeated()) return "[]" + type;
  return field.has_optional_keyword() ? "optional " + type : type;
}

TEST(Contract, TableIsWhole) {
  const Table table = ParseTable();
  EXPECT_EQ(table.services.size(), 5u);
  EXPECT_EQ(table.rpcs.size(), 11u + 12u + 17u + 14u + 3u);
  EXPECT_EQ(table.messages.size(), 31u + 26u + 42u + 29u + 8u);
  EXPECT_EQ(table.enums.size(), 6u);
}

TEST(Contract, RpcsHaveTheirTypesStreamsAndRoutes) {
  for (const Rpc& rpc : ParseTable().rpcs) {
    SCOPED_TRACE(rpc.service + "." + rpc.name);
    const MethodDescriptor* method = Pool().FindMethodByName(rpc.service + "." + rpc.name);
    ASSERT_NE(method, nullptr);
    EXPECT_EQ(method->input_type()->full_name(), rpc.request);
    EXPECT_EQ(method->output_type()->full_name(), rpc.response);
    EXPECT_EQ(method->client_streaming(), rpc.client_stream);
    EXPECT_EQ(method->server_streaming(), rpc.server_stream);
    const options::Route& route = method->options().GetExtension(options::route);
    std::string text = route.verb();
    if (!text.empty()) text += " " + route.path() + (route.body() ? " body" : "");
    EXPECT_EQ(text, rpc.route);
  }
}

TEST(Contract, FieldsHaveTheirNamesNumbersTypesAndLabels) {
  for (const Message& message : ParseTable().messages) {
    SCOPED_TRACE(message.name);
    const Descriptor* descriptor = Pool().FindMessageTypeByName(message.name);
    ASSERT_NE(descriptor, nullptr);
    for (const Entry& field : message.fields) {
      SCOPED_TRACE(field.name);
      const FieldDescriptor* found = descriptor->FindFieldByName(field.name);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->number(), field.number);
      EXPECT_EQ(TypeOf(*found), field.type);
    }
  }
}

TEST(Contract, FurtherFieldsHaveNumbersFrom16) {
  for (const Message& message : ParseTable().messages) {
    SCOPED_TRACE(message.name);
    const Descriptor* descriptor = Pool().FindMessageTypeByName(message.name);
    ASSERT_NE(descriptor, nullptr);
    std::set<std::string> fixed;
    for (const Entry& field : message.fields) fixed.insert(field.name);
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor& field = *descriptor->field(i);
      if (fixed.count(field.name()) > 0) continue;
      EXPECT_FALSE(message.own) << field.name() << " is not in the table";
      EXPECT_GE(field.number(), kFirstOwnNumber) << field.name();
    }
  }
}

TEST(Contract, EnumsHaveTheirValues) {
  for (const Enum& wanted : ParseTable().enums) {
    SCOPED_TRACE(wanted.name);
    const EnumDescriptor* descriptor = Pool().FindEnumTypeByName(wanted.name);
    ASSERT_NE(descriptor, nullptr);
    EXPECT_EQ(descriptor->value_count(), static_cast<int>(wanted.values.size()));
    for (const Entry& value : wanted.values) {
      const auto* found = descriptor->FindValueByName(value.name);
      ASSERT_NE(found, nullptr) << value.name;
      EXPECT_EQ(found->number(), value.number) << value.name;
    }
  }
}

// lowerCamelCase of a field's name, by the rule of proto3's JSON mapping.
std::string CamelCase(const std::string& name) {
  std::string camel;
  bool upper = false;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
    } else {
      camel += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      upper = false;
    }
  }
  return camel;
}

TEST(Contract, JsonNamesAreTheDefaultOnes) {
  for (const FileDescriptor* file : Files()) {
    EXPECT_EQ(file->syntax(), FileDescriptor::SYNTAX_PROTO3);
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor& message = *file->message_type(i);
      for (int j = 0; j < message.field_count(); ++j) {
        const FieldDescriptor& field = *message.field(j);
        EXPECT_EQ(field.json_name(), CamelCase(field.name())) << field.full_name();
      }
    }
  }
}

TEST(Contract, EveryRpcSaysWhoMayCallItAndRoutesAreUnique) {
  std::map<std::string, std::string> routes;
  for (const FileDescriptor* file : Files()) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        const MethodDescriptor& method = *file->service(i)->method(j);
        const options::Route& route = method.options().GetExtension(options::route);
        EXPECT_NE(route.scope(), options::SCOPE_UNSPECIFIED) << method.full_name();
        if (route.verb().empty()) continue;
        const auto [at, added] =
            routes.emplace(route.verb() + " " + route.path(), method.full_name());
        EXPECT_TRUE(added) << method.full_name() << " and " << at->second;
      }
    }
  }
}

}  // namespace
}  // namespace vectron
