package command

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parade-go/parade/internal/wholefile"
)

// checkedOutput is a file that a task must make.
type checkedOutput struct {
	name      string
	temporary string // "" while there is none
}

func (t *task) names() []string {
	var names []string
	for _, o := range t.outputs {
		names = append(names, o.name)
	}
	return names
}

// prepare finds a temporary name.
func (o *checkedOutput) prepare() error {
	dir := filepath.Dir(o.name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("output %s: %w", o.name, err)
	}
	wholefile.Sweep(dir)
	o.temporary = wholefile.Temporary(o.name)
	return nil
}

// size is the size of a file, or for a folder the number of its entries.
func size(name string) (int64, fs.FileInfo, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, nil, err
	}
	if !info.IsDir() {
		return info.Size(), info, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	entries, err := f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return int64(len(entries)), info, err
}

// accept checks what the command has made and gives it its own names. What is wrong
// with it becomes the result's fault; an error means that ctx ended.
func (t *task) accept(ctx context.Context, stderr *os.File, attempt int) error {
	for _, o := range t.outputs {
		switch n, _, err := size(o.temporary); {
		case errors.Is(err, fs.ErrNotExist):
			t.fault(fmt.Errorf("the command ended with 0 but has not made its output %s", o.name))
			return nil
		case err != nil:
			t.fault(fmt.Errorf("output %s: %w", o.name, err))
			return nil
		case n == 0:
			t.fault(fmt.Errorf("the command ended with 0 but its output %s is empty", o.name))
			return nil
		}
	}
	if ok, err := t.check(ctx, stderr, attempt, t.values()); !ok || err != nil {
		return err
	}
	for i := range t.outputs {
		if err := t.outputs[i].keep(); err != nil {
			t.fault(fmt.Errorf("output %s: %w", t.outputs[i].name, err))
			return nil
		}
	}
	t.result.Outputs = t.names()
	return nil
}

// check runs the Check. If that is not content, or cannot be run, the result has a fault.
func (t *task) check(ctx context.Context, stderr *os.File, attempt int, values Values) (ok bool, err error) {
	if !t.spec.hasCheck() {
		return true, nil
	}
	argv, err := t.spec.Check.Expand(t.in, values)
	if err != nil {
		return false, err
	}
	null, err := nullDevice()
	if err != nil {
		return false, err
	}
	e, err := t.execute(ctx, argv, [3]*os.File{null, stderr, stderr}, attempt)
	if err != nil {
		return false, err
	}
	if e.exit == 0 {
		return true, nil
	}
	why := Result{Exit: e.exit, Signal: e.signal, TimedOut: e.timedOut, Duration: t.spec.Timeout, Fault: e.fault}
	shown, err := t.spec.Check.Expand(t.in, Values{Slot: t.seat.slot, Outputs: t.names(), Scratch: "{scratch}"})
	if err != nil {
		return false, err
	}
	t.fault(fmt.Errorf("the check %s: %s", shorten(Line(shown)), why.Outcome()))
	return false, nil
}

// keep gives a temporary output its own name. It is on the disk before: else a power
// cut could leave the name without the data, and a full network disk often says so
// only now.
func (o *checkedOutput) keep() error {
	f, err := os.Open(o.temporary)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if info.IsDir() {
		return o.keepFolder()
	}
	if err := os.Rename(o.temporary, o.name); err != nil {
		return err
	}
	o.temporary = ""
	return nil
}

