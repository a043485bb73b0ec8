// Users and their sessions.

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "services/auth/auth.h"
#include "services/auth/secrets.h"

namespace vectron::auth {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kTooManyEndedRetryMs = 60'000;

// Tells that a token or a whole session is over, for as long as a token of it might be shown.
MetaTxn::Write EndOf(const std::string& id, int64_t expires_s, int64_t now_s) {
  store::v1::EndedSession ended;
  ended.set_expires_at(expires_s);
  return {.key = EndedSessionKey(id),
          .value = ended.SerializeAsString(),
          .ttl_seconds = std::max<int64_t>(1, expires_s + kTokenLeewaySeconds - now_s)};
}

// "role=ROLE_ADMIN plan=PAID": what is to be other than it was.
std::string ChangesOf(v1::Plan plan, v1::Role role, v1::SubscriptionStatus subscription) {
  std::string changes;
  const auto add = [&changes](std::string_view name, const std::string& value) {
    changes += fmt::format("{}{}={}", changes.empty() ? "" : " ", name, value);
  };
  if (role != v1::ROLE_UNSPECIFIED) add("role", v1::Role_Name(role));
  if (plan != v1::PLAN_UNSPECIFIED) add("plan", v1::Plan_Name(plan));
  if (subscription != v1::SUBSCRIPTION_STATUS_UNSPECIFIED)
    add("subscription_status", v1::SubscriptionStatus_Name(subscription));
  return changes;
}

absl::Status WrongLogin() { return Unauthenticated("the e-mail or the password is wrong"); }

}  // namespace

void ToProfile(const store::v1::User& user, v1::UserProfile& profile) {
  profile.set_id(user.id());
  profile.set_email(user.email());
  profile.set_created_at(user.created_at());
  profile.set_plan(user.plan());
  profile.set_subscription_status(user.subscription_status());
  profile.set_role(user.role());
}

absl::StatusOr<UserPtr> Auth::CallerOf(const Context& context) const {
  UserPtr user =
      context.identity == nullptr ? nullptr : directory_.FindUser(context.identity->user_id);
  if (user == nullptr || user->record.leaving()) return Unauthenticated("the user is no more");
  return user;
}

Auth::Session Auth::NewSession() const { return {.id = RandomUuid(), .began_s = NowSeconds()}; }

Auth::Session Auth::SessionOf(const Context& context) {
  return {.id = context.identity->session_id, .began_s = context.identity->session_began_unix_s};
}

int64_t Auth::LoginTokenEnd(const Session& session, int64_t now_s) {
  return std::min(now_s + kLoginTokenSeconds, session.ends_s());
}

std::string Auth::NewLoginToken(const store::v1::User& user, const Session& session,
                                int64_t now_s) const {
  return directory_.key_ring()->Sign({.user_id = user.id(),
                                      .plan = v1::Plan_Name(user.plan()),
                                      .api_key = "",
                                      .token_id = RandomUuid(),
                                      .issued_at = now_s,
                                      .expires_at = LoginTokenEnd(session, now_s),
                                      .session_epoch = user.session_epoch(),
                                      .session_id = session.id,
                                      .session_began = session.began_s},
                                     now_s);
}

