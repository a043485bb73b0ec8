package vectron_test

// What goes over the wire: compressed when asked for, and no larger than allowed.

import (
	"context"
	"strings"
	"testing"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

var long = []vectron.Point{{ID: "a", Vector: []float32{1}, Payload: map[string]any{"text": strings.Repeat("x", 100_000)}}}

func TestGzipIsUsedAndUnderstood(t *testing.T) {
	name := collection(t, 1)
	between := newRelay(t, server.GRPC)
	small, err := vectron.New(between.address, vectron.WithGzip())
	must(t, err)
	defer small.Close()
	_, err = small.Upsert(context.Background(), name, long)
	must(t, err)
	found, err := small.Search(context.Background(), name, []float32{1}, 1)
	must(t, err)
	if found.Results[0].Payload["text"] != long[0].Payload["text"] {
		t.Errorf("%+v", found)
	}
	if count := between.sent.Load(); count == 0 || count > 20_000 {
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
