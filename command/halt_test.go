package command_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/command"
)

func TestParseHalt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want command.Halt
		long string // if not text
	}{
		{"never", command.Halt{}, ""},
		{"0", command.Halt{}, "never"},
		{"1", command.Halt{When: command.HaltSoon, Why: command.HaltFail, Number: 1}, "soon,fail=1"},
		{"2", command.Halt{When: command.HaltNow, Why: command.HaltFail, Number: 1}, "now,fail=1"},
		{"-1", command.Halt{When: command.HaltSoon, Why: command.HaltSuccess, Number: 1}, "soon,success=1"},
		{"-2", command.Halt{When: command.HaltNow, Why: command.HaltSuccess, Number: 1}, "now,success=1"},
		{"5%", command.Halt{When: command.HaltSoon, Why: command.HaltFail, Number: 5, Percent: true}, "soon,fail=5%"},
		{"now,success=3", command.Halt{When: command.HaltNow, Why: command.HaltSuccess, Number: 3}, ""},
		{"soon,done=200%", command.Halt{When: command.HaltSoon, Why: command.HaltDone, Number: 200, Percent: true}, ""},
		{"soon,fail=0", command.Halt{When: command.HaltSoon, Why: command.HaltFail}, ""},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got, err := command.ParseHalt(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.long == "" {
				test.long = test.text
			}
			if got.String() != test.long {
				t.Errorf("String is %q, want %q", got, test.long)
			}
			if again, err := command.ParseHalt(got.String()); err != nil || again != got {
				t.Errorf("%q is read as %v, error %v", got, again, err)
			}
		})
	}
}

func TestParseHaltRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "3", "-3", "now", "now,", "now,fail", "now,fail=", "now,fail=1.5", "now,fail=-1", "now,fail=+1", "soon,lost=1",
		"later,fail=1", "soon,fail=99999999999999999999", "%", "5.5%", "never,fail=1", "now,fail=%", " now,fail=1",
		"now,fail=1,x", "soon=fail=2", // which GNU parallel reads somehow
	} {
		if h, err := command.ParseHalt(text); !errors.Is(err, command.ErrHalt) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is %v, error %v", text, h, err)
		}
	}
}

// halt.tsv says how many jobs GNU parallel has run.
func TestHaltAsGNUParallel(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/halt.tsv")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(string(data)) {
		columns := strings.Split(strings.TrimSpace(line), "\t")
		exits := strings.Fields(columns[1])
		h, err := command.ParseHalt(columns[0])
		if err != nil {
			if columns[0] != "now,fail=1,x" && columns[2] != "-1" {
				t.Error(err)
			}
			continue
		}
		tally := command.Tally{Total: len(exits)}
		for _, exit := range exits {
			tally.Done++
			if exit != "0" {
				tally.Failed++
			}
			if h.After(exit != "0", tally) != command.HaltNever {
				break
			}
		}
		want := columns[2]
		if len(exits) == 100 && columns[0] == "soon,done=7%" {
			want = "7" // 100*0.07 is more than 7 in floating point
		}
		if got := len(exits[:tally.Done]); want != strconv.Itoa(got) {
			t.Errorf("--halt %s with %d exit values %.20s: %d jobs are run, want %s", h, len(exits), columns[1], got, want)
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("only %d cases were compared", compared)
	}
}

func TestHaltDecides(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, halt string
		failed     bool
		tally      command.Tally
		want       command.HaltWhen
	}{
		{"never", "never", true, command.Tally{Done: 9, Failed: 9, Total: 9}, command.HaltNever},
		{"failures that are enough, after a success", "now,fail=1", false, command.Tally{Done: 2, Failed: 1}, command.HaltNever},
		{"failures that are enough", "now,fail=2", true, command.Tally{Done: 2, Failed: 2}, command.HaltNow},
		{"successes of an earlier run, after a failure", "soon,success=3", true, command.Tally{Done: 4, Failed: 1}, command.HaltNever},
		{"successes of an earlier run, after another", "soon,success=3", false, command.Tally{Done: 5, Failed: 1}, command.HaltSoon},
		{"a percentage of unknown many", "now,done=1%", true, command.Tally{Done: 1000, Failed: 1}, command.HaltNever},
		{"a percentage nearly reached", "now,done=33%", true, command.Tally{Done: 32, Total: 100}, command.HaltNever},
		{"a percentage just reached", "now,done=7%", true, command.Tally{Done: 7, Total: 100}, command.HaltNow},
		{"numbers beyond 32 bits", "now,done=4000000000%", true, command.Tally{Done: 1 << 40, Total: 1 << 40}, command.HaltNever},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, err := command.ParseHalt(test.halt)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.After(test.failed, test.tally); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
			if h.NeedsTotal() != strings.HasSuffix(test.halt, "%") {
				t.Errorf("NeedsTotal is %t", h.NeedsTotal())
			}
		})
	}
}