absl::Status Auth::RegisterUser(Context& context, const v1::RegisterUserRequest& request,
                                v1::RegisterUserResponse& response) {
  ASSIGN_OR_RETURN(const std::string email, NormalizeEmail(request.email()));
  RETURN_IF_ERROR(CheckPassword(request.password()));
  RETURN_IF_ERROR(verifier_.CheckFresh());
  const BootstrapPtr bootstrap = directory_.bootstrap();
  const auto shown = context.Header("x-vectron-bootstrap");
  if (shown && (bootstrap == nullptr || !HoldsBootstrapSecret(*shown)))
    return PermissionDenied("the bootstrap secret is wrong or used up");
  const absl::Status taken = AlreadyExists("a user with this e-mail exists");
  if (directory_.FindUserByEmail(email) != nullptr) return taken;
  if (directory_.user_count() >= kMaxUsers)
    return ResourceExhausted("there are {} users, the most allowed", kMaxUsers);

  store::v1::User user;
  user.set_id("user-" + RandomUuid());
  user.set_email(email);
  user.set_password_hash(HashPassword(request.password(), options_.hash_cost));
  user.set_created_at(NowSeconds());
  user.set_plan(v1::FREE);
  user.set_subscription_status(v1::ACTIVE);
  user.set_role(shown ? v1::ROLE_ADMIN : v1::ROLE_USER);
  context.audit_target = user.id();
  if (shown) context.audit_detail = "role=ROLE_ADMIN by the bootstrap secret";
  MetaTxn txn{.compares = {{EmailKey(email), 0}, {UserKey(user.id()), 0}},
              .writes = {{.key = UserKey(user.id()), .value = user.SerializeAsString()},
                         {.key = EmailKey(email), .value = user.id()}}};
  if (shown) {
    txn.compares.push_back({BootstrapKey(), bootstrap->revision});
    txn.writes.push_back({.key = BootstrapKey(), .value = std::nullopt});
  }
  const absl::Status status = Commit(txn);
  if (absl::IsAborted(status)) {
    return directory_.FindUserByEmail(email) != nullptr || !shown
               ? taken
               : PermissionDenied("the bootstrap secret is wrong or used up");
  }
  RETURN_IF_ERROR(status);
  if (shown) {
    const absl::Status removed = NewPosixFileSystem()->Remove(options_.bootstrap_file);
    if (!removed.ok()) LogWarning("a used-up secret stays on disk: {}", MessageOf(removed));
  }
  ToProfile(user, *response.mutable_user());
  return absl::OkStatus();
}

absl::Status Auth::CheckPasswordOf(const UserPtr& user, const std::string& password) const {
  // The same work whether there is such a user or not.
  const std::string& hash = user == nullptr ? dummy_hash_ : user->record.password_hash();
  const std::string_view tried = std::string_view(password).substr(0, kMaxPasswordBytes + 1);
  ASSIGN_OR_RETURN(const bool matches, PasswordMatches(tried, hash));
  password_checks_.Increment();
  if (!matches || user == nullptr || user->record.leaving()) return WrongLogin();
  return absl::OkStatus();
}

absl::Status Auth::TakeTry(const std::string& email) {
  const std::shared_ptr<rpc::TokenBuckets> tries = Tries();
  if (tries == nullptr) return absl::OkStatus();
  const int64_t wait_nanos = tries->Take(email, deps_.clock->MonotonicNanos());
  if (wait_nanos == 0) return absl::OkStatus();
  failed_logins_.Increment();
  return rpc::WithRetryAfter(ResourceExhausted("the password of this account was tried too often"),
                             (wait_nanos + kNanosPerMs - 1) / kNanosPerMs);
}

absl::Status Auth::Login(Context& context, const v1::LoginRequest& request,
                         v1::LoginResponse& response) {
  if (request.email().empty()) return InvalidArgument("email: it is empty");
  if (request.password().empty()) return InvalidArgument("password: it is empty");
  RETURN_IF_ERROR(verifier_.CheckFresh());
  const absl::StatusOr<std::string> email = NormalizeEmail(request.email());
  if (email.ok()) RETURN_IF_ERROR(TakeTry(*email));
  const UserPtr user = email.ok() ? directory_.FindUserByEmail(*email) : nullptr;
  if (user != nullptr) context.audit_target = user->record.id();
  const absl::Status checked = CheckPasswordOf(user, request.password());
  if (!checked.ok()) {
    failed_logins_.Increment();
    return checked;
  }
  logins_.Increment();
  if (IsAdmin(user->record)) context.audit_detail = "role=ROLE_ADMIN";
  response.set_jwt_token(NewLoginToken(user->record, NewSession(), NowSeconds()));
  ToProfile(user->record, *response.mutable_user());
  return absl::OkStatus();
}

