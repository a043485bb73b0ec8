#pragma once

// What was measured, as the messages of vectron.management.v1.

#include <string>
#include <vector>

#include "rpc/operations_api.h"
#include "services/gateway/alert_rules.h"
#include "services/gateway/alerts.h"
#include "services/gateway/cluster_view.h"
#include "services/gateway/statistics.h"
#include "services/gateway/time_series.h"
#include "vectron/management.pb.h"

namespace vectron::gateway {

// "worker-3"; empty for none.
std::string WorkerLabel(WorkerId id);

void WorkersToProto(const ClusterView& view, management::v1::ListWorkersResponse& response);
void CollectionsToProto(const ClusterView& view, management::v1::ListCollectionsResponse& response);
void ServiceToProto(const ServiceCheck& service, management::v1::ServiceHealth& proto);
void AlertToProto(const AlertRecord& alert, management::v1::Alert& proto);
void EndpointToProto(const CallStatistics::Endpoint& endpoint,
                     management::v1::EndpointStats& proto);
void SampleToProto(const SeriesSample& sample, management::v1::SeriesPoint& proto);
void MoveToProto(const rpc::PlannedMove& move, management::v1::PlannedMove& proto);

}  // namespace vectron::gateway
