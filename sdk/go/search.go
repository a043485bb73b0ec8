package vectron

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

// SearchResult has a score that is a distance, lower is closer; of a reranked answer it is in [0, 1], higher is better.
type SearchResult struct {
	ID      string
	Score   float32
	Payload map[string]any
	Vector  []float32 // WithVectors
	Version uint64
}

// SearchResults are the results, best first, and what the server said about them.
type SearchResults struct {
	Results       []SearchResult
	QueryID       string // names this answer for SubmitFeedback
	Reranked      bool
	Partial       bool // some shards did not answer within WithShardTimeout
	MissingShards []uint32
	Last          bool // of a stream: this is the final answer
	Explain       *pb.SearchExplain
	Rerank        *pb.RerankInfo // what ordered it; nil: no reranking was asked for
}

// SearchOption is an option of Search and SearchStream.
type SearchOption func(*pb.SearchRequest) error

func searchOption(set func(*pb.SearchRequest)) SearchOption {
	return func(r *pb.SearchRequest) error { set(r); return nil }
}

// WithFilter returns only points that pass.
func WithFilter(filter *Filter) SearchOption {
	return func(r *pb.SearchRequest) (err error) {
		r.Filter, err = filter.message()
		return err
	}
}

// WithVectors returns vectors too.
func WithVectors() SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.IncludeVectors = true })
}

// WithoutPayload leaves payloads out.
func WithoutPayload() SearchOption {
	return searchOption(func(r *pb.SearchRequest) { no := false; r.IncludeMetadata = &no })
}

// WithPayloadFields returns these top-level keys only.
func WithPayloadFields(keys ...string) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.PayloadFields = keys })
}

// WithOffset skips results.
func WithOffset(offset int) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.Offset = uint32(max(offset, 0)) })
}

// WithScoreThreshold returns only results at most this far.
func WithScoreThreshold(distance float32) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.ScoreThreshold = &distance })
}

// WithEf sets the breadth of the graph search: more finds more and takes longer.
func WithEf(ef int) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { params(r).Ef = uint32(max(ef, 0)) })
}

// WithExact compares with every point.
func WithExact() SearchOption {
	return searchOption(func(r *pb.SearchRequest) { params(r).Exact = true })
}

// WithConsistency says how fresh; staleness is for Bounded.
func WithConsistency(consistency Consistency, staleness time.Duration) SearchOption {
	return searchOption(func(r *pb.SearchRequest) {
		r.Consistency, r.MaxStalenessMs = consistency, uint32(staleness.Milliseconds())
	})
}

// WithShardTimeout returns what shards answered by then, with Partial set if some did not.
func WithShardTimeout(timeout time.Duration) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.TimeoutMs = uint32(timeout.Milliseconds()) })
}

// WithExplain returns what each shard did.
func WithExplain() SearchOption { return searchOption(func(r *pb.SearchRequest) { r.Explain = true }) }

// WithRerank orders candidates anew by their text: strategy "rule", "llm" or "learned". candidates 0: the server's choice.
func WithRerank(strategy, query string, candidates int) SearchOption {
	return WithRerankOptions(query, RerankOptions{Strategy: strategy, Candidates: candidates})
}

// RerankOptions say how the nearest points are ordered anew. What is zero is the collection's, else the server's choice.
type RerankOptions struct {
	Strategy   string // "none", "rule", "llm" or "learned"
	Candidates int    // nearest points looked at
	Budget     time.Duration
	Explore    *bool // false: no neighbours are swapped to learn from clicks
}

func (o RerankOptions) message() *pb.RerankOptions {
	return &pb.RerankOptions{
		Strategy:   o.Strategy,
		Candidates: uint32(max(o.Candidates, 0)),
		BudgetMs:   uint32(max(o.Budget.Milliseconds(), 0)),
		Explore:    o.Explore,
	}
}

// WithRerankOptions orders candidates anew by the query's text, as WithRerank does.
func WithRerankOptions(query string, options RerankOptions) SearchOption {
	return searchOption(func(r *pb.SearchRequest) { r.Query, r.Rerank = query, options.message() })
}

func params(r *pb.SearchRequest) *pb.SearchParams {
	if r.Params == nil {
		r.Params = &pb.SearchParams{}
	}
	return r.Params
}

func searchRequest(collection string, vector []float32, topK int, opts []SearchOption) (*pb.SearchRequest, error) {
	if err := checkVector(vector, "the query"); err != nil {
		return nil, err
	}
	request := &pb.SearchRequest{Collection: collection, Vector: vector, TopK: uint32(max(topK, 0))}
	for _, option := range opts {
		if err := option(request); err != nil {
			return nil, err
		}
	}
	return request, nil
}

// Search returns the topK nearest points (0: 10), best first.
func (c *Client) Search(ctx context.Context, collection string, vector []float32, topK int, opts ...SearchOption) (*SearchResults, error) {
	request, err := searchRequest(collection, vector, topK, opts)
	if err != nil {
		return nil, err
	}
	response := &pb.SearchResponse{}
	if err := c.call(ctx, read, vectronService+"Search", request, response); err != nil {
		return nil, err
	}
	return resultsOf(response), nil
}

