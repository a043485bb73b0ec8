package vectron

import (
	"context"
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