// keepFolder puts a folder in the place of an older one, which a rename alone cannot.
func (o *checkedOutput) keepFolder() error {
	old := o.temporary + ".old"
	if err := os.Rename(o.name, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(o.temporary, o.name); err != nil {
		_ = os.Rename(old, o.name)
		return err
	}
	o.temporary = ""
	return os.RemoveAll(old)
}

// removeTemporary removes outputs that were not kept.
func (t *task) removeTemporary() {
	for i := range t.outputs {
		if o := &t.outputs[i]; o.temporary != "" {
			_ = os.RemoveAll(o.temporary)
			o.temporary = ""
		}
	}
}

// isWhole says whether there is nothing to do, as the outputs are there.
func (t *task) isWhole(ctx context.Context) (bool, error) {
	if len(t.outputs) == 0 || t.spec.Force && !t.in.Done {
		return false, nil
	}
	var oldest time.Time
	for _, o := range t.outputs {
		n, info, err := size(o.name)
		if err != nil || n == 0 {
			return false, nil
		}
		if oldest.IsZero() || info.ModTime().Before(oldest) {
			oldest = info.ModTime()
		}
	}
	inputs, err := t.inputs()
	if err != nil {
		return false, err
	}
	for _, name := range inputs {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.ModTime().After(oldest) {
			return false, nil
		}
	}
	t.result.Start = time.Now()
	before := t.result
	null, err := nullDevice()
	if err != nil {
		return false, err
	}
	defer t.leaveScratch()
	if err := t.makeScratch(); err != nil {
		return false, nil // which the attempt will say
	}
	values := Values{Slot: t.seat.slot, Outputs: t.result.Outputs, Scratch: t.scratch}
	if ok, err := t.check(ctx, null, 1, values); !ok || err != nil {
		t.result = before
		return false, err
	}
	t.result.Skipped, t.result.Before = true, t.in.Done
	return true, nil
}

// inputs are the files that the task reads, as far as can be told.
func (t *task) inputs() ([]string, error) {
	if len(t.spec.Inputs) > 0 {
		return t.named()
	}
	words := t.in.Args
	if !t.spec.Template.Shell {
		words = append(words[:len(words):len(words)], t.result.Argv[1:]...)
	}
	names := t.seen(words)
	if t.stdin != "" {
		names = append(names, t.stdin)
	}
	return t.exceptOutputs(names), nil
}

// named are the files that Spec.Inputs name.
func (t *task) named() (names []string, err error) {
	for _, of := range t.spec.Inputs {
		name, err := of.Text(t.in, Values{Slot: t.seat.slot})
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// seen are the names by which this process finds what the command calls so.
func (t *task) seen(words []string) (names []string) {
	for _, word := range words {
		if t.dir != "" && !filepath.IsAbs(word) {
			word = filepath.Join(t.dir, word)
		}
		names = append(names, word)
	}
	return names
}

// refuse makes the task fail, without having been started, where a file would be lost.
func (t *task) refuse() (bool, error) {
	why := t.in.Fault
	if why == "" && len(t.outputs) > 0 {
		read, err := t.named()
		if err != nil {
			return false, err
		}
		if len(t.spec.Inputs) == 0 { // then the arguments are
			read = t.seen(t.in.Args)
		}
		if t.stdin != "" {
			read = append(read, t.stdin)
		}
		if i := slices.IndexFunc(read, t.isOutput); i >= 0 {
			why = fmt.Sprintf("its output is its input, %s: give the output another name", read[i])
		}
	}
	if why == "" {
		return false, nil
	}
	t.result.Start = time.Now()
	t.result.Exit, t.result.Fault, t.result.Refused, t.result.Outputs = ExitFault, why, true, nil
	return true, nil
}

// Distinct gives the inputs of a run, and sets Fault for each whose task would make a
// file that the task of an earlier one makes: the second would write over the first, or
// be taken for done. Names are compared as they are, made absolute and clean; files that
// have two names, by a link or as letters' case does not count, are not found. {%} in an
// output stands for the same slot always.
//
// It holds a hash of 64 bits and a number for each output, which takes 70 bytes with what
// the garbage collector leaves lying about, and nothing if there are no Outputs. Two hashes of a million names are the same once in 40 million
// runs; the second task then fails, too.
func Distinct(spec Spec, inputs iter.Seq2[Input, error]) iter.Seq2[Input, error] {
	if len(spec.Outputs) == 0 {
		return inputs
	}
	return func(yield func(Input, error) bool) {
		makers := map[uint64]int{} // numbers of inputs, by what they make
		seed := maphash.MakeSeed()
		wd, err := os.Getwd()
		if err != nil {
			yield(Input{}, fmt.Errorf("command: outputs: %w", err))
			return
		}
		for in, err := range inputs {
			if err == nil && in.Fault == "" {
				in.Fault = spec.claim(in, makers, seed, wd)
			}
			if !yield(in, err) {
				return
			}
		}
	}
}

// claim says why an input cannot have its outputs, "" if it can, and now has.
func (s *Spec) claim(in Input, makers map[uint64]int, seed maphash.Seed, wd string) string {
	hashes := make([]uint64, len(s.Outputs))
	for i, of := range s.Outputs {
		name, err := of.Text(in, Values{Slot: 1})
		if err != nil {
			return "" // which Run says
		}
		absolute := filepath.Clean(name)
		if !filepath.IsAbs(name) {
			absolute = filepath.Join(wd, name)
		}
		hashes[i] = maphash.String(seed, absolute)
		if maker, taken := makers[hashes[i]]; taken {
			return fmt.Sprintf("its output %s is made for input %d already: name outputs by what is different in each input", filepath.Clean(name), maker)
		}
		if slices.Contains(hashes[:i], hashes[i]) {
			return fmt.Sprintf("two of its outputs are the same file %s", filepath.Clean(name))
		}
	}
	for _, h := range hashes {
		makers[h] = in.Seq
	}
	return ""
}

// made tells whether the outputs of an input's task are there, as far as can be told
// without running anything.
func (s *Spec) made(in Input) bool {
	for _, of := range s.Outputs {
		name, err := of.Text(in, Values{Slot: 1})
		if err != nil {
			return false
		}
		if n, _, err := size(name); err != nil || n == 0 {
			return false
		}
	}
	return true
}

// exceptOutputs leaves out what is an output itself, of which the command's words hold
// the name.
func (t *task) exceptOutputs(names []string) []string {
	return slices.DeleteFunc(names, t.isOutput)
}

// isOutput tells whether a name is that of an output.
func (t *task) isOutput(name string) bool {
	name = filepath.Clean(name)
	return slices.ContainsFunc(t.outputs, func(o checkedOutput) bool {
		if o.name == name || filepath.IsAbs(o.name) == filepath.IsAbs(name) {
			return o.name == name
		}
		a, errA := filepath.Abs(o.name)
		b, errB := filepath.Abs(name)
		return errA == nil && errB == nil && a == b
	})
}
