package vectron

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/vectron-db/vectron/sdk/go/authpb"
)

// User of a Vectron.
type User struct {
	ID, Email, Plan, SubscriptionStatus, Role string
	CreatedAt                                 time.Time
}

// APIKey as it is listed; FullKey is set in the answer of CreateAPIKey only.
type APIKey struct {
	KeyPrefix, UserID, Name, FullKey string
	Scope                            string   // "read", "write" or "admin"
	Collections                      []string // names or patterns with *; empty: every collection of the user
	CreatedAt, ExpiresAt             time.Time
}

// KeyOption is an option of CreateAPIKey.
type KeyOption func(*authpb.CreateAPIKeyRequest)

// KeyReadOnly makes a key that cannot write.
func KeyReadOnly() KeyOption {
	return func(r *authpb.CreateAPIKeyRequest) { r.Scope = authpb.KeyScope_KEY_SCOPE_READ }
}

// KeyAdmin makes a key with all rights of an administrator.
func KeyAdmin() KeyOption {
	return func(r *authpb.CreateAPIKeyRequest) { r.Scope = authpb.KeyScope_KEY_SCOPE_ADMIN }
}

// KeyCollections makes a key for these collections only: names, or patterns with *.
func KeyCollections(names ...string) KeyOption {
	return func(r *authpb.CreateAPIKeyRequest) { r.Collections = names }
}

// KeyExpires makes a key that ends.
func KeyExpires(at time.Time) KeyOption {
	return func(r *authpb.CreateAPIKeyRequest) { r.ExpiresAt = at.Unix() }
}

// RegisterUser makes a user. bootstrapSecret, of the first start, makes the first administrator; else it is empty.
func (c *Client) RegisterUser(ctx context.Context, email, password, bootstrapSecret string) (*User, error) {
	if bootstrapSecret != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-vectron-bootstrap", bootstrapSecret)
	}
	response := &authpb.RegisterUserResponse{}
	err := c.call(ctx, otherWrite, authService+"RegisterUser", &authpb.RegisterUserRequest{Email: email, Password: password}, response)
	return userOf(response.GetUser()), err
}

// Login logs in; this client uses the token from then on.
func (c *Client) Login(ctx context.Context, email, password string) (*User, error) {
	response := &authpb.LoginResponse{}
	if err := c.call(ctx, otherWrite, authService+"Login", &authpb.LoginRequest{Email: email, Password: password}, response); err != nil {
		return nil, err
	}
	c.login.Store(&response.JwtToken)
	return userOf(response.GetUser()), nil
}

// Logout ends the login; its token is refused from then on.
func (c *Client) Logout(ctx context.Context) error {
	err := c.call(ctx, otherWrite, authService+"Logout", &authpb.LogoutRequest{}, &authpb.LogoutResponse{})
	if err == nil {
		c.login.Store(nil)
	}
	return err
}

// GetUserProfile returns the caller.
func (c *Client) GetUserProfile(ctx context.Context) (*User, error) {
	response := &authpb.GetUserProfileResponse{}
	err := c.call(ctx, read, authService+"GetUserProfile", &authpb.GetUserProfileRequest{}, response)
	return userOf(response.GetUser()), err
}

// RefreshToken returns a new token for the login's; this client uses it from then on.
func (c *Client) RefreshToken(ctx context.Context) (string, error) {
	response := &authpb.RefreshTokenResponse{}
	if err := c.call(ctx, otherWrite, authService+"RefreshToken", &authpb.RefreshTokenRequest{}, response); err != nil {
		return "", err
	}
	c.login.Store(&response.JwtToken)
	return response.JwtToken, nil
}

// ChangePassword ends the other logins; this client goes on with a new token.
func (c *Client) ChangePassword(ctx context.Context, oldPassword, newPassword string) error {
	request := &authpb.ChangePasswordRequest{OldPassword: oldPassword, NewPassword: newPassword}
	response := &authpb.ChangePasswordResponse{}
	err := c.call(ctx, otherWrite, authService+"ChangePassword", request, response)
	if err == nil {
		c.login.Store(&response.JwtToken)
	}
	return err
}

