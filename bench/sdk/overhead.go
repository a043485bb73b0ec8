// What the Go client costs per search, against the generated messages and a bare connection. Arguments: HOST:PORT of gRPC.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	vectron "github.com/vectron-db/vectron/sdk/go"
	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

const (
	warmUp = 200
	rounds = 2_000
)

type hit struct {
	id    string
	score float32
}

func main() {
	host := os.Args[1]
	conn := must(grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials())))
	client := must(vectron.New(host))
	for _, dimension := range []int{128, 768} {
		measure(client, conn, dimension)
	}
}

func measure(client *vectron.Client, conn *grpc.ClientConn, dimension int) {
	ctx := context.Background()
	name := "overhead-" + strconv.Itoa(dimension)
	vectors := make([][]float32, 2_000)
	for i := range vectors {
		vectors[i] = make([]float32, dimension)
		for j := range vectors[i] {
			vectors[i][j] = rand.Float32() - 0.5
		}
	}
	check(client.CreateCollection(ctx, name, dimension, vectron.Euclidean))
	must(client.UpsertBatch(ctx, name, func(yield func(vectron.Point) bool) {
		for i, vector := range vectors {
			if !yield(vectron.Point{ID: strconv.Itoa(i), Vector: vector}) {
				return
			}
		}
	}))
	raw := func(vector []float32) (hits []hit) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		response := &pb.SearchResponse{}
		check(conn.Invoke(ctx, "/vectron.v1.VectronService/Search", &pb.SearchRequest{Collection: name, Vector: vector, TopK: 10}, response))
		for _, result := range response.Results {
			hits = append(hits, hit{result.Id, result.Score})
		}
		return hits
	}
	ours := func(vector []float32) (hits []hit) {
		for _, result := range must(client.Search(ctx, name, vector, 10)).Results {
			hits = append(hits, hit{result.ID, result.Score})
		}
		return hits
	}
	calls := []func([]float32) []hit{raw, ours}
	times := make([][]time.Duration, 2)
	for round := range warmUp + rounds {
		var found [2][]hit
		for turn := range calls {
			which := (turn + round) % 2
			start := time.Now()
			found[which] = calls[which](vectors[round%len(vectors)])
			if round >= warmUp {
				times[which] = append(times[which], time.Since(start))
			}
		}
		if !slices.Equal(found[0], found[1]) {
			panic("different answers")
		}
	}
	median := func(values []time.Duration) float64 {
		slices.Sort(values)
		return float64(values[len(values)/2].Nanoseconds()) / 1e3
	}
	a, b := median(times[0]), median(times[1])
	fmt.Printf("go %d: raw %.0f us, client %.0f us, ratio %.3f\n", dimension, a, b, b/a)
	check(client.DeleteCollection(ctx, name))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
