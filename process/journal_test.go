//go:build unix

package process_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"golang.org/x/sys/unix"
)

// The program that is killed in these tests. Its environment says what it does.
const (
	journalDir        = "PARADE_TEST_JOURNAL"    // folder of the journal and of the tasks' effects
	journalGeneration = "PARADE_TEST_GENERATION" // how many ran before
	journalExecutor   = "PARADE_TEST_EXECUTOR"
	journalTasks      = "PARADE_TEST_TASKS"
	journalLimit      = "PARADE_TEST_LIMIT" // bytes of a file
)

// effect leaves a line in a file each time that it runs, with a number that no other run
// has, which is also its result.
var effect = parade.Func2("journal.effect", func(dir string, i int) (uint64, error) {
	var b [8]byte
	if _, err := crand.Read(b[:]); err != nil {
		return 0, err
	}
	once := binary.LittleEndian.Uint64(b[:])
	f, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %d %d\n", os.Getenv(journalGeneration), i, once); err != nil {
		return 0, err
	}
	time.Sleep(time.Millisecond)
	return once, nil
})

func init() { roles["journal"] = journalProgram }

// journalProgram maps or streams effect over its inputs and prints the results.
func journalProgram() error {
	dir := os.Getenv(journalDir)
	generation, err1 := strconv.Atoi(os.Getenv(journalGeneration))
	tasks, err2 := strconv.Atoi(os.Getenv(journalTasks))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if limit, err := strconv.ParseUint(os.Getenv(journalLimit), 10, 64); err == nil {
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	ex, err := parade.Open(ctx, os.Getenv(journalExecutor))
	if err != nil {
		return err
	}
	defer ex.Close()
	f, keep := parade.Bind(effect, dir), parade.Journal(filepath.Join(dir, "journal"))
	var out []uint64
	if generation%2 == 0 {
		if out, err = parade.Map(ctx, ex, f, numbers(tasks), keep); err != nil {
			return err
		}
	} else {
		for r := range parade.Stream(ctx, ex, f, slices.Values(numbers(tasks)), keep) {
			if r.Err != nil {
				return r.Err
			}
			out = append(out, r.Value)
		}
	}
	for i, v := range out {
		fmt.Println(i, v)
	}
	return nil
}

// journalRun is a folder with a journal, and what is known of it.
type journalRun struct {
	t          *testing.T
	dir        string
	executor   string
	tasks      int
	generation int
	kept       map[int]uint64 // in the journal before the present generation
}

func newJournalRun(t *testing.T, executor string, tasks int) *journalRun {
	r := &journalRun{t: t, dir: t.TempDir(), executor: executor, tasks: tasks, kept: map[int]uint64{}}
	if err := os.WriteFile(filepath.Join(r.dir, "effects"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// start starts the next generation of the program.
func (r *journalRun) start(stdout, stderr io.Writer, env ...string) *exec.Cmd {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	r.generation++
	cmd := exec.CommandContext(r.t.Context(), self)
	cmd.Env = append(os.Environ(), roleVariable+"=journal", journalDir+"="+r.dir, journalExecutor+"="+r.executor,
		fmt.Sprintf("%s=%d", journalGeneration, r.generation), fmt.Sprintf("%s=%d", journalTasks, r.tasks))
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return cmd
}

func (r *journalRun) effects() []byte {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "effects"))
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

var entryPattern = regexp.MustCompile(`(?m)^\{"crc":"[0-9a-f]{8}","job":1,"index":(\d+),"input":"[0-9a-f]{32}","result":"([^"]*)"\}$`)

// check looks at journal and effects when a generation has ended.
func (r *journalRun) check() {
	r.t.Helper()
	journal, err := os.ReadFile(filepath.Join(r.dir, "journal"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	now := map[int]uint64{}
	for _, m := range entryPattern.FindAllSubmatch(journal, -1) {
		i, err1 := strconv.Atoi(string(m[1]))
		raw, err2 := base64.StdEncoding.DecodeString(string(m[2]))
		if err := errors.Join(err1, err2); err != nil || len(raw) != 8 {
			r.t.Fatalf("the line %q: %v", m[0], err)
		}
		if _, twice := now[i]; twice {
			r.t.Fatalf("generation %d: input %d is twice in the journal", r.generation, i)
		}
		now[i] = binary.LittleEndian.Uint64(raw)
	}
	for i, v := range r.kept {
		if now[i] != v {
			r.t.Fatalf("generation %d: the journal had %d for input %d, and has %d", r.generation, v, i, now[i])
		}
	}
	left := map[uint64]int{} // how often a result was left as an effect
	for line := range bytes.Lines(r.effects()) {
		var generation, i int
		var once uint64
		if _, err := fmt.Sscanf(string(line), "%d %d %d\n", &generation, &i, &once); err != nil {
			r.t.Fatalf("effect %q: %v", line, err)
		}
		left[once]++
		if _, known := r.kept[i]; known && generation == r.generation {
			r.t.Fatalf("generation %d computed input %d, which was in the journal", generation, i)
		}
	}
	for i, v := range now {
		if left[v] != 1 {
			r.t.Fatalf("generation %d: the result of input %d is in %d effects, want 1", r.generation, i, left[v])
		}
	}
	r.kept = now
}

// finish runs the last generation, and wants it to have all results from the journal.
func (r *journalRun) finish() {
	r.t.Helper()
	var out, stderr bytes.Buffer
	if err := r.start(&out, &stderr).Wait(); err != nil {
		r.t.Fatalf("the last generation: %v\n%s", err, &stderr)
	}
	r.check()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != r.tasks || len(r.kept) != r.tasks {
		r.t.Fatalf("%d results, and %d in the journal, want %d", len(lines), len(r.kept), r.tasks)
	}
	for i, line := range lines {
		if want := fmt.Sprint(i, " ", r.kept[i]); line != want {
			r.t.Fatalf("result %q, want %q", line, want)
		}
	}
}

func TestJournalSurvivesKills(t *testing.T) {
	t.Parallel()
	const kills = 20
	for _, executor := range []string{"serial", "threads:2", "processes:2"} {
		t.Run(executor, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			r := newJournalRun(t, executor, 500)
			for kill := range kills {
				before := len(r.effects())
				var stderr bytes.Buffer
				program := r.start(nil, &stderr)
				ended := make(chan error, 1)
				go func() { ended <- program.Wait() }()
				// Most die while they work, some before.
				if kill%4 != 0 {
					for len(r.effects()) == before && len(ended) == 0 {
						time.Sleep(time.Millisecond)
					}
				}
				time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
				_ = program.Process.Kill() // it may have ended
				if err := <-ended; err != nil && !strings.Contains(err.Error(), "killed") {
					t.Fatalf("generation %d: %v\n%s", r.generation, err, &stderr)
				}
				r.check()
			}
			t.Logf("%d of %d results were there after %d kills", len(r.kept), r.tasks, kills)
			r.finish()
		})
	}
}

func TestJournalOnFullDisk(t *testing.T) {
	t.Parallel()
	for _, executor := range []string{"serial", "threads:2", "processes:2"} {
		t.Run(executor, func(t *testing.T) {
			t.Parallel()
			r := newJournalRun(t, executor, 60)
			for _, limit := range []int{300, 600, 3000, 5000} {
				var stderr bytes.Buffer
				if err := r.start(nil, &stderr, fmt.Sprintf("%s=%d", journalLimit, limit)).Wait(); err == nil || !strings.Contains(stderr.String(), unix.EFBIG.Error()) {
					t.Fatalf("with at most %d bytes in a file: %v\n%s", limit, err, &stderr)
				}
				r.check()
			}
			if n := len(r.kept); n < 10 || n > 50 {
				t.Errorf("%d results fitted", n)
			}
			r.finish()
		})
	}
}

func TestJournalOfTwoPrograms(t *testing.T) {
	t.Parallel()
	r := newJournalRun(t, "threads:2", 100_000)
	first := r.start(nil, nil)
	for len(r.effects()) == 0 {
		time.Sleep(time.Millisecond)
	}
	var stderr bytes.Buffer
	second := r.start(nil, &stderr)
	err := second.Wait()
	for _, part := range []string{filepath.Join(r.dir, "journal"), fmt.Sprintf("in use by process %d on ", first.Process.Pid)} {
		if err == nil || !strings.Contains(stderr.String(), part) {
			t.Errorf("the second program: %v, want %q in\n%s", err, part, &stderr)
		}
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // its context was cancelled
	r.check()
}
