package vectron

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

var testPolicy = RetryPolicy{MaxAttempts: 4, InitialBackoff: 100 * time.Millisecond, MaxBackoff: time.Second}

func pauseFor(code codes.Code, kind callKind, attempt int, retryAfter, remaining time.Duration) (time.Duration, bool) {
	return testPolicy.pause(&Error{Code: code, RetryAfter: retryAfter}, kind, attempt, remaining, 0.5)
}

func TestReadsAndNamedWritesAreRepeatedOthersAreNot(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted} {
		for _, kind := range []callKind{read, namedWrite} {
			if _, ok := pauseFor(code, kind, 1, 0, time.Hour); !ok {
				t.Errorf("%v of kind %v is not repeated", code, kind)
			}
		}
		if _, ok := pauseFor(code, otherWrite, 1, 0, time.Hour); ok != (code == codes.ResourceExhausted) {
			t.Errorf("%v of an unnamed write: %v", code, ok)
		}
	}
	for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound, codes.Internal, codes.Aborted, codes.DataLoss} {
		if _, ok := pauseFor(code, read, 1, 0, time.Hour); ok {
			t.Errorf("%v is repeated", code)
		}
	}
}

func TestPausesDoubleUpToABoundAndEnd(t *testing.T) {
	for attempt, want := range []time.Duration{75 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
		if got, ok := pauseFor(codes.Unavailable, read, attempt+1, 0, time.Hour); !ok || got != want {
			t.Errorf("attempt %d: %v, wanted %v", attempt+1, got, want)
		}
	}
	if _, ok := pauseFor(codes.Unavailable, read, 4, 0, time.Hour); ok {
		t.Error("a fifth attempt")
	}
	long := RetryPolicy{MaxAttempts: 1000, InitialBackoff: time.Millisecond, MaxBackoff: time.Second}
	if got, _ := long.pause(&Error{Code: codes.Unavailable}, read, 900, time.Hour, 0.99); got > time.Second {
		t.Errorf("paused %v", got)
	}
}

func TestTheServersWishIsHonouredWithinTheCallsTime(t *testing.T) {
	if got, ok := pauseFor(codes.ResourceExhausted, read, 1, 7*time.Second, time.Hour); !ok || got < 7*time.Second {
		t.Errorf("%v %v", got, ok)
	}
	if _, ok := pauseFor(codes.ResourceExhausted, read, 1, 7*time.Second, 5*time.Second); ok {
		t.Error("waits longer than the call lasts")
	}
	if _, ok := pauseFor(codes.ResourceExhausted, namedWrite, 50, time.Second, time.Hour); !ok {
		t.Error("a server that sets the pace is not heeded beyond the attempts")
	}
	if _, ok := pauseFor(codes.ResourceExhausted, namedWrite, 50, 0, time.Hour); ok {
		t.Error("repeats for ever")
	}
}

func TestWhatIsTooLargeIsNotRepeated(t *testing.T) {
	for _, message := range []string{
		"trying to send message larger than max (5 vs. 4)",
		"grpc: received message after decompression larger than max 4",
		"grpc: message after decompression larger than max (5 vs. 4)",
		"Received message larger than max (5 vs. 4)",
		"collection 'c': the hits hold more than 9 bytes of payloads and vectors, the most of one answer; ask for fewer",
	} {
		err := newError(codes.ResourceExhausted, message, "h", time.Second)
		for _, kind := range []callKind{read, namedWrite, otherWrite} {
			if _, ok := DefaultRetryPolicy.pause(err, kind, 1, time.Hour, 0.5); ok || strings.Contains(err.Message, "slow down") {
				t.Errorf("kind %v: %v", kind, err)
			}
		}
	}
}

func TestErrorsAreFoundByKind(t *testing.T) {
	for code, kind := range kinds {
		err := fmt.Errorf("wrapped: %w", newError(code, "why", "host:1", 0))
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), "why") {
			t.Errorf("%v is not %v", err, kind)
		}
	}
	if !errors.Is(newError(codes.DeadlineExceeded, "", "h", 0), context.DeadlineExceeded) {
		t.Error("context.DeadlineExceeded is not found")
	}
	if message := newError(codes.Unavailable, "", "host:1", 0).Error(); !strings.Contains(message, "host:1") || !strings.Contains(message, "8081") {
		t.Error(message)
	}
}

