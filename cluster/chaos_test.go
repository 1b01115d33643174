//go:build unix

package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/command"
)

// The chaos needs processes that can be killed: this binary starts itself again and
// says by roleVariable what it is to be.
const roleVariable = "PARADE_TEST_ROLE"

// playRole never returns when this process was started for a role.
func playRole() {
	role := os.Getenv(roleVariable)
	if role == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var err error
	switch role {
	case "controller":
		var c *controller.Controller
		c, err = controller.Start(ctx, controller.Config{Name: "lab", Folder: os.Getenv("PARADE_TEST_FOLDER"), Log: quiet})
		if err == nil {
			fmt.Println("ready")
			<-ctx.Done()
			err = c.Close()
		}
	case "engine":
		var conn cluster.Connection
		conn, err = cluster.Load(filepath.Join(os.Getenv("PARADE_TEST_FOLDER"), "engine.json"))
		if err == nil {
			err = engine.Run(ctx, engine.Config{Connection: conn, Slots: 2, Cache: os.Getenv("PARADE_TEST_CACHE"), Log: quiet})
		}
	case "client":
		err = playClient(ctx)
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "role %s: %v\n", role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playClient is a client, of cluster lab of this user. It checks its results itself.
func playClient(ctx context.Context) error {
	ex, err := parade.Open(ctx, "cluster:lab")
	if err != nil {
		return err
	}
	defer ex.Close()
	switch what := os.Getenv("PARADE_TEST_WORK"); what {
	case "large":
		big := make([]byte, 20<<20)
		for i := range big {
			big[i] = byte(i * i >> 7)
		}
		in := make([]int, 16)
		for i := range in {
			in[i] = i << 20
		}
		out, err := parade.Map(ctx, ex, parade.Bind(part, big), in)
		if err != nil {
			return err
		}
		for i, v := range out {
			if !slices.Equal(v, big[in[i]:][:1<<20]) {
				return fmt.Errorf("part %d is another", i)
			}
		}
		again, err := parade.Map(ctx, ex, late, []delayed{{Value: out[3]}, {Value: big}})
		if err == nil && (!slices.Equal(again[0], out[3]) || !slices.Equal(again[1], big)) {
			err = errors.New("large inputs come back as others")
		}
		return err
	default:
		what, job := strings.CutPrefix(what, "job ")
		n, err := strconv.Atoi(what)
		if err != nil {
			return fmt.Errorf("no work %q", what)
		}
		if job {
			return playJob(ctx, n)
		}
		in := make([]int, n)
		for i := range in {
			in[i] = rand.IntN(8)
		}
		var r parade.Report
		out, err := parade.Map(ctx, ex, doze, in, parade.Retries(1), parade.WithReport(&r))
		if err != nil {
			return err
		}
		return dozed(in, out, r)
	}
}

// playJob submits the job "study", unless it is there, and waits for its results.
func playJob(ctx context.Context, n int) error {
	in := make([]int, n)
	for i := range in {
		in[i] = i % 8
	}
	conn, err := cluster.Find("lab")
	if err != nil {
		return err
	}
	c, err := cluster.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer c.Close()
	jobs, err := cluster.Jobs(ctx, conn)
	if err != nil {
		return err
	}
	if len(jobs) == 1 && !jobs[0].Complete { // this process's forerunner died in the middle
		if err := cluster.RemoveJob(ctx, conn, "study"); err != nil {
			return err
		}
		jobs = nil
	}
	if len(jobs) == 0 {
		if err := cluster.Submit(ctx, c, "study", doze, in, []parade.Option{parade.Retries(1)}); err != nil {
			return err
		}
	}
	var r parade.Report
	out, err := cluster.Attach(ctx, c, "study", doze, parade.WithReport(&r))
	if err != nil {
		return err
	}
	return dozed(in, out, r)
}

// part cuts 1 MiB out of a large value.
var part = parade.Pure2("cluster.part", func(big []byte, at int) []byte { return big[at:][:1<<20] })

// dozed compares the results of doze with its inputs.
func dozed(in, out []int, r parade.Report) error {
	for i, v := range out {
		if v != 7*in[i]+1 {
			return fmt.Errorf("result %d is %d, want %d", i, v, 7*in[i]+1)
		}
	}
	if len(out) != len(in) || r.Done != len(in) || r.Failed != 0 {
		return fmt.Errorf("%d results, %d done and %d failed of %d", len(out), r.Done, r.Failed, len(in))
	}
	return nil
}

// actor is a process in a role, which is started again when it has been killed.
type actor struct {
	t             testing.TB
	role          string
	folder, cache string
	mu            sync.Mutex
	cmd           *exec.Cmd
}

func (a *actor) start() {
	a.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+a.role, "PARADE_TEST_FOLDER="+a.folder, "PARADE_TEST_CACHE="+a.cache)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		a.t.Error(err)
		return
	}
	a.mu.Lock()
	a.cmd = cmd
	a.mu.Unlock()
}

