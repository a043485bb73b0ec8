// The handlers of AuthService: which call runs where.

#include "base/status.h"
#include "services/auth/auth.h"
#include "vectron/vectron.pb.h"

namespace vectron::auth {
namespace {

std::string Named(std::string_view method) {
  return fmt::format("vectron.auth.v1.AuthService.{}", method);
}

}  // namespace

void Auth::RegisterSessions(rpc::RpcRegistry& registry) {
  registry.Unary<v1::RegisterUserRequest, v1::RegisterUserResponse>(
      Named("RegisterUser"), [this](Context& context, v1::RegisterUserRequest& request,
                                    v1::RegisterUserResponse& response, Done done) {
        Run(slow_lane(), context, std::move(done), [this, &context, &request, &response] {
          return RegisterUser(context, request, response);
        });
      });
  registry.Unary<v1::LoginRequest, v1::LoginResponse>(
      Named("Login"),
      [this](Context& context, v1::LoginRequest& request, v1::LoginResponse& response, Done done) {
        Run(slow_lane(), context, std::move(done),
            [this, &context, &request, &response] { return Login(context, request, response); });
      });
  registry.Unary<v1::ChangePasswordRequest, v1::ChangePasswordResponse>(
      Named("ChangePassword"), [this](Context& context, v1::ChangePasswordRequest& request,
                                      v1::ChangePasswordResponse& response, Done done) {
        Run(slow_lane(), context, std::move(done), [this, &context, &request, &response] {
          return ChangePassword(context, request, response);
        });
      });
  registry.Unary<v1::DeleteUserRequest, v1::DeleteUserResponse>(
      Named("DeleteUser"), [this](Context& context, v1::DeleteUserRequest& request,
                                  v1::DeleteUserResponse& response, Done done) {
        response.set_success(true);
        DeleteUser(context, request.password(), std::move(done));
      });
  registry.Unary<v1::LogoutRequest, v1::LogoutResponse>(
      Named("Logout"),
      [this](Context& context, v1::LogoutRequest&, v1::LogoutResponse& response, Done done) {
        response.set_success(true);
        Run(lane(), context, std::move(done), [this, &context] { return Logout(context); });
      });
  registry.Unary<v1::RefreshTokenRequest, v1::RefreshTokenResponse>(
      Named("RefreshToken"), [this](Context& context, v1::RefreshTokenRequest&,
                                    v1::RefreshTokenResponse& response, Done done) {
        Run(lane(), context, std::move(done),
            [this, &context, &response] { return Refresh(context, response); });
      });
  registry.Unary<v1::GetUserProfileRequest, v1::GetUserProfileResponse>(
      Named("GetUserProfile"), [this](Context& context, v1::GetUserProfileRequest&,
                                      v1::GetUserProfileResponse& response, const Done& done) {
        const absl::StatusOr<UserPtr> user = CallerOf(context);
        if (user.ok()) ToProfile((*user)->record, *response.mutable_user());
        done(user.status());
      });
  registry.Unary<v1::UpdateUserProfileRequest, v1::UpdateUserProfileResponse>(
      Named("UpdateUserProfile"), [this](Context& context, v1::UpdateUserProfileRequest& request,
                                         v1::UpdateUserProfileResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &request, &response] {
          const absl::StatusOr<UserPtr> user = ChangeOwnPlan(context, request.plan());
          if (!user.ok()) return user.status();
          ToProfile((*user)->record, *response.mutable_user());
          response.set_jwt_token(NewLoginToken((*user)->record, SessionOf(context), NowSeconds()));
          return absl::OkStatus();
        });
      });
}

