package vectron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

const (
	maxUpsertPoints   = 100_000
	maxUpsertBytes    = 60 << 20 // the server takes 64 MiB; room for names and framing
	defaultBatchBytes = 2 << 20  // large enough that a call's own cost does not count, small enough to run several at once
)

// BatchOption is an option of UpsertBatch.
type BatchOption func(*batchOptions)

type batchOptions struct {
	limits      splitLimits
	concurrency int
	insertOnly  bool
	progress    func(BatchProgress)
}

// BatchProgress counts points so far.
type BatchProgress struct {
	Done   int // written or failed
	Failed int
}

// BatchSize bounds a request: points, and bytes of them. 0 leaves the default.
func BatchSize(points, bytes int) BatchOption {
	return func(o *batchOptions) {
		o.limits.maxPoints = cmp.Or(max(points, 0), o.limits.maxPoints)
		o.limits.maxBytes = cmp.Or(max(bytes, 0), o.limits.maxBytes)
	}
}

// BatchConcurrency sets how many requests are under way at once; 4 unless said.
func BatchConcurrency(requests int) BatchOption {
	return func(o *batchOptions) { o.concurrency = max(requests, 1) }
}

// BatchInsertOnly refuses requests with a point that exists.
func BatchInsertOnly() BatchOption { return func(o *batchOptions) { o.insertOnly = true } }

// OnProgress is called after each request, one call at a time.
func OnProgress(progress func(BatchProgress)) BatchOption {
	return func(o *batchOptions) { o.progress = progress }
}

// BatchFailure says that points [Start, Start+len(IDs)) were not written (or, after a lost answer, perhaps).
type BatchFailure struct {
	Start     int
	IDs       []string
	Err       error
	RequestID string
}

// UpsertReport says what became of a batch.
type UpsertReport struct {
	Upserted int
	Failures []BatchFailure // by Start
}

// Err is nil when nothing failed; else it says how much, and wraps each failure's error.
func (r *UpsertReport) Err() error {
	if len(r.Failures) == 0 {
		return nil
	}
	failed := 0
	var all []error
	for _, failure := range r.Failures {
		failed += len(failure.IDs)
		all = append(all, failure.Err)
	}
	return fmt.Errorf("%d points were not written, %d were; from number %d on: %w", failed, r.Upserted, r.Failures[0].Start, errors.Join(all...))
}

// UpsertBatch writes many points in parallel requests. A part that fails does not stop the others; the report names it, and
// upserting its points again is safe. Points of one id in different requests are written in any order. The context bounds the
// whole batch, so give it one without a deadline or with a generous one; each request is bounded by WithTimeout. The error is that
// of a bad point, before which everything was sent, or report.Err().
func (c *Client) UpsertBatch(ctx context.Context, collection string, points iter.Seq[Point], opts ...BatchOption) (*UpsertReport, error) {
	chosen := batchOptions{limits: splitLimits{maxPoints: maxUpsertPoints, maxBytes: defaultBatchBytes}, concurrency: 4}
	for _, option := range opts {
		option(&chosen)
	}
	report := &UpsertReport{}
	var progress BatchProgress
	var mutex sync.Mutex // guards report and progress
	var running sync.WaitGroup
	slots := make(chan struct{}, chosen.concurrency)
	var bad error
	for part, err := range split(points, chosen.limits) {
		if err != nil {
			bad = err
			break
		}
		slots <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			response, err := c.send(ctx, collection, part, writeOptions{insertOnly: chosen.insertOnly})
			mutex.Lock()
			report.Upserted += int(response.Upserted)
			progress.Done += len(part.points)
			if err != nil {
				progress.Failed += len(part.points)
				report.Failures = append(report.Failures, BatchFailure{part.start, part.ids(), err, part.requestID})
			}
			if chosen.progress != nil {
				chosen.progress(progress)
			}
			mutex.Unlock()
			<-slots
		}()
	}
	running.Wait()
	slices.SortFunc(report.Failures, func(a, b BatchFailure) int { return cmp.Compare(a.Start, b.Start) })
	if bad != nil {
		return report, bad
	}
	return report, report.Err()
}

type splitLimits struct {
	maxPoints, maxBytes int
	requestID           string // names the first request, "/1" and so on are added for the others; random when empty
}

// part is points [start, start+len(points)) as one request.
type part struct {
	start     int
	points    []*pb.Point
	requestID string
}

func (p part) ids() []string {
	ids := make([]string, len(p.points))
	for i, point := range p.points {
		ids[i] = point.Id
	}
	return ids
}

// split checks points and groups them within the limits and the server's. A single larger point makes a request of its own, which
// the server judges. It ends after the first error.
func split(points iter.Seq[Point], limits splitLimits) iter.Seq2[part, error] {
	maxPoints, maxBytes := min(limits.maxPoints, maxUpsertPoints), min(limits.maxBytes, maxUpsertBytes)
	return func(yield func(part, error) bool) {
		var current part
		size, number := 0, 0
		flush := func() bool {
			current.requestID = uuid.NewString()
			if limits.requestID != "" {
				current.requestID = limits.requestID
				if number > 0 {
					current.requestID = fmt.Sprintf("%s/%d", limits.requestID, number)
				}
			}
			number++
			full := current
			current, size = part{start: full.start + len(full.points)}, 0
			return yield(full, nil)
		}
		for point := range points {
			message, err := pointMessage(&point)
			if err != nil {
				if len(current.points) > 0 && !flush() {
					return
				}
				yield(part{}, err)
				return
			}
			bytes := proto.Size(message) + 8
			if len(current.points) > 0 && (len(current.points) >= maxPoints || size+bytes > maxBytes) && !flush() {
				return
			}
			current.points = append(current.points, message)
			size += bytes
		}
		if len(current.points) > 0 {
			flush()
		}
	}
}

func pointMessage(point *Point) (*pb.Point, error) {
	if point.ID == "" {
		return nil, invalid("a point has an empty id; ids are 1-256 bytes of UTF-8")
	}
	if err := checkVector(point.Vector, pointName(point.ID)); err != nil {
		return nil, err
	}
	message := &pb.Point{Id: point.ID, Vector: point.Vector}
	if len(point.Payload) > 0 {
		var err error
		if message.Fields, err = toStruct(point.Payload, "payload of "+pointName(point.ID)); err != nil {
			return nil, err
		}
	}
	return message, nil
}
