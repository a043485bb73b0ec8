package vectron_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/keepalive"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

// A connection that has died without a word is noticed by pings while a call is under way, and replaced. grpc-go pings every 10 s at
// most, so the test is one of those that run side by side.
func TestASilentConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	name := collection(t, 1)
	ctx := context.Background()
	_, err := client.Upsert(ctx, name, []vectron.Point{{ID: "a", Vector: []float32{1}}})
	must(t, err)
	asks := map[string]func(*vectron.Client) (*vectron.SearchResults, error){
		"search": func(c *vectron.Client) (*vectron.SearchResults, error) {
			return c.Search(ctx, name, []float32{1}, 1)
		},
		"stream": func(c *vectron.Client) (best *vectron.SearchResults, err error) {
			for best, err = range c.SearchStream(ctx, name, []float32{1}, 1) {
			}
			return best, err
		},
	}
	for kind, ask := range asks {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			between := newRelay(t, server.GRPC)
			// An attempt may take all of the call's time: what ends it earlier is the ping without an answer.
			pinging, err := vectron.New(between.address, vectron.WithTimeout(time.Minute), vectron.WithAttemptTimeout(time.Minute),
				vectron.WithKeepalive(keepalive.ClientParameters{Time: time.Second, Timeout: time.Second}))
			must(t, err)
			defer pinging.Close()
			_, err = ask(pinging)
			must(t, err)
			before := between.connections.Load()
			between.fallSilent()
			found, err := ask(pinging)
			must(t, err)
			if len(found.Results) != 1 || between.connections.Load() <= before {
				t.Errorf("%v over %d connections, then %d", found.Results, before, between.connections.Load())
			}
		})
	}
}