// UpdateUserProfile changes the caller's plan, "free" or "paid"; this client goes on with a token that names it. ErrPermissionDenied for
// users who are no administrators.
func (c *Client) UpdateUserProfile(ctx context.Context, plan string) (*User, error) {
	number, err := numberOf(authpb.Plan_value, "", plan, "the plan")
	if err != nil {
		return nil, err
	}
	response := &authpb.UpdateUserProfileResponse{}
	request := &authpb.UpdateUserProfileRequest{Plan: authpb.Plan(number)}
	if err := c.call(ctx, otherWrite, authService+"UpdateUserProfile", request, response); err != nil {
		return nil, err
	}
	if response.JwtToken != "" {
		c.login.Store(&response.JwtToken)
	}
	return userOf(response.GetUser()), nil
}

// DeleteUser deletes the caller's account.
func (c *Client) DeleteUser(ctx context.Context, password string) error {
	request := &authpb.DeleteUserRequest{Password: password}
	return c.call(ctx, otherWrite, authService+"DeleteUser", request, &authpb.DeleteUserResponse{})
}

// ListUsers returns one page of users by id, and where to go on (empty: that was the last). For administrators.
func (c *Client) ListUsers(ctx context.Context, afterID string, limit int) (users []User, nextAfterID string, err error) {
	response := &authpb.ListUsersResponse{}
	request := &authpb.ListUsersRequest{AfterId: afterID, Limit: uint32(max(limit, 0))}
	if err := c.call(ctx, read, authService+"ListUsers", request, response); err != nil {
		return nil, "", err
	}
	for _, user := range response.Users {
		users = append(users, *userOf(user))
	}
	return users, response.NextAfterId, nil
}

// UserChange is what UpdateUser changes; what is empty stays as it is.
type UserChange struct {
	Plan               string // "free" or "paid"
	SubscriptionStatus string // "active", "canceled" or "past_due"
	Role               string // "user" or "admin"
}

// UpdateUser changes another user. For administrators.
func (c *Client) UpdateUser(ctx context.Context, userID string, change UserChange) (*User, error) {
	plan, err := numberOf(authpb.Plan_value, "", change.Plan, "the plan")
	if err != nil {
		return nil, err
	}
	status, err := numberOf(authpb.SubscriptionStatus_value, "", change.SubscriptionStatus, "the subscription's status")
	if err != nil {
		return nil, err
	}
	role, err := numberOf(authpb.Role_value, "ROLE_", change.Role, "the role")
	if err != nil {
		return nil, err
	}
	request := &authpb.UpdateUserRequest{
		UserId:             userID,
		Plan:               authpb.Plan(plan),
		SubscriptionStatus: authpb.SubscriptionStatus(status),
		Role:               authpb.Role(role),
	}
	response := &authpb.UpdateUserResponse{}
	err = c.call(ctx, otherWrite, authService+"UpdateUser", request, response)
	return userOf(response.GetUser()), err
}

// RotateSigningKey signs tokens with a new key from now on; those signed before stay good until they expire. It returns the key's id.
// For administrators.
func (c *Client) RotateSigningKey(ctx context.Context) (string, error) {
	response := &authpb.RotateSigningKeyResponse{}
	err := c.call(ctx, otherWrite, authService+"RotateSigningKey", &authpb.RotateSigningKeyRequest{}, response)
	return response.KeyId, err
}

// numberOf is the number of an enum's value by its name in lower case; of an empty one 0.
func numberOf(values map[string]int32, prefix, name, what string) (int32, error) {
	if name == "" {
		return 0, nil
	}
	if number, ok := values[prefix+strings.ToUpper(name)]; ok {
		return number, nil
	}
	var known []string
	for value, number := range values {
		if number != 0 {
			known = append(known, strings.ToLower(strings.TrimPrefix(value, prefix)))
		}
	}
	slices.Sort(known)
	return 0, invalid("%s is %q; it must be one of %s", what, name, strings.Join(known, ", "))
}

