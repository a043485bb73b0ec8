// Package vectron is the client of the Vectron vector database.
//
//	client, err := vectron.New("localhost:8081", vectron.WithAPIKey("vkey-..."))
//	defer client.Close()
//	err = client.CreateCollection(ctx, "docs", 3, vectron.Cosine)
//	_, err = client.Upsert(ctx, "docs", []vectron.Point{{ID: "a", Vector: []float32{0.1, 0.2, 0.3}}})
//	found, err := client.Search(ctx, "docs", []float32{0.1, 0.2, 0.3}, 5)
//
// Every call takes a context; its deadline bounds the call with its retries. Every error is an *Error, to be told apart with
// errors.Is(err, vectron.ErrNotFound) and the like.
package vectron

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

const (
	vectronService = "/vectron.v1.VectronService/"
	authService    = "/vectron.auth.v1.AuthService/"
	tenantHeader   = "x-vectron-tenant"
)

// Client is a connection to a Vectron gateway. It is safe for concurrent use; one serves a whole program.
type Client struct {
	host    string
	options options
	conn    *grpc.ClientConn
	auth    *grpc.ClientConn
	login   atomic.Pointer[string] // the token of Login, which wins over the options' credential
}

// VectronClient and VectronClientPool are further names of Client and Pool.
type (
	VectronClient     = Client
	VectronClientPool = Pool
)

// New makes a client for HOST:PORT of the gateway's gRPC port. It does not connect yet.
func New(host string, opts ...Option) (*Client, error) {
	if host == "" {
		return nil, invalid("the host is empty; give the gateway's gRPC address, such as \"localhost:8081\"")
	}
	if strings.Contains(host, "://") {
		return nil, invalid("the host is HOST:PORT of gRPC without a scheme, not %q (WithTLS asks for TLS)", host)
	}
	client := &Client{host: host, options: options{
		timeout:        30 * time.Second,
		attemptTimeout: 10 * time.Second,
		retry:          DefaultRetryPolicy,
		maxMessage:     maxMessageBytes,
		keepalive:      keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second},
	}}
	for _, option := range opts {
		option(&client.options)
	}
	var err error
	if client.conn, err = grpc.NewClient(host, client.options.dialOptions()...); err != nil {
		return nil, invalid("the host %q is no address: %v", host, err)
	}
	client.auth = client.conn
	if client.options.authHost != "" {
		if client.auth, err = grpc.NewClient(client.options.authHost, client.options.dialOptions()...); err != nil {
			client.conn.Close()
			return nil, invalid("the auth host %q is no address: %v", client.options.authHost, err)
		}
	}
	return client, nil
}

// NewClient is New with a token or API key; an empty one means none.
func NewClient(host, token string) (*Client, error) {
	if token == "" {
		return New(host)
	}
	return New(host, WithToken(token))
}

// Host is the address the client was made for.
func (c *Client) Host() string { return c.host }

// Close ends the connection and cancels what is under way.
func (c *Client) Close() error {
	if c.auth != c.conn {
		c.auth.Close()
	}
	return c.conn.Close()
}