func TestTheHintWhenToComeBackIsRead(t *testing.T) {
	answer, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(2500 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	if got := fromRPC(answer.Err(), "h"); got.RetryAfter != 2500*time.Millisecond || got.Code != codes.ResourceExhausted {
		t.Error(got)
	}
	if got := fromRPC(context.Canceled, "h"); got.Code != codes.Canceled {
		t.Error(got)
	}
}

func filterText(t *testing.T, filter *Filter) string {
	t.Helper()
	message, err := filter.message()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(protojson.MarshalOptions{}.Format(message), " ", "")
}

func TestFiltersBecomeTheWiresForm(t *testing.T) {
	a, b, c := Field("a").Eq(1), Field("b").Eq(true), Field("c").Eq("x")
	for _, test := range []struct {
		filter *Filter
		want   string
	}{
		{a, `{"must":[{"field":"a","match":1}]}`},
		{Field("a").OneOf("x", 1, true), `{"must":[{"field":"a","match":["x",1,true]}]}`},
		{Field("a").Lt(3), `{"must":[{"field":"a","range":{"lt":3}}]}`},
		{Field("a").Between(1, 2.5), `{"must":[{"field":"a","range":{"gte":1,"lte":2.5}}]}`},
		{Field("t").Gte(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)), `{"must":[{"field":"t","range":{"gte":"2024-01-02T00:00:00Z"}}]}`},
		{Field("a").Exists(), `{"must":[{"field":"a","exists":true}]}`},
		{Field("a").IsEmpty(), `{"must":[{"field":"a","isEmpty":true}]}`},
		{HasID("p"), `{"must":[{"hasId":["p"]}]}`},
		{a.And(b).And(Not(c)), `{"must":[{"field":"a","match":1},{"field":"b","match":true}],"mustNot":[{"field":"c","match":"x"}]}`},
		{a.Or(b).Or(c), `{"should":[{"field":"a","match":1},{"field":"b","match":true},{"field":"c","match":"x"}]}`},
		{a.Or(b).And(c), `{"must":[{"filter":{"should":[{"field":"a","match":1},{"field":"b","match":true}]}},{"field":"c","match":"x"}]}`},
		{AtLeast(1, a).Or(c), `{"should":[{"filter":{"should":[{"field":"a","match":1}],"minShould":1}},{"field":"c","match":"x"}]}`},
		{Any(All(), a), `{"should":[{"filter":{}},{"field":"a","match":1}]}`},
		{a.And(c).Or(Field("d").Ne(1)), `{"should":[{"filter":{"must":[{"field":"a","match":1},{"field":"c","match":"x"}]}},{"filter":{"mustNot":[{"field":"d","match":1}]}}]}`},
	} {
		if got := filterText(t, test.filter); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestABadFilterIsAnErrorWhenItIsUsed(t *testing.T) {
	for _, filter := range []*Filter{
		Field("").Eq(1), Field("a").Eq(math.NaN()), Field("a").Lt(nil), Any(), AtLeast(3, Field("a").Eq(1)),
		Field("b").Eq(1).And(Not(Any(Field("a").Eq(func() {})))),
	} {
		if _, err := filter.message(); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%v", err)
		}
	}
}

func TestPayloadsKeepTheirValues(t *testing.T) {
	type kind string
	payload := map[string]any{
		"s": "é", "n": 7, "f": 0.5, "b": true, "none": nil, "kind": kind("k"), "u": uint8(3),
		"list": []string{"a", "b"}, "deep": map[string]int{"x": 1}, "any": []any{1, "two", map[string]any{"three": 3}},
	}
	encoded, err := toStruct(payload, "p")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"s": "é", "n": 7.0, "f": 0.5, "b": true, "none": nil, "kind": "k", "u": 3.0, "list": []any{"a", "b"},
		"deep": map[string]any{"x": 1.0}, "any": []any{1.0, "two", map[string]any{"three": 3.0}},
	}
	if got := payloadOf(encoded, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if got := payloadOf(&structpb.Struct{}, map[string]string{"old": "text"}); got["old"] != "text" {
		t.Error(got)
	}
}

func TestBadValuesAreNamedByTheirPath(t *testing.T) {
	deep := map[string]any{}
	for range 40 {
		deep = map[string]any{"a": deep}
	}
	for _, test := range []struct {
		payload map[string]any
		words   string
	}{
		{map[string]any{"a": map[string]any{"b": math.Inf(1)}}, "p.a.b: +Inf"},
		{map[string]any{"a": 1<<53 + 1}, "2^53"},
		{map[string]any{"a": uint64(1) << 63}, "2^53"},
		{map[string]any{"a": func() {}}, "p.a: func()"},
		{map[string]any{"a": "\xff"}, "UTF-8"},
		{map[string]any{"a": map[int]string{}}, "keys are strings"},
		{deep, "deeper than 32"},
	} {
		if _, err := toStruct(test.payload, "p"); err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%v does not say %q", err, test.words)
		}
	}
	if err := checkVector([]float32{1, float32(math.NaN())}, "point p"); err == nil || !strings.Contains(err.Error(), "point p: component 1") {
		t.Error(err)
	}
	if checkVector(nil, "point p") == nil {
		t.Error("an empty vector passes")
	}
}

