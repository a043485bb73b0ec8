package vectron

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// Admin are the management routes of the gateway's HTTP port (WithHTTPURL), as the JSON they answer with. All but Health need an
// administrator.
type Admin struct{ client *Client }

// Admin returns the management calls.
func (c *Client) Admin() Admin { return Admin{c} }

// Health has overall_status, services, alerts and metrics; a user who is no administrator sees the overall status only.
func (a Admin) Health(ctx context.Context) (map[string]any, error) {
	return a.call(ctx, http.MethodGet, "/v1/system/health")
}

// Stats of the gateway, and per endpoint.
func (a Admin) Stats(ctx context.Context) (map[string]any, error) {
	return a.call(ctx, http.MethodGet, "/v1/admin/stats")
}

// Workers of the cluster, under "workers".
func (a Admin) Workers(ctx context.Context) (map[string]any, error) {
	return a.call(ctx, http.MethodGet, "/v1/admin/workers")
}

// Collections of everyone, under "collections".
func (a Admin) Collections(ctx context.Context) (map[string]any, error) {
	return a.call(ctx, http.MethodGet, "/v1/admin/collections")
}

// AlertFilter chooses alerts; what is empty chooses all.
type AlertFilter struct {
	Status string // "active" or "resolved"
	Level  string // "info", "warning" or "critical"
	Limit  int    // 0: all that are kept
}

// Alerts, active ones first, then the newest, under "alerts".
func (a Admin) Alerts(ctx context.Context, filter AlertFilter) (map[string]any, error) {
	query := url.Values{"limit": {strconv.Itoa(max(filter.Limit, 0))}}
	if filter.Status != "" {
		query.Set("status", filter.Status)
	}
	if filter.Level != "" {
		query.Set("level", filter.Level)
	}
	return a.call(ctx, http.MethodGet, "/v1/alerts?"+query.Encode())
}

// ResolveAlert marks an alert as resolved.
func (a Admin) ResolveAlert(ctx context.Context, id string) (map[string]any, error) {
	return a.call(ctx, http.MethodPost, "/v1/alerts/"+url.PathEscape(id)+"/resolve")
}

// DrainWorker moves all shards off a worker; "shardsLeft" are to go.
func (a Admin) DrainWorker(ctx context.Context, workerID string) (map[string]any, error) {
	return a.send(ctx, http.MethodPost, "/v1/admin/workers/"+url.PathEscape(workerID)+"/drain", map[string]any{})
}

// CancelDrain stops moving shards off a worker; what has moved stays away.
func (a Admin) CancelDrain(ctx context.Context, workerID string) (map[string]any, error) {
	return a.send(ctx, http.MethodPost, "/v1/admin/workers/"+url.PathEscape(workerID)+"/drain", map[string]any{"cancel": true})
}

// RemoveWorker forgets a worker that holds no shards.
func (a Admin) RemoveWorker(ctx context.Context, workerID string) (map[string]any, error) {
	return a.call(ctx, http.MethodDelete, "/v1/admin/workers/"+url.PathEscape(workerID))
}

// Rebalance spreads shards evenly and returns the "moves".
func (a Admin) Rebalance(ctx context.Context) (map[string]any, error) {
	return a.send(ctx, http.MethodPost, "/v1/admin/rebalance", map[string]any{})
}

// PlanRebalance returns the "moves" that Rebalance would make.
func (a Admin) PlanRebalance(ctx context.Context) (map[string]any, error) {
	return a.send(ctx, http.MethodPost, "/v1/admin/rebalance", map[string]any{"dryRun": true})
}

// SeriesRange is a stretch of time.
type SeriesRange struct {
	Window    time.Duration // how far back, at most 7 days; 0: one hour
	Until     time.Time     // its end; zero: now
	MaxPoints int           // 1-2,200; 0: 360
}

// TimeSeries returns figures over time, as "points", oldest first, "stepSeconds" apart.
func (a Admin) TimeSeries(ctx context.Context, of SeriesRange) (map[string]any, error) {
	query := url.Values{
		"windowSeconds": {strconv.FormatInt(int64(of.Window.Seconds()), 10)},
		"maxPoints":     {strconv.Itoa(max(of.MaxPoints, 0))},
	}
	if !of.Until.IsZero() {
		query.Set("until", strconv.FormatInt(of.Until.UnixMilli(), 10))
	}
	return a.call(ctx, http.MethodGet, "/v1/admin/series?"+query.Encode())
}