absl::Status Auth::ChangePassword(Context& context, const v1::ChangePasswordRequest& request,
                                  v1::ChangePasswordResponse& response) {
  ASSIGN_OR_RETURN(const UserPtr caller, CallerOf(context));
  RETURN_IF_ERROR(CheckPassword(request.new_password()));
  RETURN_IF_ERROR(TakeTry(caller->record.email()));
  if (!CheckPasswordOf(caller, request.old_password()).ok())
    return PermissionDenied("the old password is wrong");
  const std::string hash = HashPassword(request.new_password(), options_.hash_cost);
  ASSIGN_OR_RETURN(const UserPtr user,
                   ChangeUser(caller->record.id(), [&](store::v1::User& record) {
                     record.set_password_hash(hash);
                     record.set_session_epoch(record.session_epoch() + 1);
                     return absl::OkStatus();
                   }));
  response.set_jwt_token(NewLoginToken(user->record, NewSession(), NowSeconds()));
  return absl::OkStatus();
}

absl::Status Auth::Logout(Context& context) {
  const int64_t now = NowSeconds();
  // Whatever tokens the session has, none lives longer; and none is refreshed once this is written.
  return Commit({.writes = {EndOf(context.identity->session_id,
                                  LoginTokenEnd(SessionOf(context), now), now)}});
}

absl::Status Auth::CheckRoomForEnded() const {
  if (directory_.ended_count() < options_.max_ended) return absl::OkStatus();
  // The embedded store drops what has expired when it is read or written.
  RETURN_IF_ERROR(deps_.store->Read(BeatKey()).status());
  if (directory_.ended_count() < options_.max_ended) return absl::OkStatus();
  return rpc::WithRetryAfter(
      ResourceExhausted("{} tokens have been refreshed, the most allowed", options_.max_ended),
      kTooManyEndedRetryMs);
}

absl::Status Auth::Refresh(const Context& context, v1::RefreshTokenResponse& response) {
  ASSIGN_OR_RETURN(const UserPtr user, CallerOf(context));
  const Session session = SessionOf(context);
  const int64_t now = NowSeconds();
  if (now >= session.ends_s()) return Unauthenticated("the session is too old: log in again");
  RETURN_IF_ERROR(CheckRoomForEnded());
  const rpc::Identity& identity = *context.identity;
  // A token has one successor, and a session that has ended gets none.
  const absl::Status status = Commit(
      {.compares = {{EndedSessionKey(identity.token_id), 0}, {EndedSessionKey(session.id), 0}},
       .writes = {EndOf(identity.token_id, identity.expires_unix_s, now)}});
  if (absl::IsAborted(status)) return Unauthenticated("the session has ended");
  RETURN_IF_ERROR(status);
  response.set_jwt_token(NewLoginToken(user->record, session, now));
  response.set_expires_at(LoginTokenEnd(session, now));
  return absl::OkStatus();
}

absl::StatusOr<UserPtr> Auth::ChangeOwnPlan(Context& context, v1::Plan plan) {
  if (plan != v1::FREE && plan != v1::PAID) return InvalidArgument("plan: wanted FREE or PAID");
  ASSIGN_OR_RETURN(UserPtr user, CallerOf(context));
  context.audit_target = user->record.id();
  context.audit_detail = fmt::format("plan={}", v1::Plan_Name(plan));
  if (user->record.plan() == plan) return user;
  if (user->record.role() != v1::ROLE_ADMIN) {
    return PermissionDenied(
        "a plan is changed by an administrator or by what has been paid, not by its user");
  }
  return ChangeUser(user->record.id(), [plan](store::v1::User& record) {
    record.set_plan(plan);
    return absl::OkStatus();
  });
}

absl::Status Auth::UpdateUser(Context& context, const v1::UpdateUserRequest& request,
                              v1::UpdateUserResponse& response) {
  context.audit_target = request.user_id();
  context.audit_detail = ChangesOf(request.plan(), request.role(), request.subscription_status());
  if (!v1::Plan_IsValid(request.plan()) || !v1::Role_IsValid(request.role()) ||
      !v1::SubscriptionStatus_IsValid(request.subscription_status())) {
    return InvalidArgument("plan, role or subscription_status is no known value");
  }
  ASSIGN_OR_RETURN(const UserPtr user, ChangeUser(request.user_id(), [&](store::v1::User& record) {
                     if (request.plan() != v1::PLAN_UNSPECIFIED) record.set_plan(request.plan());
                     if (request.role() != v1::ROLE_UNSPECIFIED) record.set_role(request.role());
                     if (request.subscription_status() != v1::SUBSCRIPTION_STATUS_UNSPECIFIED)
                       record.set_subscription_status(request.subscription_status());
                     return absl::OkStatus();
                   }));
  ToProfile(user->record, *response.mutable_user());
  return absl::OkStatus();
}