// SearchStream is like Search; each answer is the best so far, and the final one has Last set. If the server goes away in between,
// the search is asked again and better answers follow. It ends after the first error.
//
//	for answer, err := range client.SearchStream(ctx, "docs", vector, 10) { ... }
func (c *Client) SearchStream(ctx context.Context, collection string, vector []float32, topK int, opts ...SearchOption) iter.Seq2[*SearchResults, error] {
	return func(yield func(*SearchResults, error) bool) {
		request, err := searchRequest(collection, vector, topK, opts)
		if err != nil {
			yield(nil, err)
			return
		}
		err = c.run(ctx, read, func(ctx context.Context) error {
			err := c.stream(ctx, request, func(response *pb.SearchResponse) bool { return yield(resultsOf(response), nil) })
			if errors.Is(err, errStopped) {
				return nil
			}
			return err
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("the caller stopped listening")

func (c *Client) stream(ctx context.Context, request *pb.SearchRequest, take func(*pb.SearchResponse) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, vectronService+"SearchStream")
	if err != nil {
		return err
	}
	// io.EOF of a send means that the stream is broken; the next receive says why.
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		response := &pb.SearchResponse{}
		if err := stream.RecvMsg(response); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if !take(response) {
			return errStopped
		}
	}
}

func resultsOf(response *pb.SearchResponse) *SearchResults {
	results := &SearchResults{
		Results:       make([]SearchResult, len(response.Results)),
		QueryID:       response.QueryId,
		Reranked:      response.Reranked,
		Partial:       response.Partial,
		MissingShards: response.MissingShards,
		Last:          response.Last,
		Explain:       response.Explain,
		Rerank:        response.Rerank,
	}
	for i, result := range response.Results {
		results.Results[i] = SearchResult{
			ID:      result.Id,
			Score:   result.Score,
			Payload: payloadOf(result.Fields, result.Payload),
			Vector:  result.Vector,
			Version: result.Version,
		}
	}
	return results
}

// FeedbackItem is what a user made of one result. RelevanceScore: 1-5, 0 for none given.
type FeedbackItem struct {
	ResultID       string
	RelevanceScore int
	Clicked        bool
	Position       int
	Comment        string
}

// Feedback on the answer with this QueryID.
type Feedback struct {
	QueryID   string
	Query     string
	ResultIDs []string
	Items     []FeedbackItem
	Context   map[string]string
}

// SubmitFeedback tells what a user made of a search's results, and returns the feedback's id.
func (c *Client) SubmitFeedback(ctx context.Context, collection string, feedback Feedback) (string, error) {
	request := &pb.SubmitFeedbackRequest{
		Collection: collection,
		Query:      feedback.Query,
		QueryId:    feedback.QueryID,
		ResultIds:  feedback.ResultIDs,
		Context:    feedback.Context,
	}
	for _, item := range feedback.Items {
		request.FeedbackItems = append(request.FeedbackItems, &pb.FeedbackItem{
			ResultId:       item.ResultID,
			RelevanceScore: int32(item.RelevanceScore),
			Clicked:        item.Clicked,
			Position:       int32(item.Position),
			Comment:        item.Comment,
		})
	}
	response := &pb.SubmitFeedbackResponse{}
	err := c.call(ctx, otherWrite, vectronService+"SubmitFeedback", request, response)
	return response.FeedbackId, err
}

// FeedbackRecord is stored feedback on one answer.
type FeedbackRecord struct {
	Number     uint64 // rising with time
	FeedbackID string
	CreatedAt  time.Time
	Feedback
}

// ListFeedback returns one page of a collection's feedback, oldest first, and where to go on (0: that was the last).
func (c *Client) ListFeedback(ctx context.Context, collection string, afterNumber uint64, limit int) (records []FeedbackRecord, nextAfterNumber uint64, err error) {
	request := &pb.ListFeedbackRequest{Collection: collection, AfterNumber: afterNumber, Limit: uint32(max(limit, 0))}
	response := &pb.ListFeedbackResponse{}
	if err := c.call(ctx, read, vectronService+"ListFeedback", request, response); err != nil {
		return nil, 0, err
	}
	for _, record := range response.Records {
		found := FeedbackRecord{Number: record.Number, FeedbackID: record.FeedbackId, CreatedAt: time.UnixMilli(record.CreatedUnixMs)}
		found.Feedback = Feedback{QueryID: record.QueryId, Query: record.Query, ResultIDs: record.ResultIds, Context: record.Context}
		for _, item := range record.FeedbackItems {
			found.Items = append(found.Items, FeedbackItem{item.ResultId, int(item.RelevanceScore), item.Clicked, int(item.Position), item.Comment})
		}
		records = append(records, found)
	}
	return records, response.NextAfterNumber, nil
}