// SlowQueries returns searches that took longer than "thresholdMs", newest first, as "queries". collection empty: of all.
func (a Admin) SlowQueries(ctx context.Context, collection string, limit int) (map[string]any, error) {
	query := url.Values{"collection": {collection}, "limit": {strconv.Itoa(max(limit, 0))}}
	return a.call(ctx, http.MethodGet, "/v1/admin/slow-queries?"+query.Encode())
}

// Ranking returns what feedback has taught of a collection: state, evidence, saved versions.
func (a Admin) Ranking(ctx context.Context, collection string) (map[string]any, error) {
	return a.call(ctx, http.MethodGet, "/v1/admin/collections/"+url.PathEscape(collection)+"/ranking")
}

// ControlRanking serves the model or takes it back. action: "promote", "rollback", "resume", "restore" (a saved version) or "reset".
func (a Admin) ControlRanking(ctx context.Context, collection, action string, version uint64) (map[string]any, error) {
	body := map[string]any{"action": "MODEL_" + strings.ToUpper(action), "version": version}
	return a.send(ctx, http.MethodPost, "/v1/admin/collections/"+url.PathEscape(collection)+"/ranking", body)
}

func (a Admin) call(ctx context.Context, verb, path string) (map[string]any, error) {
	return a.send(ctx, verb, path, nil)
}

// send makes the call with the retries of any other: a GET is a read; what else there is may have happened.
func (a Admin) send(ctx context.Context, verb, path string, content map[string]any) (answer map[string]any, err error) {
	if a.client.options.httpURL == "" {
		return nil, invalid("management calls go to the gateway's HTTP port: use WithHTTPURL(\"http://localhost:8080\")")
	}
	var body []byte
	if content != nil {
		if body, err = json.Marshal(content); err != nil {
			return nil, invalid("the request is no JSON: %v", err)
		}
	}
	kind := otherWrite
	if verb == http.MethodGet {
		kind = read
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = a.client.options.tls
	defer transport.CloseIdleConnections()
	caller := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the credential is the gateway's to see
	}}
	err = a.client.run(ctx, kind, func(ctx context.Context) (err error) {
		answer, err = a.attempt(ctx, caller, verb, path, body)
		return err
	})
	return answer, err
}

func (a Admin) attempt(ctx context.Context, caller *http.Client, verb, path string, body []byte) (map[string]any, error) {
	base := a.client.options.httpURL
	request, err := http.NewRequestWithContext(ctx, verb, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, invalid("the HTTP URL %q is none: %v", base, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if outgoing, ok := metadata.FromOutgoingContext(ctx); ok {
		for _, name := range []string{"authorization", tenantHeader} {
			for _, value := range outgoing.Get(name) {
				request.Header.Set(name, value)
			}
		}
	}
	response, err := caller.Do(request)
	if err != nil {
		return nil, transportError(err, base)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, transportError(err, base)
	}
	return decodeAnswer(response, answer, base)
}

// transportError is the Error of a call without an answer.
func transportError(err error, base string) *Error {
	var late interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return newError(codes.Canceled, err.Error(), base, 0)
	case errors.As(err, &late) && late.Timeout():
		return newError(codes.DeadlineExceeded, err.Error(), base, 0)
	}
	return newError(codes.Unavailable, err.Error(), base, 0)
}

// codesOfStatus are those of answers that are not a Vectron's: a proxy's, most likely.
var codesOfStatus = map[int]codes.Code{
	http.StatusTooManyRequests:    codes.ResourceExhausted,
	http.StatusBadGateway:         codes.Unavailable,
	http.StatusServiceUnavailable: codes.Unavailable,
	http.StatusGatewayTimeout:     codes.DeadlineExceeded,
}

func decodeAnswer(response *http.Response, body []byte, base string) (map[string]any, error) {
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		there := "another address"
		if location, err := response.Location(); err == nil {
			there = location.Scheme + "://" + location.Host
		}
		return nil, invalid("%s redirects to %s, where the credential is not sent; if it is the gateway, give it to WithHTTPURL", base, there)
	}
	if response.StatusCode < 400 {
		var answer map[string]any
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, newError(codes.Internal, fmt.Sprintf("the answer of %s is no JSON object: %v", base, err), base, 0)
		}
		return answer, nil
	}
	failure := struct {
		Code    codes.Code
		Message string
	}{cmp.Or(codesOfStatus[response.StatusCode], codes.Unknown), fmt.Sprintf("HTTP %s without a Vectron error", response.Status)}
	// What is no JSON is not from a Vectron: the words above stand.
	_ = json.Unmarshal(body, &failure)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return nil, newError(failure.Code, failure.Message, base, time.Duration(seconds)*time.Second)
}
