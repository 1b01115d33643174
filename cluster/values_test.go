//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/internal/queue"
)

var (
	// total adds up the numbers that the task's engine has under a name.
	total = parade.FuncContext("cluster.total", func(ctx context.Context, name string) (sum float64, err error) {
		numbers, err := parade.Value[[]float64](ctx, name)
		for _, v := range numbers {
			sum += v
		}
		return sum, err
	})
	// series makes as many numbers, which begin with the process id of the engine.
	series = parade.Pure("cluster.series", func(n int) []float64 {
		v := make([]float64, n)
		v[0] = float64(os.Getppid())
		for i := 1; i < n; i++ {
			v[i] = float64(i)
		}
		return v
	})
)

func counted(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(i)
	}
	return v
}

func sumOf(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// TestPushPull: what is pushed is found by tasks of the view and of no other, and pulled
// as it was, whatever its size.
func TestPushPull(t *testing.T) {
	_, _, client := stage(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engines := client.Engines()
	all, one := client.Direct(), client.Direct(engines[1].ID)
	for _, n := range []int{1, 5_000, 100_000} { // in the message, in a file, above the size that travels inline
		numbers := counted(n)
		if err := cluster.Push(ctx, all, "numbers", numbers); err != nil {
			t.Fatal(err)
		}
		sums, err := cluster.Apply(ctx, all, total, "numbers")
		if want := sumOf(numbers); err != nil || !slices.Equal(sums, []float64{want, want, want}) {
			t.Fatalf("%d numbers: the sums are %v, want %v: %v", n, sums, want, err)
		}
		pulled, err := cluster.Pull[[]float64](ctx, all, "numbers")
		if err != nil || len(pulled) != 3 || !slices.Equal(pulled[0], numbers) || !slices.Equal(pulled[2], numbers) {
			t.Fatalf("%d numbers: pulled %d slices, %v", n, len(pulled), err)
		}
		pulled[0][0] = -1
		if pulled[1][0] == -1 {
			t.Error("two targets' values share memory")
		}
	}
	// One engine's is another now, also for the view of all.
	if err := cluster.Push(ctx, one, "numbers", []float64{7}); err != nil {
		t.Fatal(err)
	}
	sums, err := cluster.Apply(ctx, all, total, "numbers")
	if want := sumOf(counted(100_000)); err != nil || !slices.Equal(sums, []float64{want, 7, want}) {
		t.Errorf("the sums are %v, %v", sums, err)
	}
	// A call's own value comes before the view's.
	sum, err := parade.Go(ctx, one, total, "numbers", parade.With("numbers", []float64{1, 2})).Wait(ctx)
	if err != nil || sum != 3 {
		t.Errorf("with the call's own value the sum is %v, %v", sum, err)
	}
	for name, err := range map[string]error{
		"a load-balanced view's task": second(parade.Map(ctx, client.LoadBalanced(), total, []string{"numbers"})),
		"another name":                second(cluster.Pull[int](ctx, all, "nothing")),
		"another type":                second(cluster.Pull[[]int](ctx, all, "numbers")),
		"a task's other type":         second(parade.Map(ctx, one, total, []string{"numbers"}, parade.With("numbers", 1))),
		"deleting nothing":            cluster.Delete(ctx, all, "nothing"),
	} {
		if !errors.Is(err, parade.ErrNoValue) {
			t.Errorf("%s: %v, want ErrNoValue", name, err)
		}
	}
	if err := cluster.Push(ctx, all, "channel", make(chan int)); !errors.Is(err, parade.ErrEncode) {
		t.Errorf("a channel: %v, want ErrEncode", err)
	}
	if err := cluster.Delete(ctx, one, "numbers"); err != nil {
		t.Error(err)
	}
	if _, err := cluster.Apply(ctx, all, total, "numbers", parade.CollectErrors()); !errors.Is(err, parade.ErrNoValue) {
		t.Errorf("after Delete at one engine: %v", err)
	}
	// A load-balanced view has values of its own.
	some := client.LoadBalanced(engines[0].ID, engines[2].ID)
	if err := cluster.Push(ctx, some, "numbers", []float64{4, 5}); err != nil {
		t.Fatal(err)
	}
	nine, err := parade.Map(ctx, some, total, slices.Repeat([]string{"numbers"}, 20))
	if err != nil || slices.Min(nine) != 9 || slices.Max(nine) != 9 {
		t.Errorf("the load-balanced view's sums are %v, %v", nine, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestScatterGather: parts are consecutive, as equal as can be, and come together again.
func TestScatterGather(t *testing.T) {
	_, _, client := stage(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	view := client.Direct()
	for _, test := range []struct {
		n     int
		parts []int
	}{{0, []int{0, 0, 0}}, {2, []int{1, 1, 0}}, {11, []int{4, 4, 3}}, {300_000, []int{100_000, 100_000, 100_000}}} {
		numbers := counted(test.n)
		if err := cluster.Scatter(ctx, view, "part", numbers); err != nil {
			t.Fatal(err)
		}
		parts, err := cluster.Pull[[]float64](ctx, view, "part")
		var sizes []int
		for _, p := range parts {
			sizes = append(sizes, len(p))
		}
		if err != nil || !slices.Equal(sizes, test.parts) {
			t.Errorf("%d numbers: parts of %v, want %v: %v", test.n, sizes, test.parts, err)
		}
		sums, err := cluster.Apply(ctx, view, total, "part")
		if err != nil || sumOf(sums) != sumOf(numbers) {
			t.Errorf("%d numbers: the parts' sums are %v, want together %v: %v", test.n, sums, sumOf(numbers), err)
		}
		back, err := cluster.Gather[float64](ctx, view, "part")
		if diff := cmp.Diff(numbers, back); err != nil || test.n > 0 && diff != "" {
			t.Errorf("%d numbers: gathered %d, %v", test.n, len(back), err)
		}
	}
}

// TestScatterAgain: a value that could not be stored is stored by the next try, and stays.
func TestScatterAgain(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	view, numbers := l.client.Direct(), counted(100)
	if err := cluster.Push(ctx, view, "other", 1); err != nil { // makes the queue
		t.Fatal(err)
	}
	gone, end := context.WithCancel(ctx)
	end()
	for { // until it comes so far
		err := cluster.Scatter(gone, view, "part", numbers)
		if err == nil {
			t.Fatal("a value is stored after its context")
		}
		if strings.Contains(err.Error(), "storing") {
			break
		}
	}
	if err := cluster.Scatter(ctx, view, "part", numbers); err != nil {
		t.Fatal(err)
	}
	for range 20 { // each is a user of it for a moment
		back, err := cluster.Gather[float64](ctx, view, "part")
		if diff := cmp.Diff(numbers, back); err != nil || diff != "" {
			t.Fatalf("gathered %d, %v", len(back), err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestExecute: results stay, are found by later tasks of their engine, and come when they
// are pulled.
func TestExecute(t *testing.T) {
	_, _, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	view := client.Direct()
	for _, n := range []int{3, 200_000} {
		var report parade.Report
		if err := cluster.Execute(ctx, view, "series", series, n, parade.WithReport(&report)); err != nil {
			t.Fatal(err)
		}
		if report.BytesIn > 10_000 {
			t.Errorf("%d bytes came for %d numbers that should stay", report.BytesIn, n)
		}
		sums, err := cluster.Apply(ctx, view, total, "series")
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range client.Engines() {
			if want := float64(e.PID) + sumOf(counted(n)); sums[i] != want {
				t.Errorf("engine %d: the sum is %v, want %v", i, sums[i], want)
			}
		}
		pulled, err := cluster.Pull[[]float64](ctx, view, "series")
		if err != nil || len(pulled) != 2 || len(pulled[1]) != n || pulled[1][0] != float64(client.Engines()[1].PID) {
			t.Errorf("pulled %d slices, %v", len(pulled), err)
		}
	}
	err := cluster.Execute(ctx, view, "failed", parade.Bind(shift, 10), 3)
	if !errors.Is(err, errThree) {
		t.Errorf("the error is %v, want that of the task", err)
	}
	if _, err := cluster.Pull[int](ctx, view, "failed"); !errors.Is(err, parade.ErrNoValue) {
		t.Errorf("after a failure: %v, want ErrNoValue", err)
	}
	if err := cluster.Execute(ctx, client.LoadBalanced(), "x", series, 3); err == nil {
		t.Error("Execute takes a load-balanced view")
	}
}

// TestValuesSurvive: values outlive engines and the controller; the store has each once, and
// nothing when nobody has it any more.
func TestValuesSurvive(t *testing.T) {
	ctl, actors, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	view := client.LoadBalanced()
	numbers := counted(500_000) // 4 MB
	want := sumOf(numbers)
	for _, name := range []string{"one", "two", "one"} {
		if err := cluster.Push(ctx, view, name, numbers); err != nil {
			t.Fatal(err)
		}
	}
	if size := storeSize(t, ctl); size > 7<<20 {
		t.Errorf("the store has %d bytes for a value of 4 MB that was pushed three times", size)
	}
	check := func() {
		t.Helper()
		sums, err := parade.Map(ctx, view, total, []string{"one", "two", "one", "two"}, parade.BatchSize(1))
		if err != nil || !slices.Equal(sums, []float64{want, want, want, want}) {
			t.Fatalf("the sums are %v, %v", sums, err)
		}
	}
	check()
	for _, a := range actors {
		a.kill(0)
		check()
	}
	ctl.kill(50 * time.Millisecond)
	check()
	if back, err := cluster.Pull[[]float64](ctx, view, "two"); err != nil || !slices.Equal(back[0], numbers) {
		t.Errorf("pulled after the controller was started again: %v", err)
	}
	// A call that runs keeps what is replaced meanwhile.
	slow := parade.Go(ctx, view, totalLater, "one")
	time.Sleep(100 * time.Millisecond)
	if err := cluster.Push(ctx, view, "one", []float64{1}); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Delete(ctx, view, "two"); err != nil {
		t.Fatal(err)
	}
	if sum, err := slow.Wait(ctx); err != nil || sum != want {
		t.Errorf("the call that ran meanwhile: %v, %v, want %v", sum, err, want)
	}
	for deadline := time.Now().Add(20 * time.Second); storeSize(t, ctl) > 1<<20; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the store still has %d bytes", storeSize(t, ctl))
		}
	}
}

var totalLater = parade.FuncContext("cluster.totalLater", func(ctx context.Context, name string) (float64, error) {
	time.Sleep(500 * time.Millisecond)
	return total.Call(ctx, name)
})

// storeSize is what the values of all queues come to.
func storeSize(t *testing.T, ctl *actor) (size uint64) {
	t.Helper()
	conn, err := cluster.Load(filepath.Join(ctl.folder, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := conn.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := queue.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	streams := js.ListStreams(t.Context())
	for s := range streams.Info() {
		if strings.HasPrefix(s.Config.Name, "OBJ_"+queue.Values("")) {
			size += s.State.Bytes
		}
	}
	if streams.Err() != nil {
		t.Fatal(streams.Err())
	}
	return size
}

// TestValueGone: a call whose value has been removed from the store fails, and does not wait for it.
func TestValueGone(t *testing.T) {
	t.Parallel()
	l, err := openLab(t.Context(), t.TempDir(), t.TempDir(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	view := l.client.Direct()
	if err := cluster.Push(ctx, view, "numbers", counted(1000)); err != nil {
		t.Fatal(err)
	}
	conn, err := cluster.Load(l.controller.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Look(ctx, conn)
	if err != nil || len(s.Queues) != 1 {
		t.Fatalf("%d queues, %v", len(s.Queues), err)
	}
	if err := queue.DropValues(ctx, store(t, conn), s.Queues[0].ID, "0", nil); err != nil {
		t.Fatal(err)
	}
	if sums, err := cluster.Apply(ctx, view, total, "numbers"); !errors.Is(err, parade.ErrNoValue) || !strings.Contains(err.Error(), "numbers") {
		t.Errorf("the sums are %v, %v; want ErrNoValue and the name", sums, err)
	}
}
