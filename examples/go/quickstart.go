package main

import (
	"context"
	"fmt"
	"log"
	"os"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

func main() {
	ctx, host := context.Background(), append(os.Args[1:], "localhost:8081")[0]
	client, err := vectron.New(host)
	check(err)
	defer client.Close()
	check(client.CreateCollection(ctx, "fruit-go", 3, vectron.Cosine))
	_, err = client.Upsert(ctx, "fruit-go", []vectron.Point{
		{ID: "apple", Vector: []float32{0.9, 0.1, 0.2}, Payload: map[string]any{"price": 1.2}},
		{ID: "kiwi", Vector: []float32{0.1, 0.9, 0.4}, Payload: map[string]any{"price": 0.6}}})
	check(err)
	found, err := client.Search(ctx, "fruit-go", []float32{0.9, 0.2, 0.2}, 2, vectron.WithFilter(vectron.Field("price").Lt(5)))
	check(err)
	fmt.Println(found.Results[0].ID, found.Results[0].Score, found.Results[0].Payload)
	for better, err := range client.SearchStream(ctx, "fruit-go", []float32{0.1, 0.8, 0.4}, 1) {
		check(err)
		fmt.Println(better.Last, better.Results[0].ID)
	}
	liked := vectron.Feedback{QueryID: found.QueryID, Items: []vectron.FeedbackItem{{ResultID: "apple", RelevanceScore: 5, Clicked: true}}}
	_, err = client.SubmitFeedback(ctx, "fruit-go", liked)
	check(err)
	check(client.DeleteCollection(ctx, "fruit-go"))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
