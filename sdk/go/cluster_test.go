package vectron_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

// cluster is three workers and what serves them; VECTRON_CLUSTER_TOOL names tools/cluster.py.
type cluster struct {
	GRPC  []string
	Nodes []struct{ ID, PID uint64 }
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	tool := os.Getenv("VECTRON_CLUSTER_TOOL")
	if client == nil || tool == "" {
		t.Skip("NOT TESTED: VECTRON_BINARY or VECTRON_CLUSTER_TOOL is not set; tests/sdk/run.sh go sets them")
	}
	place := []string{"--data", filepath.Join(t.TempDir(), "cluster"), "--json", "--binary", os.Getenv("VECTRON_BINARY")}
	run := func(verb ...string) []byte {
		command := exec.Command("python3", append(append([]string{"-B", tool}, verb...), place...)...)
		command.Stderr = os.Stderr
		output, err := command.Output()
		must(t, err)
		return output
	}
	t.Cleanup(func() { run("down") })
	made := &cluster{}
	must(t, json.Unmarshal(run("up", "--no-demo", "--threads", "1"), made))
	return made
}

// New points are written one by one, insert-only: a write that applied twice would be refused. Searches go on.
func TestAKilledWorkerLosesNothingAndWritesApplyOnce(t *testing.T) {
	t.Parallel()
	const count = 150
	cluster := startCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	patient, err := vectron.New(cluster.GRPC[0], vectron.WithRetry(vectron.RetryPolicy{MaxAttempts: 1000, InitialBackoff: 50 * time.Millisecond, MaxBackoff: time.Second}))
	must(t, err)
	defer patient.Close()
	must(t, patient.CreateCollection(ctx, "c", 2, vectron.Euclidean, vectron.WithShards(3, 3)))
	write := func(n int) {
		t.Helper()
		point := vectron.Point{ID: fmt.Sprint("p", n), Vector: []float32{float32(n), 1}, Payload: map[string]any{"n": n}}
		_, err := patient.Upsert(ctx, "c", []vectron.Point{point}, vectron.WithInsertOnly(), vectron.WithRequestID(fmt.Sprint("r", n)))
		must(t, err)
	}

	var searches atomic.Int64
	searching, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for searching.Err() == nil {
			if _, err := patient.Search(ctx, "c", []float32{0, 1}, 10, vectron.WithExact()); err != nil {
				ended <- err
				return
			}
			searches.Add(1)
		}
		ended <- nil
	}()
	before := int64(0)
	for n := range count {
		if n == 50 {
			before = searches.Load()
			leader := uint64(0)
			for ; leader == 0; time.Sleep(100 * time.Millisecond) { // while an election is under way
				status, err := patient.GetCollectionStatus(ctx, "c")
				must(t, err)
				leader = status.Shards[0].LeaderID
			}
			for _, node := range cluster.Nodes {
				if node.ID == leader {
					must(t, syscall.Kill(int(node.PID), syscall.SIGKILL))
				}
			}
		}
		write(n)
	}
	stop()
	must(t, <-ended)
	if searches.Load() <= before {
		t.Error("no search after the worker was killed")
	}

	all := func() map[string]string {
		t.Helper()
		found := map[string]string{}
		for point, err := range patient.Scroll(ctx, "c") {
			must(t, err)
			found[point.ID] = fmt.Sprint(point.Payload["n"], " version ", point.Version)
			if point.ID != fmt.Sprint("p", point.Payload["n"]) {
				t.Error(point)
			}
		}
		return found
	}
	found := all()
	status, err := patient.GetCollectionStatus(ctx, "c")
	must(t, err)
	if len(found) != count || status.PointCount != count {
		t.Error(len(found), status.PointCount)
	}
	for n := range count {
		write(n) // again, late, by its name
	}
	if again := all(); !maps.Equal(again, found) {
		t.Error(found, again)
	}
}
