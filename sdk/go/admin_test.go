package vectron

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// step is one answer of a scripted gateway; without a status none comes.
type step struct {
	status   int
	name     string // of a header
	value    string
	contents string
}

var (
	busy = step{429, "Retry-After", "0", `{"code": 8, "message": "busy"}`}
	down = step{503, "X-None", "", `{"code": 14, "message": "starting"}`}
	good = step{200, "X-None", "", `{"workers": []}`}
)

// scripted answers from a list, the last one of which repeats; seen are the requests so far.
func scripted(t *testing.T, steps ...step) (base string, seen func() []*http.Request) {
	var mutex sync.Mutex
	var requests []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		requests = append(requests, r)
		next := steps[0]
		if len(steps) > 1 {
			steps = steps[1:]
		}
		mutex.Unlock()
		if next.status == 0 {
			<-r.Context().Done()
			return
		}
		w.Header().Set(next.name, next.value)
		w.WriteHeader(next.status)
		_, _ = w.Write([]byte(next.contents))
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []*http.Request {
		mutex.Lock()
		defer mutex.Unlock()
		return requests
	}
}

func adminOf(t *testing.T, base string, opts ...Option) Admin {
	fast := RetryPolicy{MaxAttempts: 5, InitialBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}
	client, err := New("127.0.0.1:1", append([]Option{WithAPIKey("vkey-secret"), WithHTTPURL(base), WithRetry(fast)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client.Admin()
}

func TestTheCredentialDoesNotFollowARedirect(t *testing.T) {
	elsewhere, followed := scripted(t, good)
	there := strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)
	base, seen := scripted(t, step{302, "Location", there + "/v1/admin/workers", ""})
	_, err := adminOf(t, base).Workers(context.Background())
	if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), there) {
		t.Errorf("%v", err)
	}
	if len(followed()) != 0 || len(seen()) != 1 || seen()[0].Header.Get("Authorization") != "Bearer vkey-secret" {
		t.Errorf("%d calls, %d of them elsewhere", len(seen()), len(followed()))
	}
}

func TestManagementReadsAreRepeatedChangesOnlyWhenTheyDidNotBegin(t *testing.T) {
	base, seen := scripted(t, down, busy, step{502, "X-None", "", "a proxy"}, good)
	if _, err := adminOf(t, base).Workers(context.Background()); err != nil || len(seen()) != 4 {
		t.Errorf("%v after %d calls", err, len(seen()))
	}
	base, seen = scripted(t, busy, down)
	if _, err := adminOf(t, base).Rebalance(context.Background()); !errors.Is(err, ErrUnavailable) || len(seen()) != 2 {
		t.Errorf("%v after %d calls", err, len(seen()))
	}
}

func TestNoAnswerInTimeIsADeadlineThatNamesTheHTTPAddress(t *testing.T) {
	base, _ := scripted(t, step{})
	_, err := adminOf(t, base, WithTimeout(50*time.Millisecond)).Stats(context.Background())
	if !errors.Is(err, ErrDeadlineExceeded) || !strings.Contains(err.Error(), base) {
		t.Errorf("%v", err)
	}
	_, err = adminOf(t, "http://127.0.0.1:1", WithRetry(RetryPolicy{MaxAttempts: 1})).Health(context.Background())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "default port 8080") {
		t.Errorf("%v", err)
	}
}

func TestTheWishToComeBackLaterIsHeard(t *testing.T) {
	base, seen := scripted(t, step{429, "Retry-After", "7", `{"code": 8, "message": "busy"}`})
	_, err := adminOf(t, base, WithTimeout(5*time.Second)).Stats(context.Background())
	var ours *Error
	if !errors.As(err, &ours) || ours.RetryAfter != 7*time.Second || len(seen()) != 1 {
		t.Errorf("%v after %d calls", err, len(seen()))
	}
}

func TestTheTenantIsNamedOfAClientAndOfAContext(t *testing.T) {
	base, seen := scripted(t, good)
	admin := adminOf(t, base, WithTenant("user-1"))
	for _, ctx := range []context.Context{context.Background(), ContextWithTenant(context.Background(), "user-2")} {
		if _, err := admin.Workers(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := seen()[0].Header.Get(tenantHeader), seen()[1].Header.Get(tenantHeader); first != "user-1" || second != "user-2" {
		t.Errorf("%q, %q", first, second)
	}
}
