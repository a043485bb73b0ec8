#include "apps/vectron/access_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "base/status.h"
#include "rpc/cluster_secret.h"

namespace vectron {

void AddAccessFlags(CLI::App& command, AccessFlags& flags) {
  const auto rate = [&command](const char* name, double& value, const char* what) {
    command.add_option(name, value, what)->check(CLI::NonNegativeNumber)->capture_default_str();
  };
  rpc::RateLimits& limits = flags.limits;
  rate("--auth-login-per-minute", limits.login_per_minute,
       "Logins per client address and minute; 0: no limit");
  rate("--auth-register-per-minute", limits.register_per_minute,
       "Registrations per client address and minute; 0: no limit");
  rate("--auth-key-per-minute", limits.key_per_minute,
       "API keys, SDK tokens and passwords made and logins refreshed per client address and "
       "minute; 0: no limit");
  rate("--auth-failures-per-minute", limits.bad_credentials_per_minute,
       "Bad credentials shown per client address and minute; 0: no limit");
  rate("--rate-free-per-second", limits.free_per_second,
       "Requests per second of a user of the free plan; 0: no limit");
  rate("--rate-paid-per-second", limits.paid_per_second,
       "Requests per second of a user of the paid plan; 0: no limit");
  command.add_option("--trusted-proxy", flags.trusted_proxies,
                     "Address or network of a proxy whose X-Forwarded-For is believed; repeatable");
  command.add_option("--allow-origin", flags.allowed_origins,
                     "Origin, such as https://app.example.org, whose pages may call the HTTP API "
                     "and read its answers; repeatable");
  AddClusterSecretFlag(command, flags.cluster);
}

void AddClusterSecretFlag(CLI::App& command, ClusterFlags& flags) {
  command.add_option(
      "--cluster-secret-file", flags.secret_file,
      "File with the secret that all parts of the cluster share; 16 to 512 characters");
}

void AddClusterTlsFlags(CLI::App& command, ClusterFlags& flags) {
  CLI::Option* const certificate = command.add_option(
      "--cluster-tls-cert", flags.tls.certificate,
      "Certificate (PEM, with its chain) that this part and the others of the cluster show each "
      "other; read again when it changes");
  CLI::Option* const key = command.add_option("--cluster-tls-key", flags.tls.key,
                                              "Private key (PEM) of that certificate");
  CLI::Option* const ca = command.add_option(
      "--cluster-tls-ca", flags.tls.ca,
      "CA (PEM) of the cluster: who shows a certificate signed by it is part of the cluster, and "
      "nobody else reaches an internal port");
  certificate->needs(key)->needs(ca);
  key->needs(certificate);
  ca->needs(certificate);
}

absl::StatusOr<rpc::ClusterCredentials> ToClusterCredentials(const ClusterFlags& flags) {
  rpc::ClusterCredentials credentials{.secret = {}, .tls = flags.tls};
  if (flags.secret_file.empty() && !flags.tls.enabled()) {
    return InvalidArgument("--cluster-secret-file or --cluster-tls-cert is required");
  }
  if (!flags.secret_file.empty()) {
    ASSIGN_OR_RETURN(credentials.secret, rpc::ReadSecretFile(flags.secret_file));
  }
  if (flags.tls.enabled()) RETURN_IF_ERROR(rpc::TlsContext::Load(flags.tls).status());
  return credentials;
}

absl::Status CheckTls(const rpc::TlsFiles& files) {
  if (!files.enabled()) return absl::OkStatus();
  return rpc::TlsContext::Load(files).status();
}

void AddAuthFlag(CLI::App& command, std::string& auth) {
  command
      .add_option("--auth", auth,
                  "Credentials: 'on', or 'off' to serve everyone, on loopback addresses only")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
}

absl::Status CheckLoopbackOnly(const HostPort& http, const HostPort& grpc) {
  for (const auto& [flag, address] : {std::pair{"--http", http}, std::pair{"--grpc", grpc}}) {
    if (IsLoopback(address.host)) continue;
    return FailedPrecondition(
        "--auth off lets everyone who reaches the server read and write; it is refused on {} {}, "
        "use a loopback address such as 127.0.0.1",
        flag, address.host);
  }
  return absl::OkStatus();
}

void AddTlsFlags(CLI::App& command, rpc::TlsFiles& files) {
  CLI::Option* const certificate =
      command.add_option("--tls-cert", files.certificate,
                         "Certificate (PEM, with its chain) for TLS on the ports of clients; read "
                         "again when it changes");
  CLI::Option* const key =
      command.add_option("--tls-key", files.key, "Private key (PEM) of the certificate");
  certificate->needs(key);
  key->needs(certificate);
  command
      .add_option("--tls-client-ca", files.ca,
                  "Clients must show a certificate signed by one of these (PEM)")
      ->needs(certificate);
}

absl::StatusOr<AccessOptions> ToAccessOptions(const AccessFlags& flags, std::string data_dir) {
  AccessOptions options;
  options.data_dir = std::move(data_dir);
  options.limits = flags.limits;
  options.trusted_proxies = flags.trusted_proxies;
  RETURN_IF_ERROR(rpc::TrustedProxies::Parse(flags.trusted_proxies).status());
  return options;
}

absl::StatusOr<rpc::WebRules> ToWebRules(const AccessFlags& flags, bool checks_credentials) {
  rpc::WebRules rules{.allowed_origins = flags.allowed_origins,
                      .checks_credentials = checks_credentials};
  const auto guard = rpc::WebGuard::Make(rules);
  if (!guard.ok()) return Annotate(guard.status(), "--allow-origin");
  return rules;
}

}  // namespace vectron