func parts(t *testing.T, points []Point, limits splitLimits) (sizes, starts []int, ids []string) {
	t.Helper()
	for part, err := range split(slices.Values(points), limits) {
		if err != nil {
			t.Fatal(err)
		}
		sizes, starts, ids = append(sizes, len(part.points)), append(starts, part.start), append(ids, part.requestID)
	}
	return sizes, starts, ids
}

func TestPointsAreSplitInOrderWithinTheLimits(t *testing.T) {
	points := make([]Point, 10)
	for i := range points {
		points[i] = Point{ID: fmt.Sprint("p", i), Vector: []float32{1}}
	}
	sizes, starts, ids := parts(t, points, splitLimits{maxPoints: 4, maxBytes: 1 << 20})
	if !slices.Equal(sizes, []int{4, 4, 2}) || !slices.Equal(starts, []int{0, 4, 8}) || ids[0] == ids[1] {
		t.Error(sizes, starts, ids)
	}
	if sizes, _, ids = parts(t, points, splitLimits{maxPoints: 5, maxBytes: 1 << 20, requestID: "r"}); !slices.Equal(ids, []string{"r", "r/1"}) {
		t.Error(sizes, ids)
	}
	one := proto.Size(&pb.Point{Id: "p0", Vector: []float32{1}}) + 8
	if sizes, _, _ = parts(t, points, splitLimits{maxPoints: 1 << 30, maxBytes: 3 * one}); !slices.Equal(sizes, []int{3, 3, 3, 1}) {
		t.Error(sizes)
	}
	if sizes, _, _ = parts(t, points[:2], splitLimits{maxPoints: 1 << 30, maxBytes: 1}); !slices.Equal(sizes, []int{1, 1}) {
		t.Error(sizes)
	}
	if sizes, _, _ = parts(t, nil, splitLimits{maxPoints: 1, maxBytes: 1}); sizes != nil {
		t.Error(sizes)
	}
}

func TestABadPointEndsASplitAfterTheGoodOnes(t *testing.T) {
	points := []Point{{ID: "a", Vector: []float32{1}}, {ID: "b"}, {ID: "c", Vector: []float32{1}}}
	var seen []string
	var last error
	for part, err := range split(slices.Values(points), splitLimits{maxPoints: 10, maxBytes: 1 << 20}) {
		seen, last = append(seen, part.ids()...), err
	}
	if !slices.Equal(seen, []string{"a"}) || last == nil || !strings.Contains(last.Error(), `point "b"`) {
		t.Error(seen, last)
	}
}
