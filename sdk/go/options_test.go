package vectron_test

// What a collection, a search and a read may ask for, against the server of server_test.go.

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

func TestReranksAsACollectionOrASearchSays(t *testing.T) {
	ctx := context.Background()
	no := false
	wanted := vectron.RerankOptions{Strategy: "rule", Candidates: 7, Budget: 500 * time.Millisecond, Explore: &no}
	name := collection(t, 1, vectron.WithShards(1, 0), vectron.WithHalfPrecision(), vectron.WithInMemoryVectors(), vectron.WithDefaultRerank(wanted))
	status, err := client.GetCollectionStatus(ctx, name)
	must(t, err)
	made := status.Options
	if !made.VectorsInMemory || made.Rerank.Strategy != "rule" || made.Rerank.BudgetMs != 500 || made.Rerank.Explore == nil || *made.Rerank.Explore {
		t.Errorf("made with %v", made)
	}
	other := collection(t, 1, vectron.WithOptionsOf(status))
	like, err := client.GetCollectionStatus(ctx, other)
	must(t, err)
	like.Options.Name = name
	if !proto.Equal(like.Options, made) {
		t.Errorf("%v is not as %v", like.Options, made)
	}
	_, err = client.Upsert(ctx, name, []vectron.Point{{ID: "a", Vector: []float32{1}, Payload: map[string]any{"text": "a blue boat"}}})
	must(t, err)
	found, err := client.Search(ctx, name, []float32{1}, 1, vectron.WithRerankOptions("boat", vectron.RerankOptions{Budget: time.Second}))
	must(t, err)
	if found.Rerank.GetStrategy() != "rule" || found.Rerank.Explored {
		t.Errorf("ordered by %v", found.Rerank)
	}
	_, err = client.Search(ctx, name, []float32{1}, 1, vectron.WithRerankOptions("boat", vectron.RerankOptions{Budget: 70 * time.Second}))
	refused(t, err, vectron.ErrInvalidArgument)
}

func TestVersionsAreToldAndReadsSayHowFresh(t *testing.T) {
	ctx := context.Background()
	name := collection(t, 1)
	versions, err := client.UpsertVersions(ctx, name, []vectron.Point{{ID: "a", Vector: []float32{1}}, {ID: "b", Vector: []float32{2}}})
	must(t, err)
	a, err := client.Get(ctx, name, "a", vectron.GetConsistency(vectron.Bounded, time.Minute))
	must(t, err)
	b, err := client.Get(ctx, name, "b")
	must(t, err)
	if !slices.Equal(versions, []uint64{a.Version, b.Version}) {
		t.Errorf("%v, but %d and %d", versions, a.Version, b.Version)
	}
	count := 0
	for point, err := range client.Scroll(ctx, name, vectron.ScrollConsistency(vectron.Bounded, time.Minute), vectron.ScrollWithoutPayload()) {
		must(t, err)
		count++
		if len(point.Payload) > 0 {
			t.Errorf("payload of %s", point.ID)
		}
	}
	if count != 2 {
		t.Errorf("%d points", count)
	}
	_, err = client.Get(ctx, name, "a", vectron.GetConsistency(vectron.Consistency(99), 0))
	refused(t, err, vectron.ErrInvalidArgument)
	for _, err := range client.Scroll(ctx, name, vectron.ScrollConsistency(vectron.Consistency(99), 0)) {
		refused(t, err, vectron.ErrInvalidArgument)
	}
}

func TestAnAdministratorTellsCollectionsOfOneNameApart(t *testing.T) {
	own, admin := administered(t)
	ctx := context.Background()
	var users []string
	for dimension, email := range []string{"ada@example.org", "bob@example.org"} {
		client, err := vectron.New(own.GRPC)
		must(t, err)
		user, err := client.RegisterUser(ctx, email, "Passw0rd!", "")
		must(t, err)
		users = append(users, user.ID)
		_, err = client.Login(ctx, email, "Passw0rd!")
		must(t, err)
		must(t, client.CreateCollection(ctx, "same", dimension+1, vectron.Cosine))
		must(t, client.Close())
	}
	_, err := admin.GetCollectionStatus(ctx, "same")
	refused(t, err, vectron.ErrFailedPrecondition, "x-vectron-tenant")
	for dimension, user := range users {
		status, err := admin.GetCollectionStatus(vectron.ContextWithTenant(ctx, user), "same")
		must(t, err)
		if status.Dimension != dimension+1 {
			t.Errorf("user %d: dimension %d", dimension, status.Dimension)
		}
	}
}
