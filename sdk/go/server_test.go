package vectron_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

// process is a real `vectron dev`; VECTRON_BINARY names the program.
type process struct {
	GRPC, HTTP string
	data       string
	command    *exec.Cmd
	log        *strings.Builder
}

func startServer(data, grpcAddress, auth string, flags ...string) (*process, error) {
	server := &process{data: data, log: &strings.Builder{}}
	arguments := append([]string{"dev", "--data", data, "--http", "127.0.0.1:0", "--grpc", grpcAddress, "--auth", auth}, flags...)
	server.command = exec.Command(os.Getenv("VECTRON_BINARY"), arguments...)
	server.command.Stderr = server.log
	output, err := server.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		server.command.Wait()
		return nil, fmt.Errorf("the server ended before it was ready: %s", server.log)
	}
	return server, json.Unmarshal(line, server)
}

func (p *process) stop(signal os.Signal) error {
	p.command.Process.Signal(signal)
	return p.command.Wait()
}

var (
	server *process
	client *vectron.Client
	count  atomic.Int32
)

func TestMain(m *testing.M) {
	if os.Getenv("VECTRON_BINARY") == "" {
		fmt.Println("VECTRON_BINARY names no server: only the tests that need none are run")
		os.Exit(m.Run())
	}
	folder, err := os.MkdirTemp("", "vectron-go-")
	if err != nil {
		panic(err)
	}
	if server, err = startServer(filepath.Join(folder, "data"), "127.0.0.1:0", "off"); err != nil {
		panic(err)
	}
	if client, err = vectron.New(server.GRPC, vectron.WithHTTPURL("http://"+server.HTTP)); err != nil {
		panic(err)
	}
	code := m.Run()
	client.Close()
	if err := server.stop(syscall.SIGTERM); err != nil {
		fmt.Println("the server ended with", err, server.log)
		code = 1
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

func collection(t *testing.T, dimension int, opts ...vectron.CollectionOption) string {
	t.Helper()
	if client == nil {
		t.Skip("NOT TESTED: VECTRON_BINARY names no server")
	}
	name := fmt.Sprint("c", count.Add(1))
	must(t, client.CreateCollection(context.Background(), name, dimension, vectron.Euclidean, opts...))
	return name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, wanted %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func ids(results *vectron.SearchResults) []string {
	var ids []string
	for _, result := range results.Results {
		ids = append(ids, result.ID)
	}
	return ids
}

func TestPointsGoInAreFoundAndGoOut(t *testing.T) {
	name := collection(t, 3, vectron.WithPayloadIndex("n", vectron.Integer), vectron.WithHalfPrecision(), vectron.WithHNSW(8, 0, 0))
	ctx := context.Background()
	payload := map[string]any{"s": "é", "n": 7.0, "b": true, "none": nil, "list": []any{1.0, "two", map[string]any{"three": 3.0}}}
	written, err := client.Upsert(ctx, name, []vectron.Point{{ID: "a", Vector: []float32{1, 0, 0}, Payload: payload}, {ID: "b", Vector: []float32{0, 1, 0}}})
	must(t, err)
	found, err := client.Search(ctx, name, []float32{1, 0, 0}, 1, vectron.WithVectors())
	must(t, err)
	if best := found.Results[0]; written != 2 || best.ID != "a" || best.Score != 0 || !slices.Equal(best.Vector, []float32{1, 0, 0}) || fmt.Sprint(best.Payload) != fmt.Sprint(payload) {
		t.Errorf("%+v", best)
	}
	status, err := client.GetCollectionStatus(ctx, name)
	must(t, err)
	if status.PointCount != 2 || status.Dimension != 3 || !status.Shards[0].Ready {
		t.Errorf("%+v", status)
	}
	names, err := client.ListCollections(ctx)
	must(t, err)
	if !slices.Contains(names, name) {
		t.Error(names)
	}
	must(t, client.Delete(ctx, name, "a"))
	_, err = client.Get(ctx, name, "a")
	refused(t, err, vectron.ErrNotFound, "a")
	refused(t, client.CreateCollection(ctx, name, 3, vectron.Dot), vectron.ErrAlreadyExists, name)
	must(t, client.DeleteCollection(ctx, name))
	refused(t, client.DeleteCollection(ctx, name), vectron.ErrNotFound, name)
}

func TestFiltersAndOptionsOfASearch(t *testing.T) {
	name := collection(t, 1)
	ctx := context.Background()
	var points []vectron.Point
	for i := range 12 {
		points = append(points, vectron.Point{ID: fmt.Sprintf("p%02d", i), Vector: []float32{float32(i)},
			Payload: map[string]any{"n": i, "even": i%2 == 0, "tags": []string{fmt.Sprint("t", i%3)}}})
	}
	_, err := client.Upsert(ctx, name, points)
	must(t, err)
	n := vectron.Field("n")
	for _, test := range []struct {
		filter *vectron.Filter
		want   func(int) bool
	}{
		{n.Lt(3), func(i int) bool { return i < 3 }},
		{n.Gte(3).And(vectron.Field("even").Eq(true)), func(i int) bool { return i >= 3 && i%2 == 0 }},
		{n.Lt(2).Or(n.Gt(9)), func(i int) bool { return i < 2 || i > 9 }},
		{vectron.Not(vectron.Field("tags[]").OneOf("t0", "t1")), func(i int) bool { return i%3 == 2 }},
		{vectron.HasID("p03", "absent"), func(i int) bool { return i == 3 }},
	} {
		var want, scrolled []string
		for i := range 12 {
			if test.want(i) {
				want = append(want, points[i].ID)
			}
		}
		found, err := client.Search(ctx, name, []float32{0}, 12, vectron.WithFilter(test.filter))
		must(t, err)
		for point, err := range client.Scroll(ctx, name, vectron.ScrollFilter(test.filter), vectron.ScrollPageSize(5)) {
			must(t, err)
			scrolled = append(scrolled, point.ID)
		}
		if got := ids(found); !slices.Equal(got, want) || !slices.Equal(scrolled, want) {
			t.Errorf("searched %v, scrolled %v, wanted %v", got, scrolled, want)
		}
	}
	found, err := client.Search(ctx, name, []float32{0}, 3, vectron.WithOffset(2), vectron.WithPayloadFields("n"), vectron.WithExact(), vectron.WithExplain())
	must(t, err)
	if got := ids(found); !slices.Equal(got, []string{"p02", "p03", "p04"}) || len(found.Results[0].Payload) != 1 || found.Explain == nil || found.QueryID == "" {
		t.Errorf("%+v", found)
	}
	found, err = client.Search(ctx, name, []float32{0}, 0, vectron.WithScoreThreshold(4), vectron.WithoutPayload(), vectron.WithConsistency(vectron.Eventual, 0))
	must(t, err)
	if len(found.Results) != 3 || len(found.Results[0].Payload) != 0 {
		t.Errorf("%+v", found)
	}
	var last *vectron.SearchResults
	for answer, err := range client.SearchStream(ctx, name, []float32{0}, 2) {
		must(t, err)
		last = answer
	}
	if !last.Last || !slices.Equal(ids(last), []string{"p00", "p01"}) {
		t.Errorf("%+v", last)
	}
	for range client.SearchStream(ctx, name, []float32{0}, 2) {
		break // leaving early ends the call
	}
}

func TestBadInputIsNamedAndNothingOfItIsWritten(t *testing.T) {
	name := collection(t, 2)
	ctx := context.Background()
	for _, test := range []struct {
		point vectron.Point
		words []string
	}{
		{vectron.Point{ID: "p", Vector: []float32{1, 2, 3}}, []string{"p", "3", "2"}},
		{vectron.Point{ID: "p", Vector: []float32{1, float32(math.NaN())}}, []string{`point "p": component 1`, "NaN"}},
		{vectron.Point{ID: strings.Repeat("x", 257), Vector: []float32{1, 2}}, []string{"256"}},
		{vectron.Point{ID: "p", Vector: []float32{1, 2}, Payload: map[string]any{"t": strings.Repeat("x", 1<<20)}}, []string{"payload"}},
		{vectron.Point{Vector: []float32{1, 2}}, []string{"empty id"}},
	} {
		_, err := client.Upsert(ctx, name, []vectron.Point{test.point})
		refused(t, err, vectron.ErrInvalidArgument, test.words...)
	}
	_, err := client.Search(ctx, name, []float32{1, 2, 3}, 1)
	refused(t, err, vectron.ErrInvalidArgument, "2")
	_, err = client.Search(ctx, name, []float32{float32(math.Inf(1)), 1}, 1)
	refused(t, err, vectron.ErrInvalidArgument, "the query: component 0")
	_, err = client.Search(ctx, "absent", []float32{1, 2}, 1)
	refused(t, err, vectron.ErrNotFound, "absent")
	_, err = client.Upsert(ctx, name, []vectron.Point{{ID: "p", Vector: []float32{1, 2}}})
	must(t, err)
	_, err = client.Upsert(ctx, name, []vectron.Point{{ID: "p", Vector: []float32{1, 2}}}, vectron.WithInsertOnly())
	refused(t, err, vectron.ErrAlreadyExists)
}

func TestUnicodeIDsComeBackAsTheyWent(t *testing.T) {
	name := collection(t, 1)
	ctx := context.Background()
	for _, id := range []string{"日本語", "emoji-😀", "a/b?c=d%20", strings.Repeat("x", 256), " spaces ", "ﬁ"} {
		_, err := client.Upsert(ctx, name, []vectron.Point{{ID: id, Vector: []float32{1}}})
		must(t, err)
		point, err := client.Get(ctx, name, id)
		must(t, err)
		if point.ID != id {
			t.Errorf("%q became %q", id, point.ID)
		}
		must(t, client.Delete(ctx, name, id))
	}
}

func TestARequestIDAppliesOnce(t *testing.T) {
	name := collection(t, 1)
	ctx := context.Background()
	for _, write := range []struct {
		value float32
		opts  []vectron.WriteOption
	}{{1, []vectron.WriteOption{vectron.WithRequestID("r")}}, {2, nil}, {1, []vectron.WriteOption{vectron.WithRequestID("r")}}} {
		_, err := client.Upsert(ctx, name, []vectron.Point{{ID: "p", Vector: []float32{write.value}}}, write.opts...)
		must(t, err)
	}
	point, err := client.Get(ctx, name, "p")
	must(t, err)
	if point.Vector[0] != 2 {
		t.Error(point)
	}
}

func Test100000PointsOverTheSizeLimitAreSplit(t *testing.T) {
	name := collection(t, 1, vectron.WithHNSW(4, 8, 0))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	text := strings.Repeat("x", 700)
	points := func(yield func(vectron.Point) bool) {
		for i := range 100_000 {
			if !yield(vectron.Point{ID: fmt.Sprint("p", i), Vector: []float32{float32(i)}, Payload: map[string]any{"text": text}}) {
				return
			}
		}
	}
	var progress vectron.BatchProgress
	report, err := client.UpsertBatch(ctx, name, points, vectron.OnProgress(func(step vectron.BatchProgress) { progress = step }))
	must(t, err)
	if report.Upserted != 100_000 || progress.Done != 100_000 || progress.Failed != 0 {
		t.Error(report, progress)
	}
	must(t, client.DeleteCollection(ctx, name))
}

func TestABadPartDoesNotStopTheBatch(t *testing.T) {
	name := collection(t, 2)
	var points []vectron.Point
	for i := range 9 {
		points = append(points, vectron.Point{ID: fmt.Sprint("p", i), Vector: []float32{1, 2}})
	}
	points[5].Vector = []float32{1, 2, 3}
	report, err := client.UpsertBatch(context.Background(), name, slices.Values(points), vectron.BatchSize(3, 0), vectron.BatchConcurrency(2))
	refused(t, err, vectron.ErrInvalidArgument, "3 points were not written, 6 were", "p5")
	if report.Upserted != 6 || len(report.Failures) != 1 || !slices.Equal(report.Failures[0].IDs, []string{"p3", "p4", "p5"}) {
		t.Errorf("%+v", report)
	}
}

func TestWrongHostsAreNamed(t *testing.T) {
	for _, host := range []string{"", "http://x:1"} {
		_, err := vectron.New(host)
		refused(t, err, vectron.ErrInvalidArgument)
	}
	nobody, err := vectron.New("127.0.0.1:1", vectron.WithTimeout(time.Minute))
	must(t, err)
	defer nobody.Close()
	_, err = nobody.ListCollections(context.Background())
	refused(t, err, vectron.ErrUnavailable, "127.0.0.1:1", "is the server running")
}

func TestASilentServerIsATimeoutAndACallCanBeCancelled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	quiet, err := vectron.New(listener.Addr().String())
	must(t, err)
	defer quiet.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err = quiet.ListCollections(ctx)
	refused(t, err, vectron.ErrDeadlineExceeded, listener.Addr().String(), "in time", "a later deadline")
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	_, err = quiet.ListCollections(ctx)
	refused(t, err, vectron.ErrCanceled)
	must(t, quiet.Close())
	_, err = quiet.ListCollections(context.Background())
	refused(t, err, vectron.ErrCanceled, "the client is closed")
}

func TestAClientSurvivesARestartOfTheServer(t *testing.T) {
	if client == nil {
		t.Skip("NOT TESTED: VECTRON_BINARY names no server")
	}
	data := filepath.Join(t.TempDir(), "data")
	own, err := startServer(data, "127.0.0.1:0", "off")
	must(t, err)
	patient, err := vectron.New(own.GRPC, vectron.WithRetry(vectron.RetryPolicy{MaxAttempts: 1000, InitialBackoff: 50 * time.Millisecond, MaxBackoff: time.Second}))
	must(t, err)
	defer patient.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	must(t, patient.CreateCollection(ctx, "c", 2, vectron.Euclidean))
	_, err = patient.Upsert(ctx, "c", []vectron.Point{{ID: "a", Vector: []float32{1, 2}}})
	must(t, err)
	own.stop(syscall.SIGKILL)
	write := make(chan error, 1)
	go func() {
		_, err := patient.Upsert(ctx, "c", []vectron.Point{{ID: "b", Vector: []float32{3, 4}}})
		write <- err
	}()
	own, err = startServer(data, own.GRPC, "off")
	must(t, err)
	must(t, <-write)
	for id, vector := range map[string][]float32{"a": {1, 2}, "b": {3, 4}} {
		point, err := patient.Get(ctx, "c", id)
		must(t, err)
		if !slices.Equal(point.Vector, vector) {
			t.Error(point)
		}
	}
	must(t, own.stop(syscall.SIGTERM))
}

func TestFeedbackIsStored(t *testing.T) {
	name := collection(t, 1)
	ctx := context.Background()
	item := vectron.FeedbackItem{ResultID: "a", RelevanceScore: 5, Clicked: true}
	var submitted, listed []string
	for range 2 {
		id, err := client.SubmitFeedback(ctx, name, vectron.Feedback{Query: "hello", Items: []vectron.FeedbackItem{item}})
		must(t, err)
		submitted = append(submitted, id)
	}
	next := uint64(0)
	for page := 0; page == 0 || next != 0; page++ {
		var records []vectron.FeedbackRecord
		var err error
		records, next, err = client.ListFeedback(ctx, name, next, 1)
		must(t, err)
		for _, record := range records {
			listed = append(listed, record.FeedbackID)
			if record.Query != "hello" || !slices.Equal(record.Items, []vectron.FeedbackItem{item}) {
				t.Errorf("%+v", record)
			}
		}
	}
	if len(submitted[0]) != 36 || !slices.Equal(listed, submitted) {
		t.Error(submitted, listed)
	}
}

func TestManagementCalls(t *testing.T) {
	name := collection(t, 1)
	ctx := context.Background()
	admin := client.Admin()
	got := func(answer map[string]any, err error) map[string]any {
		t.Helper()
		must(t, err)
		return answer
	}
	workers := got(admin.Workers(ctx))["workers"].([]any)
	worker := workers[0].(map[string]any)["worker_id"].(string)
	for key, answer := range map[string]map[string]any{
		"overall_status": got(admin.Health(ctx)),
		"stats":          got(admin.Stats(ctx)),
		"collections":    got(admin.Collections(ctx)),
		"alerts":         got(admin.Alerts(ctx, vectron.AlertFilter{Status: "active", Level: "critical", Limit: 5})),
		"moves":          got(admin.PlanRebalance(ctx)),
		"started":        got(admin.Rebalance(ctx)),
		"stepSeconds":    got(admin.TimeSeries(ctx, vectron.SeriesRange{Window: time.Minute, Until: time.Now(), MaxPoints: 5})),
		"queries":        got(admin.SlowQueries(ctx, name, 5)),
		"shardsLeft":     got(admin.CancelDrain(ctx, worker)),
	} {
		if answer[key] == nil {
			t.Errorf("no %s in %v", key, answer)
		}
	}
	if ranking := got(admin.Ranking(ctx, name)); ranking["state"] != "rule" {
		t.Error(ranking)
	}
	_, err := admin.ControlRanking(ctx, name, "promote", 0)
	refused(t, err, vectron.ErrFailedPrecondition)
	_, err = admin.DrainWorker(ctx, worker) // nowhere to go
	refused(t, err, vectron.ErrFailedPrecondition)
	_, err = admin.RemoveWorker(ctx, worker)
	refused(t, err, vectron.ErrFailedPrecondition)
	_, err = admin.ResolveAlert(ctx, "absent")
	refused(t, err, vectron.ErrNotFound, "absent")
}

func TestTheQuickstartRuns(t *testing.T) {
	program := os.Getenv("VECTRON_EXAMPLE")
	if program == "" || server == nil {
		t.Skip("NOT TESTED: VECTRON_EXAMPLE names no program; tests/sdk/run.sh go builds it")
	}
	command := exec.Command(program, server.GRPC)
	errorOutput, err := command.StderrPipe()
	must(t, err)
	output, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	text, err := io.ReadAll(output)
	must(t, err)
	why, err := io.ReadAll(errorOutput)
	must(t, err)
	err = command.Wait()
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if !strings.HasPrefix(lines[0], "apple 0") || lines[len(lines)-1] != "true kiwi" {
		t.Fatalf("%s\n%s", text, why)
	}
	must(t, err)
}
