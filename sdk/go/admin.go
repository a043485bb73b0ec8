package vectron

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
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

// Alerts, under "alerts". status: "active", "resolved" or empty for all.
func (a Admin) Alerts(ctx context.Context, status string) (map[string]any, error) {
	query := ""
	if status != "" {
		query = "?status=" + url.QueryEscape(status)
	}
	return a.call(ctx, http.MethodGet, "/v1/alerts"+query)
}

// ResolveAlert marks an alert as resolved.
func (a Admin) ResolveAlert(ctx context.Context, id string) (map[string]any, error) {
	return a.call(ctx, http.MethodPost, "/v1/alerts/"+url.PathEscape(id)+"/resolve")
}

func (a Admin) call(ctx context.Context, verb, path string) (map[string]any, error) {
	base := a.client.options.httpURL
	if base == "" {
		return nil, invalid("management calls go to the gateway's HTTP port: use WithHTTPURL(\"http://localhost:8080\")")
	}
	ctx, cancel := context.WithTimeout(ctx, a.client.options.timeout)
	defer cancel()
	withToken, err := a.client.withCredential(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, verb, base+path, nil)
	if err != nil {
		return nil, invalid("the HTTP URL %q is none: %v", base, err)
	}
	if outgoing, ok := metadata.FromOutgoingContext(withToken); ok {
		for _, token := range outgoing.Get("authorization") {
			request.Header.Set("Authorization", token)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = a.client.options.tls
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, newError(codes.Unavailable, err.Error(), base, 0)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, newError(codes.Unavailable, err.Error(), base, 0)
	}
	return decodeAnswer(response, body, base)
}

func decodeAnswer(response *http.Response, body []byte, base string) (map[string]any, error) {
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
	}{codes.Unknown, fmt.Sprintf("HTTP %s without a Vectron error", response.Status)}
	// What is no JSON is not from a Vectron: the words above stand.
	_ = json.Unmarshal(body, &failure)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return nil, newError(failure.Code, failure.Message, base, time.Duration(seconds)*time.Second)
}
