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
	stays   bool // until the connection is gone
}

// script is a server that answers streams of searches, one entry a call.
type script struct {
	address string
	calls   atomic.Int32
	streams []streamed
	server  *grpc.Server
}

func scripted(t *testing.T, streams ...streamed) *script {
	t.Helper()
	made := &script{address: "127.0.0.1:0", streams: streams}
	made.start(t)
	t.Cleanup(func() { made.server.Stop() })
	return made
}

func (s *script) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	must(t, err)
	s.address = listener.Addr().String()
	s.server = grpc.NewServer(grpc.UnknownServiceHandler(s.answer))
	go s.server.Serve(listener)
}

// restart ends the calls there are as a server does that is killed.
func (s *script) restart(t *testing.T) {
	t.Helper()
	s.server.Stop()
	s.start(t)
}

func (s *script) answer(_ any, stream grpc.ServerStream) error {
	call := int(s.calls.Add(1)) - 1
	if err := stream.RecvMsg(&pb.SearchRequest{}); err != nil {
		return err
	}
	if call >= len(s.streams) {
		return status.Error(codes.Internal, "the script is over")
	}
	for _, answer := range s.streams[call].answers {
		if err := stream.SendMsg(answer); err != nil {
			return err
		}
	}
	if s.streams[call].stays {
		<-stream.Context().Done()
	}
	return s.streams[call].end
}

func answer(last bool, ids ...string) *pb.SearchResponse {
	response := &pb.SearchResponse{Last: last}
	for _, id := range ids {
		response.Results = append(response.Results, &pb.SearchResult{Id: id})
	}
	return response
}

func TestAnAnswerThatIsTooLargeIsAskedForOnce(t *testing.T) {
	server := scripted(t, streamed{answers: []*pb.SearchResponse{answer(true, strings.Repeat("a", 10_000))}})
	client, err := vectron.New(server.address, vectron.WithMaxMessageBytes(5_000))
	must(t, err)
	defer client.Close()
	for _, err := range client.SearchStream(context.Background(), "c", []float32{1}, 2) {
		refused(t, err, vectron.ErrResourceExhausted, "larger than", "WithMaxMessageBytes")
	}
	if server.calls.Load() != 1 {
		t.Errorf("%d calls", server.calls.Load())
	}
}

func TestAStreamThatBreaksIsAskedAgain(t *testing.T) {
	first := []*pb.SearchResponse{answer(false, "b")}
	again := streamed{answers: []*pb.SearchResponse{answer(false, "b"), answer(true, "a", "b")}}
	for name, broken := range map[string]streamed{
		"by an error":  {answers: first, end: status.Error(codes.Unavailable, "restarting")},
		"by a restart": {answers: first, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := scripted(t, broken, again)
			client, err := vectron.New(server.address, vectron.WithRetry(vectron.RetryPolicy{MaxAttempts: 1000, InitialBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}))
			must(t, err)
			defer client.Close()
			var seen []string
			for better, err := range client.SearchStream(context.Background(), "c", []float32{1}, 2) {
				must(t, err)
				seen = append(seen, fmt.Sprint(ids(better), better.Last))
				if broken.stays && len(seen) == 1 {
					server.restart(t)
				}
			}
			if !slices.Equal(seen, []string{"[b] false", "[b] false", "[a b] true"}) || server.calls.Load() != 2 {
				t.Errorf("saw %v in %d calls", seen, server.calls.Load())
			}
		})
	}
}