func (c *Client) withCredential(ctx context.Context) (context.Context, error) {
	token := ""
	if login := c.login.Load(); login != nil {
		token = *login
	} else if c.options.credential != nil {
		var err error
		if token, err = c.options.credential(ctx); err != nil {
			return nil, newError(codes.Unauthenticated, "no credential: "+err.Error(), c.host, 0)
		}
	}
	tenant, named := ctx.Value(tenantKey{}).(string)
	if !named {
		tenant = c.options.tenant
	}
	if tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, tenantHeader, tenant)
	}
	if token == "" {
		return ctx, nil
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// call makes one unary call with its retries.
func (c *Client) call(ctx context.Context, kind callKind, method string, request, response proto.Message) error {
	conn := c.conn
	if strings.HasPrefix(method, authService) {
		conn = c.auth
	}
	return c.run(ctx, kind, func(ctx context.Context) error {
		proto.Reset(response)
		return conn.Invoke(ctx, method, request, response)
	})
}

// Distance of a collection.
type Distance string

const (
	Euclidean Distance = "euclidean" // squared
	Cosine    Distance = "cosine"    // 1 - cosine
	Dot       Distance = "dot"       // minus the dot product
)

// PayloadType is the type of an indexed payload field.
type PayloadType = pb.PayloadType

const (
	Keyword  = pb.PayloadType_KEYWORD
	Integer  = pb.PayloadType_INTEGER
	Float    = pb.PayloadType_FLOAT
	Bool     = pb.PayloadType_BOOL
	Datetime = pb.PayloadType_DATETIME
)

// Consistency says how fresh a read must be.
type Consistency = pb.Consistency

const (
	Strong   = pb.Consistency_STRONG   // sees every write acknowledged before it began
	Bounded  = pb.Consistency_BOUNDED  // at most so far behind
	Eventual = pb.Consistency_EVENTUAL // any replica
)

// CollectionOption is an option of CreateCollection.
type CollectionOption func(*pb.CreateCollectionRequest)

// WithShards sets how many shards the collection has and how many replicas each; 0 leaves it to the cluster.
func WithShards(shards, replicas int) CollectionOption {
	return func(r *pb.CreateCollectionRequest) {
		r.ShardCount, r.ReplicationFactor = uint32(max(shards, 0)), uint32(max(replicas, 0))
	}
}

// WithHNSW sets parameters of the graph; 0 is the default.
func WithHNSW(m, efConstruct, efSearch int) CollectionOption {
	return func(r *pb.CreateCollectionRequest) {
		r.Hnsw = &pb.HnswOptions{M: uint32(max(m, 0)), EfConstruct: uint32(max(efConstruct, 0)), EfSearch: uint32(max(efSearch, 0))}
	}
}

// WithHalfPrecision keeps vectors as 16-bit floats.
func WithHalfPrecision() CollectionOption {
	return func(r *pb.CreateCollectionRequest) { r.Storage = pb.VectorStorage_VECTOR_STORAGE_F16 }
}

// WithPayloadIndex indexes a payload path.
func WithPayloadIndex(path string, kind PayloadType) CollectionOption {
	return func(r *pb.CreateCollectionRequest) {
		r.PayloadIndexes = append(r.PayloadIndexes, &pb.PayloadIndex{Field: path, Type: kind})
	}
}

// WithDefaultConsistency sets what reads mean that do not say.
func WithDefaultConsistency(consistency Consistency) CollectionOption {
	return func(r *pb.CreateCollectionRequest) { r.DefaultConsistency = consistency }
}

// WithInMemoryVectors keeps full-precision vectors in memory instead of mapping them from disk.
func WithInMemoryVectors() CollectionOption {
	return func(r *pb.CreateCollectionRequest) { r.VectorsInMemory = true }
}

// WithDefaultRerank sets how searches with a query text that do not say themselves are ordered anew.
func WithDefaultRerank(options RerankOptions) CollectionOption {
	return func(r *pb.CreateCollectionRequest) { r.Rerank = options.message() }
}

// WithOptionsOf makes the collection as another was made: with the Options of its status.
func WithOptionsOf(other *CollectionStatus) CollectionOption {
	return func(r *pb.CreateCollectionRequest) {
		name, dimension, distance := r.Name, r.Dimension, r.Distance
		proto.Reset(r)
		proto.Merge(r, other.Options)
		r.Name, r.Dimension, r.Distance = name, dimension, distance
	}
}

// CreateCollection makes an empty collection. ErrAlreadyExists when the name is taken.
func (c *Client) CreateCollection(ctx context.Context, name string, dimension int, distance Distance, opts ...CollectionOption) error {
	if dimension < 1 || dimension > 65_535 {
		return invalid("dimension is %d; it must be from 1 to 65535", dimension)
	}
	request := &pb.CreateCollectionRequest{Name: name, Dimension: int32(dimension), Distance: string(distance)}
	for _, option := range opts {
		option(request)
	}
	return c.call(ctx, otherWrite, vectronService+"CreateCollection", request, &pb.CreateCollectionResponse{})
}

// DeleteCollection deletes a collection and its points. ErrNotFound.
func (c *Client) DeleteCollection(ctx context.Context, name string) error {
	return c.call(ctx, otherWrite, vectronService+"DeleteCollection", &pb.DeleteCollectionRequest{Name: name}, &pb.DeleteCollectionResponse{})
}

// ListCollections returns the names, sorted.
func (c *Client) ListCollections(ctx context.Context) ([]string, error) {
	response := &pb.ListCollectionsResponse{}
	err := c.call(ctx, read, vectronService+"ListCollections", &pb.ListCollectionsRequest{}, response)
	return response.GetCollections(), err
}

// Shard of a collection.
type Shard struct {
	ID       uint32
	Replicas []uint64 // worker ids
	LeaderID uint64
	Ready    bool
}

// CollectionStatus is the schema, shards and sizes of a collection.
type CollectionStatus struct {
	Name         string
	Dimension    int
	Distance     Distance
	Shards       []Shard
	PointCount   uint64
	IndexedCount uint64
	SizeBytes    uint64
	Options      *pb.CreateCollectionRequest // what it was created with, defaults filled in
}

// GetCollectionStatus describes a collection. ErrNotFound.
func (c *Client) GetCollectionStatus(ctx context.Context, name string) (*CollectionStatus, error) {
	response := &pb.GetCollectionStatusResponse{}
	err := c.call(ctx, read, vectronService+"GetCollectionStatus", &pb.GetCollectionStatusRequest{Name: name}, response)
	if err != nil {
		return nil, err
	}
	status := &CollectionStatus{
		Name:         response.Name,
		Dimension:    int(response.Dimension),
		Distance:     Distance(response.Distance),
		PointCount:   response.PointCount,
		IndexedCount: response.IndexedCount,
		SizeBytes:    response.SizeBytes,
		Options:      response.Options,
	}
	for _, shard := range response.Shards {
		status.Shards = append(status.Shards, Shard{shard.ShardId, shard.Replicas, shard.LeaderId, shard.Ready})
	}
	return status, nil
}

// Pool is several connections used in turn, for programs that send more than one HTTP/2 connection carries well. It is safe for
// concurrent use.
type Pool struct {
	mutex   sync.Mutex
	clients []*Client
	next    int
}

// NewPool makes a pool of size clients.
func NewPool(size int, host string, opts ...Option) (*Pool, error) {
	if size < 1 {
		return nil, invalid("a pool of %d clients; it needs at least one", size)
	}
	pool := &Pool{}
	for range size {
		client, err := New(host, opts...)
		if err != nil {
			pool.Close()
			return nil, err
		}
		pool.clients = append(pool.clients, client)
	}
	return pool, nil
}

// Get lends a client.
func (p *Pool) Get() *Client {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.next = (p.next + 1) % len(p.clients)
	return p.clients[p.next]
}

// Close closes every client.
func (p *Pool) Close() error {
	var first error
	for _, client := range p.clients {
		if err := client.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
