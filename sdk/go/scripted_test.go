package vectron_test

// The client against a server that does what a script says.

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vectron "github.com/vectron-db/vectron/sdk/go"
	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

// streamed is what one call of SearchStream gets.
type streamed struct {
	answers []*pb.SearchResponse
	end     error
}

// scripted answers streams of searches, one entry a call; its address, and how many calls came.
func scripted(t *testing.T, script ...streamed) (address string, calls *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	calls = &atomic.Int32{}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		call := int(calls.Add(1)) - 1
		if err := stream.RecvMsg(&pb.SearchRequest{}); err != nil {
			return err
		}
		if call >= len(script) {
			return status.Error(codes.Internal, "the script is over")
		}
		for _, answer := range script[call].answers {
			if err := stream.SendMsg(answer); err != nil {
				return err
			}
		}
		return script[call].end
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String(), calls
}

func answer(last bool, ids ...string) *pb.SearchResponse {
	response := &pb.SearchResponse{Last: last}
	for _, id := range ids {
		response.Results = append(response.Results, &pb.SearchResult{Id: id})
	}
	return response
}

func TestAnAnswerThatIsTooLargeIsAskedForOnce(t *testing.T) {
	address, calls := scripted(t, streamed{[]*pb.SearchResponse{answer(true, strings.Repeat("a", 10_000))}, nil})
	client, err := vectron.New(address, vectron.WithMaxMessageBytes(5_000))
	must(t, err)
	defer client.Close()
	for _, err := range client.SearchStream(context.Background(), "c", []float32{1}, 2) {
		refused(t, err, vectron.ErrResourceExhausted, "larger than", "WithMaxMessageBytes")
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestAStreamThatBreaksIsAskedAgain(t *testing.T) {
	address, calls := scripted(t,
		streamed{[]*pb.SearchResponse{answer(false, "b")}, status.Error(codes.Unavailable, "restarting")},
		streamed{[]*pb.SearchResponse{answer(false, "b"), answer(true, "a", "b")}, nil})
	client, err := vectron.New(address, vectron.WithRetry(vectron.RetryPolicy{MaxAttempts: 5, InitialBackoff: time.Millisecond, MaxBackoff: time.Millisecond}))
	must(t, err)
	defer client.Close()
	var seen []string
	for better, err := range client.SearchStream(context.Background(), "c", []float32{1}, 2) {
		must(t, err)
		seen = append(seen, fmt.Sprint(ids(better), better.Last))
	}
	if !slices.Equal(seen, []string{"[b] false", "[b] false", "[a b] true"}) || calls.Load() != 2 {
		t.Errorf("saw %v in %d calls", seen, calls.Load())
	}
}
