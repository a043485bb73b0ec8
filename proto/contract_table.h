#pragma once

// The fixed part of the wire, as text: every service, message, field and enum that clients may rely
// on. The test beside it compares the descriptors with it. Lines:
//   package P
//   service S
//   rpc Name Request -> [stream] Response [VERB path [body]]        ("stream" may stand before
//   Request too) message Name: field:type=number, ...       fields beyond these need numbers of 16
//   and more own Name: field:type=number, ...           a message of ours, exactly these fields
//   enum Name: VALUE=number, ...
// Types: scalars; "[]T" repeated; "optional T"; "map" is map<string,string>; messages and enums of
// the package by their name, others by their full name.

namespace vectron {

inline constexpr char kContractTable[] = R"table(
package vectron.v1
service VectronService
rpc CreateCollection CreateCollectionRequest -> CreateCollectionResponse POST /v1/collections body
rpc DeleteCollection DeleteCollectionRequest -> DeleteCollectionResponse DELETE /v1/collections/{name}
rpc Upsert UpsertRequest -> UpsertResponse POST /v1/collections/{collection}/points body
rpc Search SearchRequest -> SearchResponse POST /v1/collections/{collection}/points/search body
rpc SearchStream SearchRequest -> stream SearchResponse
rpc Get GetRequest -> GetResponse GET /v1/collections/{collection}/points/{id}
rpc Delete DeleteRequest -> DeleteResponse DELETE /v1/collections/{collection}/points/{id}
rpc ListCollections ListCollectionsRequest -> ListCollectionsResponse GET /v1/collections
rpc GetCollectionStatus GetCollectionStatusRequest -> GetCollectionStatusResponse GET /v1/collections/{name}/status
# PUT /v1/user/profile is one route; the AuthService of the same gateway answers it (with a token in addition).
rpc UpdateUserProfile UpdateUserProfileRequest -> UpdateUserProfileResponse
rpc SubmitFeedback SubmitFeedbackRequest -> SubmitFeedbackResponse POST /v1/feedback body

message CreateCollectionRequest: name:string=1, dimension:int32=2, distance:string=3, shard_count:uint32=16, replication_factor:uint32=17, hnsw:HnswOptions=18, storage:VectorStorage=19, payload_indexes:[]PayloadIndex=20, default_consistency:Consistency=21, vectors_in_memory:bool=22
message CreateCollectionResponse: success:bool=1
message DeleteCollectionRequest: name:string=1
message DeleteCollectionResponse: success:bool=1
message UpsertRequest: collection:string=1, points:[]Point=2, request_id:string=16, return_versions:bool=17, insert_only:bool=18
message UpsertResponse: upserted:int32=1, versions:[]uint64=16
message SearchRequest: collection:string=1, vector:[]float=2, top_k:uint32=3, query:string=4, timeout_ms:uint32=5, include_vectors:bool=6, include_metadata:optional bool=7, filter:Filter=16, params:SearchParams=17, offset:uint32=18, score_threshold:optional float=19, consistency:Consistency=20, max_staleness_ms:uint32=21, explain:bool=22, rerank:RerankOptions=23, payload_fields:[]string=24
message SearchResponse: results:[]SearchResult=1, query_id:string=16, reranked:bool=17, partial:bool=18, missing_shards:[]uint32=19, last:bool=20, explain:SearchExplain=21
message SearchResult: id:string=1, score:float=2, payload:map=3, vector:[]float=4, fields:google.protobuf.Struct=16, version:uint64=17
message Point: id:string=1, vector:[]float=2, payload:map=3, fields:google.protobuf.Struct=16, version:uint64=17
message GetRequest: collection:string=1, id:string=2, consistency:Consistency=16, max_staleness_ms:uint32=17
message GetResponse: point:Point=1
message DeleteRequest: collection:string=1, id:string=2, request_id:string=16
message DeleteResponse: version:uint64=16
message ListCollectionsRequest:
message ListCollectionsResponse: collections:[]string=1
message GetCollectionStatusRequest: name:string=1
message GetCollectionStatusResponse: name:string=1, dimension:int32=2, distance:string=3, shards:[]ShardStatus=4, point_count:uint64=16, indexed_count:uint64=17, size_bytes:uint64=18, options:CreateCollectionRequest=19
message ShardStatus: shard_id:uint32=1, replicas:[]uint64=2, leader_id:uint64=3, ready:bool=4
message UpdateUserProfileRequest: plan:vectron.auth.v1.Plan=1
message UpdateUserProfileResponse: user:vectron.auth.v1.UserProfile=1
message SubmitFeedbackRequest: collection:string=1, query:string=2, result_ids:[]string=3, feedback_items:[]FeedbackItem=4, context:map=5, query_id:string=16
message FeedbackItem: result_id:string=1, relevance_score:int32=2, clicked:bool=3, position:int32=4, comment:string=5
message SubmitFeedbackResponse: success:bool=1, feedback_id:string=2
own HnswOptions: m:uint32=1, ef_construct:uint32=2, ef_search:uint32=3
own PayloadIndex: field:string=1, type:PayloadType=2
own SearchParams: ef:uint32=1, exact:bool=2, target_recall:float=3
own RerankOptions: strategy:string=1, budget_ms:uint32=2, candidates:uint32=3, explore:optional bool=4
own Filter: must:[]Condition=1, should:[]Condition=2, must_not:[]Condition=3, min_should:uint32=4
own Condition: field:string=1, match:google.protobuf.Value=2, range:Range=3, exists:optional bool=4, is_empty:optional bool=5, has_id:[]string=6, filter:Filter=7
own Range: gt:google.protobuf.Value=1, gte:google.protobuf.Value=2, lt:google.protobuf.Value=3, lte:google.protobuf.Value=4
enum VectorStorage: VECTOR_STORAGE_F32=0, VECTOR_STORAGE_F16=1
enum PayloadType: PAYLOAD_TYPE_UNSPECIFIED=0, KEYWORD=1, INTEGER=2, FLOAT=3, BOOL=4, DATETIME=5
enum Consistency: CONSISTENCY_UNSPECIFIED=0, STRONG=1, BOUNDED=2, EVENTUAL=3

package vectron.auth.v1
service AuthService
rpc RegisterUser RegisterUserRequest -> RegisterUserResponse POST /v1/users/register body
rpc Login LoginRequest -> LoginResponse POST /v1/users/login body
rpc GetUserProfile GetUserProfileRequest -> GetUserProfileResponse GET /v1/user/profile
rpc UpdateUserProfile UpdateUserProfileRequest -> UpdateUserProfileResponse PUT /v1/user/profile body
rpc DeleteUser DeleteUserRequest -> DeleteUserResponse POST /v1/user/delete body
rpc RefreshToken RefreshTokenRequest -> RefreshTokenResponse POST /v1/auth/refresh body
rpc CreateAPIKey CreateAPIKeyRequest -> CreateAPIKeyResponse POST /v1/keys body
rpc ListAPIKeys ListAPIKeysRequest -> ListAPIKeysResponse GET /v1/keys
rpc DeleteAPIKey DeleteAPIKeyRequest -> DeleteAPIKeyResponse DELETE /v1/keys/{key_prefix}
rpc ValidateAPIKey ValidateAPIKeyRequest -> ValidateAPIKeyResponse POST /v1/keys/validate body
rpc CreateSDKJWT CreateSDKJWTRequest -> CreateSDKJWTResponse POST /v1/sdk-jwt body
rpc GetAuthDetailsForSDK GetAuthDetailsForSDKRequest -> GetAuthDetailsForSDKResponse

enum Plan: PLAN_UNSPECIFIED=0, FREE=1, PAID=2
enum SubscriptionStatus: SUBSCRIPTION_STATUS_UNSPECIFIED=0, ACTIVE=1, CANCELED=2, PAST_DUE=3
message UserProfile: id:string=1, email:string=2, created_at:int64=3, plan:Plan=4, subscription_status:SubscriptionStatus=5
message APIKey: key_prefix:string=1, user_id:string=2, created_at:int64=3, name:string=4
message RegisterUserRequest: email:string=1, password:string=2
message LoginRequest: email:string=1, password:string=2
message RegisterUserResponse: user:UserProfile=1
message GetUserProfileRequest:
message GetUserProfileResponse: user:UserProfile=1
message LoginResponse: jwt_token:string=1, user:UserProfile=2
message UpdateUserProfileRequest: plan:Plan=1
message UpdateUserProfileResponse: user:UserProfile=1, jwt_token:string=2
message CreateAPIKeyRequest: name:string=1
message CreateAPIKeyResponse: full_key:string=1, key_info:APIKey=2
message ListAPIKeysRequest:
message ListAPIKeysResponse: keys:[]APIKey=1
message DeleteAPIKeyRequest: key_prefix:string=1
message DeleteAPIKeyResponse: success:bool=1
message ValidateAPIKeyRequest: full_key:string=1
message ValidateAPIKeyResponse: valid:bool=1, user_id:string=2, plan:string=3, api_key_id:string=4
message CreateSDKJWTRequest: api_key_id:string=1
message CreateSDKJWTResponse: sdk_jwt:string=1
message GetAuthDetailsForSDKRequest: api_key_id:string=1
message GetAuthDetailsForSDKResponse: user_id:string=1, plan:Plan=2, success:bool=3
message DeleteUserRequest: password:string=1
message DeleteUserResponse: success:bool=1
message RefreshTokenRequest:
message RefreshTokenResponse: jwt_token:string=1, expires_at:int64=2

package vectron.placementdriver.v1
service PlacementService
rpc GetWorker GetWorkerRequest -> GetWorkerResponse
rpc RegisterWorker RegisterWorkerRequest -> RegisterWorkerResponse
rpc Heartbeat HeartbeatRequest -> HeartbeatResponse
rpc ListWorkers ListWorkersRequest -> ListWorkersResponse
rpc RegisterReranker RegisterRerankerRequest -> RegisterRerankerResponse
rpc RerankerHeartbeat RerankerHeartbeatRequest -> RerankerHeartbeatResponse
rpc ListRerankers ListRerankersRequest -> ListRerankersResponse
rpc GetReranker GetRerankerRequest -> GetRerankerResponse
rpc ListWorkersForCollection ListWorkersForCollectionRequest -> ListWorkersForCollectionResponse
rpc DrainWorker DrainWorkerRequest -> DrainWorkerResponse
rpc RemoveWorker RemoveWorkerRequest -> RemoveWorkerResponse
rpc Rebalance RebalanceRequest -> RebalanceResponse
rpc CreateCollection CreateCollectionRequest -> CreateCollectionResponse
rpc ListCollections ListCollectionsRequest -> ListCollectionsResponse
rpc DeleteCollection DeleteCollectionRequest -> DeleteCollectionResponse
rpc GetCollectionStatus GetCollectionStatusRequest -> GetCollectionStatusResponse
rpc GetLeader GetLeaderRequest -> GetLeaderResponse

message GetLeaderRequest:
message GetLeaderResponse: leader_address:string=1
message GetWorkerRequest: collection:string=1, vector_id:string=2
message GetWorkerResponse: grpc_address:string=1, shard_id:uint32=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message RegisterWorkerRequest: grpc_address:string=1, raft_address:string=2, capabilities:[]string=3, timestamp:int64=4, cpu_cores:int32=5, memory_bytes:int64=6, disk_bytes:int64=7, rack:string=8, zone:string=9, region:string=10
message RegisterWorkerResponse: worker_id:string=1, success:bool=2
message ShardLeaderInfo: shard_id:uint64=1, leader_id:uint64=2
message ShardMembershipInfo: shard_id:uint64=1, config_change_id:uint64=2, node_ids:[]uint64=3
message ShardProgressInfo: shard_id:uint64=1, applied_index:uint64=2, shard_epoch:uint64=3
message ShardLeaderTransferAck: shard_id:uint64=1, from_node_id:uint64=2, to_node_id:uint64=3, shard_epoch:uint64=4, timestamp_unix_ms:int64=5
message ShardMetrics: shard_id:uint64=1, queries_per_second:float=2, vector_count:int64=3, avg_latency_ms:float=4
message HeartbeatRequest: worker_id:string=1, timestamp:int64=2, vector_count:int64=3, memory_bytes:int64=4, shard_leader_info:[]ShardLeaderInfo=5, cpu_usage_percent:float=6, memory_usage_percent:float=7, disk_usage_percent:float=8, queries_per_second:float=9, active_shards:int64=10, shard_metrics:[]ShardMetrics=11, running_shards:[]uint64=12, shard_membership:[]ShardMembershipInfo=13, shard_progress:[]ShardProgressInfo=14, leader_transfer_acks:[]ShardLeaderTransferAck=15
message HeartbeatResponse: ok:bool=1, message:string=2, assignments_epoch:uint64=3
message ListWorkersRequest:
message ListWorkersResponse: workers:[]WorkerInfo=1
message WorkerInfo: worker_id:string=1, grpc_address:string=2, raft_address:string=3, collections:[]string=4, last_heartbeat:int64=5, healthy:bool=6, metadata:map=7, state:WorkerState=8
enum WorkerState: WORKER_STATE_UNKNOWN=0, WORKER_STATE_JOINING=1, WORKER_STATE_READY=2, WORKER_STATE_DRAINING=3
message RegisterRerankerRequest: grpc_address:string=1, capabilities:[]string=2, timestamp:int64=3, cpu_cores:int32=4, memory_bytes:int64=5, disk_bytes:int64=6, rack:string=7, zone:string=8, region:string=9
message RegisterRerankerResponse: reranker_id:string=1, success:bool=2
message RerankerHeartbeatRequest: reranker_id:string=1, timestamp:int64=2, cpu_usage_percent:float=3, memory_usage_percent:float=4, disk_usage_percent:float=5, queries_per_second:float=6
message RerankerHeartbeatResponse: ok:bool=1, message:string=2
message ListRerankersRequest:
message ListRerankersResponse: rerankers:[]RerankerInfo=1
message RerankerInfo: reranker_id:string=1, grpc_address:string=2, last_heartbeat:int64=3, healthy:bool=4, metadata:map=5
message GetRerankerRequest:
message GetRerankerResponse: reranker_id:string=1, grpc_address:string=2
message ListWorkersForCollectionRequest: collection:string=1
message ListWorkersForCollectionResponse: grpc_addresses:[]string=1
message DrainWorkerRequest: worker_id:string=1
message DrainWorkerResponse: success:bool=1
message RemoveWorkerRequest: worker_id:string=1
message RemoveWorkerResponse: success:bool=1
message RebalanceRequest:
message RebalanceResponse: started:bool=1
message CreateCollectionRequest: name:string=1, dimension:int32=2, distance:string=3
message CreateCollectionResponse: success:bool=1
message ListCollectionsRequest:
message ListCollectionsResponse: collections:[]string=1
message DeleteCollectionRequest: name:string=1
message DeleteCollectionResponse: success:bool=1
message GetCollectionStatusRequest: name:string=1
message GetCollectionStatusResponse: name:string=1, dimension:int32=2, distance:string=3, shards:[]ShardStatus=4
message ShardStatus: shard_id:uint32=1, replicas:[]uint64=2, leader_id:uint64=3, ready:bool=4, key_range_start:uint64=5, key_range_end:uint64=6, shard_epoch:uint64=7, leader_grpc_address:string=8, replica_grpc_addresses:[]string=9

package vectron.worker.v1
service WorkerService
rpc StoreVector StoreVectorRequest -> StoreVectorResponse
rpc BatchStoreVector BatchStoreVectorRequest -> BatchStoreVectorResponse
rpc StreamBatchStoreVector stream BatchStoreVectorRequest -> BatchStoreVectorResponse
rpc GetVector GetVectorRequest -> GetVectorResponse
rpc DeleteVector DeleteVectorRequest -> DeleteVectorResponse
rpc Search SearchRequest -> SearchResponse
rpc BatchSearch BatchSearchRequest -> BatchSearchResponse
rpc StreamHNSWSnapshot HNSWSnapshotRequest -> stream HNSWSnapshotChunk
rpc StreamHNSWUpdates HNSWUpdatesRequest -> stream HNSWUpdateBatch
rpc Put PutRequest -> PutResponse
rpc Get GetRequest -> GetResponse
rpc Delete DeleteRequest -> DeleteResponse
rpc Status StatusRequest -> StatusResponse
rpc Flush FlushRequest -> FlushResponse

message Vector: id:string=1, vector:[]float=2, metadata:bytes=3
message StoreVectorRequest: shard_id:uint64=1, vector:Vector=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message StoreVectorResponse:
message BatchStoreVectorRequest: shard_id:uint64=1, vectors:[]Vector=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message BatchStoreVectorResponse: stored:int32=1
message GetVectorRequest: shard_id:uint64=1, id:string=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message GetVectorResponse: vector:Vector=1
message DeleteVectorRequest: shard_id:uint64=1, id:string=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message DeleteVectorResponse:
message SearchRequest: shard_id:uint64=1, vector:[]float=2, k:int32=3, brute_force:bool=4, linearizable:bool=5, collection:string=6, shard_epoch:uint64=7, lease_expiry_unix_ms:int64=8
message SearchResponse: ids:[]string=1, scores:[]float=2, metadata:[]bytes=3
message BatchSearchRequest: requests:[]SearchRequest=1
message BatchSearchResponse: responses:[]SearchResponse=1
message HNSWSnapshotRequest: shard_id:uint64=1
message HNSWSnapshotChunk: shard_id:uint64=1, snapshot_ts_unix_nano:int64=2, data:bytes=3, done:bool=4
message HNSWUpdatesRequest: shard_id:uint64=1, from_ts_unix_nano:int64=2
message HNSWUpdate: id:string=1, value:bytes=2, delete:bool=3, ts_unix_nano:int64=4
message HNSWUpdateBatch: updates:[]HNSWUpdate=1
message KeyValuePair: key:bytes=1, value:bytes=2
message PutRequest: shard_id:uint64=1, kv:KeyValuePair=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message PutResponse:
message GetRequest: shard_id:uint64=1, key:bytes=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message GetResponse: kv:KeyValuePair=1
message DeleteRequest: shard_id:uint64=1, key:bytes=2, shard_epoch:uint64=3, lease_expiry_unix_ms:int64=4
message DeleteResponse:
message StatusRequest: shard_id:uint64=1, shard_epoch:uint64=2, lease_expiry_unix_ms:int64=3
message StatusResponse: status:string=1
message FlushRequest: shard_id:uint64=1, shard_epoch:uint64=2, lease_expiry_unix_ms:int64=3
message FlushResponse: status:string=1

package vectron.reranker.v1
service RerankService
rpc Rerank RerankRequest -> RerankResponse
rpc GetStrategy GetStrategyRequest -> GetStrategyResponse
rpc InvalidateCache InvalidateCacheRequest -> InvalidateCacheResponse

message Candidate: id:string=1, score:float=2, vector:[]float=3, metadata:map=4
message RerankRequest: query:string=1, candidates:[]Candidate=2, top_n:int32=3, options:map=4
message ScoredCandidate: id:string=1, rerank_score:float=2, original_score:float=3, explanation:string=4
message RerankResponse: results:[]ScoredCandidate=1, strategy_used:string=2, from_cache:bool=3, latency_ms:int64=4
message GetStrategyRequest:
message GetStrategyResponse: strategy_name:string=1, version:string=2, config:map=3
message InvalidateCacheRequest: query:string=1, candidate_ids:[]string=2
message InvalidateCacheResponse: entries_cleared:int32=1
)table";

}  // namespace vectron
