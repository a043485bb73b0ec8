package vectron_test

// What goes over the wire: compressed when asked for, and no larger than allowed.

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

var long = []vectron.Point{{ID: "a", Vector: []float32{1}, Payload: map[string]any{"text": strings.Repeat("x", 100_000)}}}

type counter struct {
	io.Writer
	count *atomic.Int64
}

func (c counter) Write(data []byte) (int, error) {
	c.count.Add(int64(len(data)))
	return c.Writer.Write(data)
}

// relay passes one connection on to an address, counting the bytes that go there.
func relay(t *testing.T, to string) (address string, sent *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	sent = &atomic.Int64{}
	go func() {
		here, err := listener.Accept()
		if err != nil {
			return
		}
		defer here.Close()
		there, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer there.Close()
		go io.Copy(here, there)
		io.Copy(counter{there, sent}, here)
	}()
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String(), sent
}

func TestGzipIsUsedAndUnderstood(t *testing.T) {
	name := collection(t, 1)
	address, sent := relay(t, server.GRPC)
	small, err := vectron.New(address, vectron.WithGzip())
	must(t, err)
	defer small.Close()
	_, err = small.Upsert(context.Background(), name, long)
	must(t, err)
	found, err := small.Search(context.Background(), name, []float32{1}, 1)
	must(t, err)
	if found.Results[0].Payload["text"] != long[0].Payload["text"] {
		t.Errorf("%+v", found)
	}
	if count := sent.Load(); count == 0 || count > 20_000 {
		t.Errorf("sent %d bytes", count)
	}
}

func TestAMessageThatIsTooLargeSaysWhatToDo(t *testing.T) {
	name := collection(t, 1)
	tiny, err := vectron.New(server.GRPC, vectron.WithMaxMessageBytes(10_000), vectron.WithRetry(vectron.RetryPolicy{MaxAttempts: 1}))
	must(t, err)
	defer tiny.Close()
	words := []string{"larger than", "smaller batches", "WithMaxMessageBytes"}
	_, err = tiny.Upsert(context.Background(), name, long)
	refused(t, err, vectron.ErrResourceExhausted, words...)
	_, err = client.Upsert(context.Background(), name, long)
	must(t, err)
	_, err = tiny.Get(context.Background(), name, "a")
	refused(t, err, vectron.ErrResourceExhausted, words...)
}
