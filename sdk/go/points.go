package vectron

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

// Point has an id of 1-256 bytes of UTF-8, as many finite components as its collection's dimension, and a payload of JSON values.
// Numbers of payloads that were read are float64, as those of encoding/json.
type Point struct {
	ID      string
	Vector  []float32
	Payload map[string]any
	Version uint64 // log index of the last write; of points that were read
}

// WriteOption is an option of Upsert and Delete.
type WriteOption func(*writeOptions)

type writeOptions struct {
	requestID  string
	insertOnly bool
	versions   bool
}

// WithRequestID names a write, so that it can be repeated later and applies once; made up otherwise.
func WithRequestID(id string) WriteOption { return func(o *writeOptions) { o.requestID = id } }

// WithInsertOnly refuses points that exist with ErrAlreadyExists.
func WithInsertOnly() WriteOption { return func(o *writeOptions) { o.insertOnly = true } }

// Upsert writes points, replacing those of the same id, and returns how many it wrote. What is too large for one request is split;
// the parts are written in order, and an error says which part failed.
func (c *Client) Upsert(ctx context.Context, collection string, points []Point, opts ...WriteOption) (int, error) {
	var chosen writeOptions
	for _, option := range opts {
		option(&chosen)
	}
	written := 0
	err := c.sendInOrder(ctx, collection, points, chosen, func(response *pb.UpsertResponse) { written += int(response.Upserted) })
	return written, err
}

// UpsertVersions is like Upsert, and returns the version of each point, in their order: what Get says until the next write.
func (c *Client) UpsertVersions(ctx context.Context, collection string, points []Point, opts ...WriteOption) ([]uint64, error) {
	chosen := writeOptions{versions: true}
	for _, option := range opts {
		option(&chosen)
	}
	var versions []uint64
	err := c.sendInOrder(ctx, collection, points, chosen, func(response *pb.UpsertResponse) { versions = append(versions, response.Versions...) })
	return versions, err
}

func (c *Client) sendInOrder(ctx context.Context, collection string, points []Point, chosen writeOptions, take func(*pb.UpsertResponse)) error {
	limits := splitLimits{maxPoints: maxUpsertPoints, maxBytes: maxUpsertBytes, requestID: chosen.requestID}
	for part, err := range split(slices.Values(points), limits) {
		if err != nil {
			return err
		}
		response, err := c.send(ctx, collection, part, chosen)
		if err != nil {
			if ours := fromRPC(err, c.host); part.start > 0 {
				ours.Message = fmt.Sprintf("points from number %d on (the %d before are written): %s", part.start, part.start, ours.Message)
				return ours
			}
			return err
		}
		take(response)
	}
	return nil
}

func (c *Client) send(ctx context.Context, collection string, part part, chosen writeOptions) (*pb.UpsertResponse, error) {
	request := &pb.UpsertRequest{
		Collection:     collection,
		Points:         part.points,
		RequestId:      part.requestID,
		InsertOnly:     chosen.insertOnly,
		ReturnVersions: chosen.versions,
	}
	response := &pb.UpsertResponse{}
	err := c.call(ctx, namedWrite, vectronService+"Upsert", request, response)
	return response, err
}

// GetOption is an option of Get.
type GetOption func(*pb.GetRequest)

// GetConsistency says how fresh; staleness is for Bounded.
func GetConsistency(consistency Consistency, staleness time.Duration) GetOption {
	return func(r *pb.GetRequest) {
		r.Consistency, r.MaxStalenessMs = consistency, uint32(staleness.Milliseconds())
	}
}

// Get returns one point. ErrNotFound.
func (c *Client) Get(ctx context.Context, collection, id string, opts ...GetOption) (*Point, error) {
	request := &pb.GetRequest{Collection: collection, Id: id}
	for _, option := range opts {
		option(request)
	}
	response := &pb.GetResponse{}
	if err := c.call(ctx, read, vectronService+"Get", request, response); err != nil {
		return nil, err
	}
	point := pointOf(response.GetPoint())
	return &point, nil
}

// Delete deletes one point; deleting what is not there succeeds.
func (c *Client) Delete(ctx context.Context, collection, id string, opts ...WriteOption) error {
	chosen := writeOptions{requestID: uuid.NewString()}
	for _, option := range opts {
		option(&chosen)
	}
	request := &pb.DeleteRequest{Collection: collection, Id: id, RequestId: chosen.requestID}
	return c.call(ctx, namedWrite, vectronService+"Delete", request, &pb.DeleteResponse{})
}

// ScrollOption is an option of Scroll.
type ScrollOption func(*pb.ScrollRequest) error

// ScrollFilter passes over points that do not pass.
func ScrollFilter(filter *Filter) ScrollOption {
	return func(r *pb.ScrollRequest) (err error) {
		r.Filter, err = filter.message()
		return err
	}
}

// ScrollVectors returns vectors too.
func ScrollVectors() ScrollOption {
	return func(r *pb.ScrollRequest) error { r.IncludeVectors = true; return nil }
}

// ScrollWithoutPayload leaves payloads out.
func ScrollWithoutPayload() ScrollOption {
	return func(r *pb.ScrollRequest) error { no := false; r.IncludeMetadata = &no; return nil }
}

// ScrollConsistency says how fresh each page is; staleness is for Bounded.
func ScrollConsistency(consistency Consistency, staleness time.Duration) ScrollOption {
	return func(r *pb.ScrollRequest) error {
		r.Consistency, r.MaxStalenessMs = consistency, uint32(staleness.Milliseconds())
		return nil
	}
}

// ScrollPageSize sets how many points come at once, at most 10,000; 1,000 unless said.
func ScrollPageSize(limit int) ScrollOption {
	return func(r *pb.ScrollRequest) error { r.Limit = uint32(max(limit, 1)); return nil }
}

// Scroll iterates over all points by id, page after page. It ends after the first error.
//
//	for point, err := range client.Scroll(ctx, "docs") { ... }
func (c *Client) Scroll(ctx context.Context, collection string, opts ...ScrollOption) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		request := &pb.ScrollRequest{Collection: collection, Limit: 1_000}
		for _, option := range opts {
			if err := option(request); err != nil {
				yield(Point{}, err)
				return
			}
		}
		for {
			response := &pb.ScrollResponse{}
			if err := c.call(ctx, read, vectronService+"ScrollPoints", request, response); err != nil {
				yield(Point{}, err)
				return
			}
			for _, point := range response.Points {
				if !yield(pointOf(point), nil) {
					return
				}
			}
			if request.AfterId = response.NextAfterId; request.AfterId == "" {
				return
			}
		}
	}
}

func pointOf(point *pb.Point) Point {
	return Point{ID: point.GetId(), Vector: point.GetVector(), Payload: payloadOf(point.GetFields(), point.GetPayload()), Version: point.GetVersion()}
}