void Auth::RegisterKeys(rpc::RpcRegistry& registry) {
  registry.Unary<v1::CreateAPIKeyRequest, v1::CreateAPIKeyResponse>(
      Named("CreateAPIKey"), [this](Context& context, v1::CreateAPIKeyRequest& request,
                                    v1::CreateAPIKeyResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &request, &response] {
          return CreateApiKey(context, request, response);
        });
      });
  registry.Unary<v1::DeleteAPIKeyRequest, v1::DeleteAPIKeyResponse>(
      Named("DeleteAPIKey"), [this](Context& context, v1::DeleteAPIKeyRequest& request,
                                    v1::DeleteAPIKeyResponse& response, Done done) {
        response.set_success(true);
        Run(lane(), context, std::move(done),
            [this, &context, &request] { return DeleteApiKey(context, request.key_prefix()); });
      });
  registry.Unary<v1::ListAPIKeysRequest, v1::ListAPIKeysResponse>(
      Named("ListAPIKeys"),
      [this](Context& context, v1::ListAPIKeysRequest&, v1::ListAPIKeysResponse& response,
             const Done& done) { done(ListApiKeys(context, response)); });
  registry.Unary<v1::ValidateAPIKeyRequest, v1::ValidateAPIKeyResponse>(
      Named("ValidateAPIKey"),
      [this](Context&, v1::ValidateAPIKeyRequest& request, v1::ValidateAPIKeyResponse& response,
             const Done& done) { done(ValidateApiKey(request, response)); });
  registry.Unary<v1::CreateSDKJWTRequest, v1::CreateSDKJWTResponse>(
      Named("CreateSDKJWT"),
      [this](Context& context, v1::CreateSDKJWTRequest& request, v1::CreateSDKJWTResponse& response,
             const Done& done) { done(CreateSdkJwt(context, request, response)); });
  registry.Unary<v1::GetAuthDetailsForSDKRequest, v1::GetAuthDetailsForSDKResponse>(
      Named("GetAuthDetailsForSDK"),
      [this](Context&, v1::GetAuthDetailsForSDKRequest& request,
             v1::GetAuthDetailsForSDKResponse& response,
             const Done& done) { done(GetAuthDetails(request, response)); });
  registry.Unary<v1::VerifyCredentialRequest, v1::VerifyCredentialResponse>(
      Named("VerifyCredential"),
      [this](Context&, v1::VerifyCredentialRequest& request, v1::VerifyCredentialResponse& response,
             const Done& done) { done(VerifyCredential(request, response)); });
}

void Auth::RegisterAdministration(rpc::RpcRegistry& registry) {
  registry.Unary<v1::ListUsersRequest, v1::ListUsersResponse>(
      Named("ListUsers"),
      [this](Context&, v1::ListUsersRequest& request, v1::ListUsersResponse& response,
             const Done& done) { done(ListUsers(request, response)); });
  registry.Unary<v1::UpdateUserRequest, v1::UpdateUserResponse>(
      Named("UpdateUser"), [this](Context& context, v1::UpdateUserRequest& request,
                                  v1::UpdateUserResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &request, &response] {
          return UpdateUser(context, request, response);
        });
      });
  registry.Unary<v1::SetSubscriptionRequest, v1::SetSubscriptionResponse>(
      Named("SetSubscription"), [this](Context& context, v1::SetSubscriptionRequest& request,
                                       v1::SetSubscriptionResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &request, &response] {
          return SetSubscription(context, request, response);
        });
      });
  registry.Unary<v1::RotateSigningKeyRequest, v1::RotateSigningKeyResponse>(
      Named("RotateSigningKey"), [this](Context& context, v1::RotateSigningKeyRequest&,
                                        v1::RotateSigningKeyResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &response] {
          absl::StatusOr<std::string> id = AddSigningKey();
          if (!id.ok()) return id.status();
          context.audit_target = *id;
          response.set_key_id(*std::move(id));
          return absl::OkStatus();
        });
      });
}

absl::Status Auth::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.auth.v1.AuthService"));
  RegisterSessions(registry);
  RegisterKeys(registry);
  RegisterAdministration(registry);
  return absl::OkStatus();
}

void Auth::RegisterGatewayProfile(rpc::RpcRegistry& registry) {
  using vectron::v1::UpdateUserProfileRequest;
  using vectron::v1::UpdateUserProfileResponse;
  registry.Unary<UpdateUserProfileRequest, UpdateUserProfileResponse>(
      "vectron.v1.VectronService.UpdateUserProfile",
      [this](Context& context, UpdateUserProfileRequest& request,
             UpdateUserProfileResponse& response, Done done) {
        Run(lane(), context, std::move(done), [this, &context, &request, &response] {
          const absl::StatusOr<UserPtr> user = ChangeOwnPlan(context, request.plan());
          if (user.ok()) ToProfile((*user)->record, *response.mutable_user());
          return user.status();
        });
      });
}

}  // namespace vectron::auth
