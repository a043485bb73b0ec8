#pragma once

// Between the types of the library and the messages of the wire. What cannot be sent throws
// InvalidArgumentError with its path.

#include <span>
#include <string>

#include "vectron/client.h"
#include "vectron/vectron.pb.h"

namespace vectron::internal {

void ToProto(const Value& value, const std::string& where, google::protobuf::Value* out);
void ToProto(const Payload& payload, const std::string& where, google::protobuf::Struct* out);
Value FromProto(const google::protobuf::Value& value);

// Refuses an empty vector and components that are not finite, by the name in `what`.
void CheckVector(std::span<const float> vector, const std::string& what);
// Checks and writes one point.
void ToProto(const std::string& id, std::span<const float> vector, const Payload* payload,
             v1::Point* out);
Point FromProto(const v1::Point& point);

v1::Consistency ToProto(Consistency consistency);
v1::CreateCollectionRequest ToProto(const std::string& name, uint32_t dimension, Distance distance,
                                    const CollectionOptions& options);
v1::GetRequest ToProto(const std::string& collection, const std::string& id,
                       const ReadOptions& options);
v1::SearchRequest ToProto(const std::string& collection, std::span<const float> vector,
                          const SearchOptions& options);
SearchResults FromProto(const v1::SearchResponse& response);
CollectionStatus FromProto(const v1::GetCollectionStatusResponse& response);
FeedbackRecord FromProto(const v1::FeedbackRecord& record);
v1::SubmitFeedbackRequest ToProto(const std::string& collection, const Feedback& feedback);

v1::Filter ToProto(const Filter& filter);

// As the HTTP interface shows it.
Payload JsonOf(const google::protobuf::Message& message);

}  // namespace vectron::internal