absl::Status Auth::SetSubscription(Context& context, const v1::SetSubscriptionRequest& request,
                                   v1::SetSubscriptionResponse& response) {
  context.audit_target = request.user_id();
  context.audit_detail =
      ChangesOf(request.plan(), v1::ROLE_UNSPECIFIED, request.subscription_status());
  if (request.plan() == v1::PLAN_UNSPECIFIED || !v1::Plan_IsValid(request.plan()))
    return InvalidArgument("plan: wanted FREE or PAID");
  ASSIGN_OR_RETURN(const UserPtr user, ChangeUser(request.user_id(), [&](store::v1::User& record) {
                     record.set_plan(request.plan());
                     if (request.subscription_status() != v1::SUBSCRIPTION_STATUS_UNSPECIFIED)
                       record.set_subscription_status(request.subscription_status());
                     return absl::OkStatus();
                   }));
  ToProfile(user->record, *response.mutable_user());
  return absl::OkStatus();
}

absl::Status Auth::ListUsers(const v1::ListUsersRequest& request,
                             v1::ListUsersResponse& response) const {
  const size_t limit = request.limit() == 0 ? kDefaultListedUsers : request.limit();
  if (limit > kMaxListedUsers)
    return InvalidArgument("limit: got {}, at most {}", limit, kMaxListedUsers);
  const std::vector<UserPtr> users = directory_.ListUsers(request.after_id(), limit + 1);
  for (size_t i = 0; i < std::min(limit, users.size()); ++i)
    ToProfile(users[i]->record, *response.add_users());
  if (users.size() > limit) response.set_next_after_id(users[limit - 1]->record.id());
  return absl::OkStatus();
}

void Auth::DeleteUser(Context& context, const std::string& password, Done done) {
  const auto locked_out = [this, &context, password]() -> absl::Status {
    ASSIGN_OR_RETURN(const UserPtr caller, CallerOf(context));
    context.audit_target = caller->record.id();
    RETURN_IF_ERROR(TakeTry(caller->record.email()));
    if (!CheckPasswordOf(caller, password).ok()) return PermissionDenied("the password is wrong");
    return ChangeUser(caller->record.id(),
                      [](store::v1::User& record) {
                        record.set_leaving(true);
                        record.set_session_epoch(record.session_epoch() + 1);
                        return absl::OkStatus();
                      })
        .status();
  };
  Run(
      slow_lane(), context,
      [this, &context, done = std::move(done)](const absl::Status& status) {
        if (!status.ok()) return done(status);
        FinishDelete(context.identity->user_id, done);
      },
      locked_out);
}

void Auth::FinishDelete(const std::string& user_id, Done done) {
  deps_.remove_collections(
      user_id, [this, user_id, done = std::move(done)](const absl::Status& status) {
        if (!status.ok())
          return done(Annotate(status, "the user is locked out, but collections are left"));
        changes_->Schedule([this, user_id, done] { done(RemoveRecords(user_id)); });
      });
}

absl::Status Auth::RemoveRecords(const std::string& user_id) {
  const UserPtr user = directory_.FindUser(user_id);
  if (user == nullptr) return absl::OkStatus();  // done by another instance
  MetaTxn txn;
  const auto add = [this, &txn](std::string key) -> absl::Status {
    txn.writes.push_back({.key = std::move(key), .value = std::nullopt});
    if (txn.writes.size() < kMaxTxnWrites) return absl::OkStatus();
    return Commit(std::exchange(txn, MetaTxn()));
  };
  for (const ApiKeyPtr& key : directory_.KeysOf(user_id))
    RETURN_IF_ERROR(add(ApiKeyKey(key->record.prefix())));
  RETURN_IF_ERROR(add(EmailKey(user->record.email())));
  RETURN_IF_ERROR(add(UserKey(user_id)));
  return txn.writes.empty() ? absl::OkStatus() : Commit(txn);
}

}  // namespace vectron::auth