func (a *actor) signal(s syscall.Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cmd != nil {
		_ = a.cmd.Process.Signal(s)
	}
}

// kill ends the process at once, and starts another after a while.
func (a *actor) kill(after time.Duration) {
	a.signal(syscall.SIGKILL)
	_ = a.cmd.Wait()
	time.Sleep(after)
	a.start()
}

func (a *actor) end() {
	if a.cmd == nil { // it has ended
		return
	}
	a.signal(syscall.SIGCONT)
	a.signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = a.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		a.t.Errorf("the %s does not end", a.role)
		a.signal(syscall.SIGKILL)
		<-done
	}
}

// stage starts a controller and engines, and connects.
func stage(t testing.TB, engines int) (ctl *actor, all []*actor, client *cluster.Client) {
	t.Helper()
	return stageAt(t, t.TempDir(), engines)
}

func stageAt(t testing.TB, folder string, engines int) (ctl *actor, all []*actor, client *cluster.Client) {
	t.Helper()
	cache := t.TempDir()
	ctl = &actor{t: t, role: "controller", folder: folder, cache: cache}
	ctl.start()
	t.Cleanup(ctl.end)
	file := filepath.Join(folder, "controller.json") // the last that it writes
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for range engines {
		e := &actor{t: t, role: "engine", folder: folder, cache: cache}
		e.start()
		t.Cleanup(e.end)
		all = append(all, e)
	}
	conn, err := cluster.Load(filepath.Join(folder, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	if client, err = cluster.Connect(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := client.WaitForEngines(ctx, engines); err != nil {
		t.Fatal(err)
	}
	return ctl, all, client
}

// doze takes some time, and now and then fails at its first attempt.
var doze = parade.FuncContext("cluster.doze", func(ctx context.Context, ms int) (int, error) {
	time.Sleep(time.Duration(ms) * time.Millisecond)
	if task, _ := parade.TaskOf(ctx); ms == 3 && task.Attempt == 1 {
		return 0, errors.New("not at the first attempt")
	}
	return 7*ms + 1, nil
})

// chaosTasks is how many tasks there are in a chaos: usual ones, or as PARADE_CHAOS_TASKS says.
func chaosTasks(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("PARADE_CHAOS_TASKS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// chaosTime is a time of a chaos: the usual, or what a variable says.
func chaosTime(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// strike kills an engine about every pause, the controller not more often than every gap, and
// stops an engine now and then, for PARADE_CHAOS_STOP. The function that it returns ends that and says how often it struck.
func strike(t *testing.T, ctl *actor, engines []*actor, pause, gap time.Duration) (end func() map[string]int) {
	frozen := chaosTime(t, "PARADE_CHAOS_STOP", 3*time.Second)
	over := make(chan struct{})
	struck := map[string]int{}
	var work sync.WaitGroup
	work.Go(func() {
		awake := slices.Clone(engines)
		woken := make(chan *actor, len(engines))
		var struckController time.Time
		for round := 0; ; round++ {
			select {
			case <-over:
				return
			case e := <-woken:
				awake = append(awake, e)
				continue
			case <-time.After(pause/3 + rand.N(4*pause/3)):
			}
			i := rand.IntN(len(awake))
			switch {
			case round%5 == 2 && time.Since(struckController) > gap:
				struckController = time.Now()
				struck["controller"]++
				ctl.kill(100 * time.Millisecond)
			case round%5 == 4 && len(awake) == len(engines):
				struck["stopped"]++
				e := awake[i]
				awake = slices.Delete(awake, i, i+1)
				e.signal(syscall.SIGSTOP)
				work.Go(func() {
					select {
					case <-over:
					case <-time.After(frozen):
					}
					e.signal(syscall.SIGCONT)
					woken <- e
				})
			default:
				struck["engine"]++
				awake[i].kill(50 * time.Millisecond)
			}
		}
	})
	end = sync.OnceValue(func() map[string]int {
		close(over)
		work.Wait()
		return struck
	})
	t.Cleanup(func() { end() })
	return end
}

// TestChaos kills what it can while a job runs, and wants every result.
func TestChaos(t *testing.T) {
	n := chaosTasks(t, 3000)
	ctl, engines, client := stage(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(n)*10*time.Millisecond)
	defer cancel()
	in := make([]int, n)
	for i := range in {
		in[i] = rand.IntN(8)
	}
	struck := strike(t, ctl, engines, 300*time.Millisecond, 0)
	start := time.Now()
	var r parade.Report
	out, err := parade.Map(ctx, client.LoadBalanced(), doze, in, parade.Retries(1), parade.WithReport(&r))
	took := time.Since(start)
	kills := struck()
	if err != nil {
		t.Fatalf("after %v and %v: %v", took, kills, err)
	}
	if err := dozed(in, out, r); err != nil {
		t.Error(err)
	}
	t.Logf("%d tasks in %v, killed or stopped: %v", n, took, kills)
}

// tormented runs a client until it has come to its end, and kills it up to most times: the
// first soon, the others after about mean.
func tormented(t *testing.T, most int, mean time.Duration, client func() *exec.Cmd) (kills int) {
	t.Helper()
	for {
		var said bytes.Buffer
		cmd := client()
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var moment <-chan time.Time
		if kills == 0 {
			moment = time.After(200*time.Millisecond + rand.N(time.Second))
		} else if kills < most {
			moment = time.After(200*time.Millisecond + rand.N(2*mean))
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("after %d kills the client ends with %v\n%s", kills, err, &said)
			}
			return kills
		case <-moment:
		}
		kills++
		_ = cmd.Process.Kill()
		<-ended
	}
}

// TestChaosJob: besides, the client of a named job is killed, while it submits and while it
// waits, and another attaches.
func TestChaosJob(t *testing.T) {
	t.Parallel()
	n := chaosTasks(t, 1500)
	s := newPlace(t)
	ctl, engines, _ := stageAt(t, s.folder(), 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(n)*10*time.Millisecond)
	defer cancel()
	start := time.Now()
	struck := strike(t, ctl, engines, 300*time.Millisecond, 0)
	died := tormented(t, n/400, 2*time.Second, func() *exec.Cmd { return s.client(ctx, fmt.Sprint("job ", n)) })
	took := time.Since(start)
	t.Logf("%d tasks in %v, killed or stopped: %v, and %d clients", n, took, struck(), died)
	if died == 0 {
		t.Error("no client was killed; give it more tasks")
	}
}

// TestChaosCommands: the same for commands, whose client goes on by its journal.
func TestChaosCommands(t *testing.T) {
	t.Parallel()
	n := chaosTasks(t, 1500)
	s := newPlace(t)
	ctl, engines, _ := stageAt(t, s.folder(), 3)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "list"), strings.Join(numbers(n), "\n")+"\n", 0o600)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(n)*50*time.Millisecond)
	defer cancel()
	start := time.Now()
	// Each dead client leaves a queue, which a controller removes once it has missed the client
	// for 30 s; until then engines go on with what is in it. A command takes longer than a call,
	// and one that has cost four engines is set aside.
	struck := strike(t, ctl, engines, time.Second, 40*time.Second)
	died := tormented(t, n/400, 4*time.Second, func() *exec.Cmd {
		cmd := s.command(ctx, s.parade, "run", "--no-progress", "--on", "cluster:lab", "--joblog", "log", "--resume", "--output", "out/{}",
			`echo {} >> effects; { echo begin {}; echo end {}; } > {out}`, "::::", "list")
		cmd.Dir = dir
		return cmd
	})
	kills := struck()
	took := time.Since(start)

	done := map[int]int{} // by the joblog
	for entry, err := range command.ReadJoblog(filepath.Join(dir, "log")) {
		if err != nil {
			t.Fatal(err)
		}
		if !entry.OK() {
			t.Errorf("the joblog has %+v", entry)
		}
		done[entry.Seq]++
	}
	effects := map[int]int{}
	text, err := os.ReadFile(filepath.Join(dir, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		i, _ := strconv.Atoi(word)
		effects[i]++
	}
	again := 0
	for i := 1; i <= n; i++ {
		if done[i] != 1 || effects[i] < 1 {
			t.Errorf("task %d is done %d times, and has run %d times", i, done[i], effects[i])
		}
		again += effects[i] - 1
		text, err := os.ReadFile(filepath.Join(dir, "out", strconv.Itoa(i)))
		if want := fmt.Sprintf("begin %d\nend %[1]d\n", i); string(text) != want {
			t.Errorf("output %d is %q, %v; want %q", i, text, err, want)
		}
	}
	if died == 0 {
		t.Error("no client was killed; give it more commands")
	}
	if len(done) != n || len(effects) != n {
		t.Errorf("%d tasks in the joblog and %d that ran, want %d", len(done), len(effects), n)
	}
	t.Logf("%d commands in %v, %d of them more than once, killed or stopped: %v, and %d clients", n, took, again, kills, died)
}

// numbers are those from 1 to n, as words.
func numbers(n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = strconv.Itoa(i + 1)
	}
	return words
}
