package vectron_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

// administered is a server that wants credentials, with a client of its administrator.
func administered(t *testing.T) (*process, *vectron.Client) {
	t.Helper()
	if client == nil {
		t.Skip("NOT TESTED: VECTRON_BINARY names no server")
	}
	data := filepath.Join(t.TempDir(), "data")
	own, err := startServer(data, "127.0.0.1:0", "on", "--auth-login-per-minute", "0", "--auth-register-per-minute", "0", "--auth-key-per-minute", "0")
	must(t, err)
	t.Cleanup(func() { own.stop(syscall.SIGTERM) })
	secret, err := os.ReadFile(filepath.Join(data, "bootstrap.secret"))
	must(t, err)
	admin, err := vectron.NewClient(own.GRPC, "")
	must(t, err)
	t.Cleanup(func() { admin.Close() })
	_, err = admin.ListCollections(context.Background())
	refused(t, err, vectron.ErrAuthentication, "WithAPIKey")
	_, err = admin.RegisterUser(context.Background(), "root@example.org", "Passw0rd!", strings.TrimSpace(string(secret)))
	must(t, err)
	_, err = admin.Login(context.Background(), "root@example.org", "Passw0rd!")
	must(t, err)
	return own, admin
}

func TestKeys(t *testing.T) {
	own, user := administered(t)
	ctx := context.Background()
	with := func(token string) *vectron.Client {
		made, err := vectron.NewClient(own.GRPC, token)
		must(t, err)
		t.Cleanup(func() { made.Close() })
		return made
	}
	_, err := with("vkey-wrong").ListCollections(ctx)
	refused(t, err, vectron.ErrAuthentication, "WithAPIKey")
	key, err := user.CreateAPIKey(ctx, "a key")
	must(t, err)
	_, err = with(key.FullKey).ListCollections(ctx)
	must(t, err)
	keys, err := user.ListAPIKeys(ctx)
	must(t, err)
	if len(keys) != 1 || keys[0].KeyPrefix != key.KeyPrefix || keys[0].Scope != "write" {
		t.Errorf("%+v", keys)
	}
	token, err := user.CreateSDKJWT(ctx, key.KeyPrefix)
	must(t, err)
	_, err = with(token).CreateAPIKey(ctx, "not allowed")
	refused(t, err, vectron.ErrPermissionDenied)
	must(t, user.DeleteAPIKey(ctx, key.KeyPrefix))
	check, err := user.ValidateAPIKey(ctx, key.FullKey)
	must(t, err)
	if check.Valid {
		t.Errorf("%+v", check)
	}
	must(t, user.Logout(ctx))
}

func TestACredentialThatExpiresSaysSo(t *testing.T) {
	own, user := administered(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	key, err := user.CreateAPIKey(ctx, "short", vectron.KeyExpires(time.Now().Add(2*time.Second)))
	must(t, err)
	keyed, err := vectron.NewClient(own.GRPC, key.FullKey)
	must(t, err)
	defer keyed.Close()
	for err == nil {
		_, err = keyed.ListCollections(ctx)
	}
	refused(t, err, vectron.ErrAuthentication, "expired", "need a new login")
}

func TestALoginThatIsOverSaysSo(t *testing.T) {
	own, user := administered(t)
	ctx := context.Background()
	with := func(token string) *vectron.Client {
		made, err := vectron.New(own.GRPC, vectron.WithToken(token))
		must(t, err)
		t.Cleanup(func() { made.Close() })
		return made
	}
	token, err := user.RefreshToken(ctx)
	must(t, err)
	other := with(token)
	_, err = other.ListCollections(ctx)
	must(t, err)
	must(t, user.Logout(ctx))
	_, err = other.ListCollections(ctx)
	refused(t, err, vectron.ErrAuthentication, "the session has ended", "need a new login")
	tool := os.Getenv("VECTRON_EXPIRED_TOKEN_TOOL")
	if tool == "" {
		t.Skip("NOT TESTED: VECTRON_EXPIRED_TOKEN_TOOL is not set; tests/sdk/run.sh go sets it")
	}
	expired, err := exec.Command("python3", "-B", tool, own.data).Output()
	must(t, err)
	_, err = with(strings.TrimSpace(string(expired))).ListCollections(ctx)
	refused(t, err, vectron.ErrAuthentication, "the token is expired", "need a new login")
}

func TestAccountsAndWhatAdministratorsDo(t *testing.T) {
	own, admin := administered(t)
	ctx := context.Background()
	client, err := vectron.NewClient(own.GRPC, "")
	must(t, err)
	defer client.Close()
	registered, err := client.RegisterUser(ctx, "ada@example.org", "Passw0rd!", "")
	must(t, err)
	user, err := client.Login(ctx, "ada@example.org", "Passw0rd!")
	must(t, err)
	profile, err := client.GetUserProfile(ctx)
	must(t, err)
	if *user != *registered || *profile != *registered {
		t.Error(registered, user, profile)
	}
	_, _, err = client.ListUsers(ctx, "", 0)
	refused(t, err, vectron.ErrPermissionDenied)
	emails := func() (emails []string) {
		t.Helper()
		for after, more := "", true; more; more = after != "" {
			users, next, err := admin.ListUsers(ctx, after, 1)
			must(t, err)
			for _, user := range users {
				emails = append(emails, user.Email)
			}
			after = next
		}
		slices.Sort(emails)
		return emails
	}
	if got := emails(); !slices.Equal(got, []string{"ada@example.org", "root@example.org"}) {
		t.Error(got)
	}
	_, err = client.UpdateUserProfile(ctx, "paid")
	refused(t, err, vectron.ErrPermissionDenied)
	paid, err := admin.UpdateUserProfile(ctx, "paid")
	must(t, err)
	changed, err := admin.UpdateUser(ctx, user.ID, vectron.UserChange{Plan: "free", SubscriptionStatus: "past_due", Role: "admin"})
	must(t, err)
	if paid.Plan != "PAID" || changed.Plan != "FREE" || changed.SubscriptionStatus != "PAST_DUE" || changed.Role != "admin" {
		t.Error(paid, changed)
	}
	_, err = admin.UpdateUser(ctx, user.ID, vectron.UserChange{Plan: "golden"})
	refused(t, err, vectron.ErrInvalidArgument, `the plan is "golden"; it must be one of free, paid`)
	_, err = admin.RotateSigningKey(ctx)
	must(t, err)
	_, err = client.RefreshToken(ctx)
	must(t, err)
	must(t, client.ChangePassword(ctx, "Passw0rd!", "Passw0rd!!"))
	_, err = client.Login(ctx, "ada@example.org", "Passw0rd!")
	refused(t, err, vectron.ErrAuthentication)
	must(t, client.DeleteUser(ctx, "Passw0rd!!"))
	if got := emails(); !slices.Equal(got, []string{"root@example.org"}) {
		t.Error(got)
	}
}
