package vectron

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
)

// maxMessageBytes is what the server takes in one message.
const maxMessageBytes = 80 << 20

var reconnect = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

type options struct {
	credential     func(context.Context) (string, error)
	tls            *tls.Config
	timeout        time.Duration
	attemptTimeout time.Duration
	retry          RetryPolicy
	maxMessage     int
	keepalive      keepalive.ClientParameters
	gzip           bool
	authHost       string
	httpURL        string
	tenant         string
	dial           []grpc.DialOption
}

// Option configures a Client.
type Option func(*options)

// WithAPIKey sends this key (vkey-...) with each call.
func WithAPIKey(key string) Option { return WithToken(key) }

// WithToken sends this token of a login, or SDK token, with each call.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource asks source for the credential of each call; for tokens that are renewed. It must be safe for concurrent use.
func WithTokenSource(source func(context.Context) (string, error)) Option {
	return func(o *options) { o.credential = source }
}

// WithTLS uses TLS; nil means the system's roots. Certificates in config make it mutual.
func WithTLS(config *tls.Config) Option {
	return func(o *options) {
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.tls = config
	}
}

// WithTimeout bounds a call with its retries whose context has no deadline; 30 s unless said.
func WithTimeout(timeout time.Duration) Option { return func(o *options) { o.timeout = timeout } }

// WithAttemptTimeout bounds one attempt of a call; 10 s unless said.
func WithAttemptTimeout(timeout time.Duration) Option {
	return func(o *options) { o.attemptTimeout = timeout }
}

// WithRetry replaces DefaultRetryPolicy.
func WithRetry(policy RetryPolicy) Option { return func(o *options) { o.retry = policy } }

// WithMaxMessageBytes bounds messages in both directions; 80 MiB, as the server, unless said.
func WithMaxMessageBytes(size int) Option { return func(o *options) { o.maxMessage = size } }

// WithKeepalive replaces pings every 30 s while calls are under way, answered within 10 s or the connection is given up. The server sends
// away who pings oftener than every 10 s, and grpc-go does not.
func WithKeepalive(parameters keepalive.ClientParameters) Option {
	return func(o *options) { o.keepalive = parameters }
}

// WithGzip compresses requests.
func WithGzip() Option { return func(o *options) { o.gzip = true } }

// WithAuthHost names HOST:PORT of gRPC for users and keys, if not the client's host.
func WithAuthHost(host string) Option { return func(o *options) { o.authHost = host } }

// WithHTTPURL names the gateway's HTTP port, for Admin; such as "http://localhost:8080".
func WithHTTPURL(url string) Option {
	return func(o *options) { o.httpURL = strings.TrimRight(url, "/") }
}

// WithTenant names the user, by id, whose collections are meant; for administrators.
func WithTenant(userID string) Option { return func(o *options) { o.tenant = userID } }

type tenantKey struct{}

// ContextWithTenant names the user, by id, whose collections the calls of this context mean, instead of WithTenant's.
func ContextWithTenant(ctx context.Context, userID string) context.Context {
	return context.WithValue(ctx, tenantKey{}, userID)
}

// WithDialOptions adds options of grpc-go, such as interceptors.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}

func (o *options) dialOptions() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if o.tls != nil {
		transport = credentials.NewTLS(o.tls)
	}
	calls := []grpc.CallOption{grpc.MaxCallRecvMsgSize(o.maxMessage), grpc.MaxCallSendMsgSize(o.maxMessage)}
	if o.gzip {
		calls = append(calls, grpc.UseCompressor(gzip.Name))
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(calls...),
		grpc.WithKeepaliveParams(o.keepalive),
		// A server that restarts is soon back.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDisableServiceConfig(),
	}
	return append(dial, o.dial...)
}