// CreateAPIKey makes a key that may write, unless an option says otherwise.
func (c *Client) CreateAPIKey(ctx context.Context, name string, opts ...KeyOption) (*APIKey, error) {
	request := &authpb.CreateAPIKeyRequest{Name: name}
	for _, option := range opts {
		option(request)
	}
	response := &authpb.CreateAPIKeyResponse{}
	if err := c.call(ctx, otherWrite, authService+"CreateAPIKey", request, response); err != nil {
		return nil, err
	}
	key := keyOf(response.GetKeyInfo())
	key.FullKey = response.FullKey
	return &key, nil
}

// ListAPIKeys returns the caller's keys.
func (c *Client) ListAPIKeys(ctx context.Context) ([]APIKey, error) {
	response := &authpb.ListAPIKeysResponse{}
	if err := c.call(ctx, read, authService+"ListAPIKeys", &authpb.ListAPIKeysRequest{}, response); err != nil {
		return nil, err
	}
	keys := make([]APIKey, len(response.Keys))
	for i, key := range response.Keys {
		keys[i] = keyOf(key)
	}
	return keys, nil
}

// DeleteAPIKey revokes the key with this prefix.
func (c *Client) DeleteAPIKey(ctx context.Context, keyPrefix string) error {
	request := &authpb.DeleteAPIKeyRequest{KeyPrefix: keyPrefix}
	return c.call(ctx, otherWrite, authService+"DeleteAPIKey", request, &authpb.DeleteAPIKeyResponse{})
}

// KeyCheck says whose key it is, when it is good.
type KeyCheck struct {
	Valid                  bool
	UserID, Plan, APIKeyID string
}

// ValidateAPIKey checks a key.
func (c *Client) ValidateAPIKey(ctx context.Context, fullKey string) (*KeyCheck, error) {
	response := &authpb.ValidateAPIKeyResponse{}
	err := c.call(ctx, read, authService+"ValidateAPIKey", &authpb.ValidateAPIKeyRequest{FullKey: fullKey}, response)
	return &KeyCheck{response.Valid, response.UserId, response.Plan, response.ApiKeyId}, err
}

// CreateSDKJWT makes a token of 7 days for the key with this prefix.
func (c *Client) CreateSDKJWT(ctx context.Context, keyPrefix string) (string, error) {
	response := &authpb.CreateSDKJWTResponse{}
	err := c.call(ctx, otherWrite, authService+"CreateSDKJWT", &authpb.CreateSDKJWTRequest{ApiKeyId: keyPrefix}, response)
	return response.SdkJwt, err
}

func userOf(user *authpb.UserProfile) *User {
	if user == nil {
		return nil
	}
	return &User{
		ID:                 user.Id,
		Email:              user.Email,
		Plan:               user.Plan.String(),
		SubscriptionStatus: user.SubscriptionStatus.String(),
		Role:               strings.ToLower(strings.TrimPrefix(user.Role.String(), "ROLE_")),
		CreatedAt:          time.Unix(user.CreatedAt, 0),
	}
}

func keyOf(key *authpb.APIKey) APIKey {
	made := APIKey{
		KeyPrefix:   key.GetKeyPrefix(),
		UserID:      key.GetUserId(),
		Name:        key.GetName(),
		Scope:       strings.ToLower(strings.TrimPrefix(key.GetScope().String(), "KEY_SCOPE_")),
		Collections: key.GetCollections(),
		CreatedAt:   time.Unix(key.GetCreatedAt(), 0),
	}
	if key.GetExpiresAt() != 0 {
		made.ExpiresAt = time.Unix(key.GetExpiresAt(), 0)
	}
	return made
}
