// Users, sessions and keys.

#include <utility>

#include "client_impl.h"
#include "vectron/client.h"

namespace vectron {
namespace {

using internal::Kind;
using Service = auth::v1::AuthService::StubInterface;

// The name of an enum's value without its prefix, in lower case.
std::string Word(std::string name, size_t prefix) {
  name.erase(0, std::min(prefix, name.size()));
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  return name;
}

User FromProto(const auth::v1::UserProfile& user) {
  return {user.id(),
          user.email(),
          user.created_at(),
          auth::v1::Plan_Name(user.plan()),
          Word(auth::v1::Role_Name(user.role()), sizeof("ROLE_") - 1),
          auth::v1::SubscriptionStatus_Name(user.subscription_status())};
}
ApiKey FromProto(const auth::v1::APIKey& key) {
  return {key.key_prefix(),
          key.name(),
          "",
          key.created_at(),
          key.expires_at(),
          key.user_id(),
          Word(auth::v1::KeyScope_Name(key.scope()), sizeof("KEY_SCOPE_") - 1),
          {key.collections().begin(), key.collections().end()}};
}

}  // namespace

User Client::RegisterUser(const std::string& email, const std::string& password,
                          const std::string& bootstrap_secret, Timeout timeout) {
  auth::v1::RegisterUserRequest request;
  request.set_email(email);
  request.set_password(password);
  auth::v1::RegisterUserResponse response;
  const auto attempt = [&](grpc::ClientContext* context) {
    if (!bootstrap_secret.empty()) context->AddMetadata("x-vectron-bootstrap", bootstrap_secret);
    return impl_->connection->auth().RegisterUser(context, request, &response);
  };
  impl_->connection->Run(Kind::kOtherWrite, attempt, timeout);
  return FromProto(response.user());
}
User Client::Login(const std::string& email, const std::string& password, Timeout timeout) {
  auth::v1::LoginRequest request;
  request.set_email(email);
  request.set_password(password);
  const auto response = impl_->CallAuth(Kind::kOtherWrite, request, &Service::Login, timeout);
  impl_->connection->SetLogin(response.jwt_token());
  return FromProto(response.user());
}
std::string Client::RefreshToken(Timeout timeout) {
  const auto response = impl_->CallAuth(Kind::kOtherWrite, auth::v1::RefreshTokenRequest(),
                                        &Service::RefreshToken, timeout);
  impl_->connection->SetLogin(response.jwt_token());
  return response.jwt_token();
}
void Client::Logout(Timeout timeout) {
  impl_->CallAuth(Kind::kOtherWrite, auth::v1::LogoutRequest(), &Service::Logout, timeout);
  impl_->connection->SetLogin("");
}
void Client::ChangePassword(const std::string& old_password, const std::string& new_password,
                            Timeout timeout) {
  auth::v1::ChangePasswordRequest request;
  request.set_old_password(old_password);
  request.set_new_password(new_password);
  impl_->connection->SetLogin(
      impl_->CallAuth(Kind::kOtherWrite, request, &Service::ChangePassword, timeout).jwt_token());
}
User Client::GetUserProfile(Timeout timeout) {
  return FromProto(impl_
                       ->CallAuth(Kind::kRead, auth::v1::GetUserProfileRequest(),
                                  &Service::GetUserProfile, timeout)
                       .user());
}
User Client::UpdateUserProfile(Plan plan, Timeout timeout) {
  auth::v1::UpdateUserProfileRequest request;
  request.set_plan(static_cast<auth::v1::Plan>(plan));
  const auto response =
      impl_->CallAuth(Kind::kOtherWrite, request, &Service::UpdateUserProfile, timeout);
  if (!response.jwt_token().empty()) impl_->connection->SetLogin(response.jwt_token());
  return FromProto(response.user());
}
void Client::DeleteUser(const std::string& password, Timeout timeout) {
  auth::v1::DeleteUserRequest request;
  request.set_password(password);
  impl_->CallAuth(Kind::kOtherWrite, request, &Service::DeleteUser, timeout);
}
UserPage Client::ListUsers(const std::string& after_id, uint32_t limit, Timeout timeout) {
  auth::v1::ListUsersRequest request;
  request.set_after_id(after_id);
  request.set_limit(limit);
  const auto response = impl_->CallAuth(Kind::kRead, request, &Service::ListUsers, timeout);
  UserPage page;
  for (const auto& user : response.users()) page.users.push_back(FromProto(user));
  page.next_after_id = response.next_after_id();
  return page;
}
User Client::UpdateUser(const std::string& user_id, const UserChange& change, Timeout timeout) {
  auth::v1::UpdateUserRequest request;
  request.set_user_id(user_id);
  if (change.plan) request.set_plan(static_cast<auth::v1::Plan>(*change.plan));
  if (change.subscription_status) {
    request.set_subscription_status(
        static_cast<auth::v1::SubscriptionStatus>(*change.subscription_status));
  }
  if (change.role) request.set_role(static_cast<auth::v1::Role>(*change.role));
  return FromProto(
      impl_->CallAuth(Kind::kOtherWrite, request, &Service::UpdateUser, timeout).user());
}
std::string Client::RotateSigningKey(Timeout timeout) {
  return impl_
      ->CallAuth(Kind::kOtherWrite, auth::v1::RotateSigningKeyRequest(), &Service::RotateSigningKey,
                 timeout)
      .key_id();
}

ApiKey Client::CreateApiKey(const std::string& name, const KeyOptions& options, Timeout timeout) {
  auth::v1::CreateAPIKeyRequest request;
  request.set_name(name);
  request.set_scope(static_cast<auth::v1::KeyScope>(options.scope));
  for (const std::string& collection : options.collections) request.add_collections(collection);
  request.set_expires_at(options.expires_at);
  const auto response =
      impl_->CallAuth(Kind::kOtherWrite, request, &Service::CreateAPIKey, timeout);
  ApiKey key = FromProto(response.key_info());
  key.full_key = response.full_key();
  return key;
}
std::vector<ApiKey> Client::ListApiKeys(Timeout timeout) {
  const auto response =
      impl_->CallAuth(Kind::kRead, auth::v1::ListAPIKeysRequest(), &Service::ListAPIKeys, timeout);
  std::vector<ApiKey> keys;
  for (const auto& key : response.keys()) keys.push_back(FromProto(key));
  return keys;
}
void Client::DeleteApiKey(const std::string& key_prefix, Timeout timeout) {
  auth::v1::DeleteAPIKeyRequest request;
  request.set_key_prefix(key_prefix);
  impl_->CallAuth(Kind::kOtherWrite, request, &Service::DeleteAPIKey, timeout);
}
KeyCheck Client::ValidateApiKey(const std::string& full_key, Timeout timeout) {
  auth::v1::ValidateAPIKeyRequest request;
  request.set_full_key(full_key);
  const auto response = impl_->CallAuth(Kind::kRead, request, &Service::ValidateAPIKey, timeout);
  return {response.valid(), response.user_id(), response.plan(), response.api_key_id()};
}
std::string Client::CreateSdkJwt(const std::string& key_prefix, Timeout timeout) {
  auth::v1::CreateSDKJWTRequest request;
  request.set_api_key_id(key_prefix);
  return impl_->CallAuth(Kind::kOtherWrite, request, &Service::CreateSDKJWT, timeout).sdk_jwt();
}

}  // namespace vectron
