package command

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/parade-go/parade/internal/journal"
)

// JournalSuffix is what the name of a run's journal has beyond that of its joblog.
const JournalSuffix = ".journal"

const journalKind = "parade run 1"

// ErrChanged says that a run cannot be resumed because its command is not the one of
// the journal. The error is a *[ChangedError].
var ErrChanged = errors.New("the command has changed")

// ChangedError says what was run and what is to be run now.
type ChangedError struct {
	Path     string // of the joblog
	Seq      int    // of the first task that differs, where only a joblog tells; else 0
	Was, Now string
}

func (e *ChangedError) Error() string {
	of := ""
	if e.Seq > 0 {
		of = fmt.Sprintf(" of task %d", e.Seq)
	}
	return fmt.Sprintf("command: %s: %v%s since the run that is to be resumed: it was %q and is %q; choose another joblog, or say that what is done shall count all the same", e.Path, ErrChanged, of, e.Was, e.Now)
}

// Is says that it is [ErrChanged].
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

// Resume says which tasks of an earlier run a [Journal] leaves out.
type Resume uint8

const (
	// Anew leaves out none: joblog and journal begin anew.
	Anew Resume = iota
	// SkipEnded leaves out those that ended, failed or not: --resume.
	SkipEnded
	// SkipDone leaves out those that did not fail: --resume-failed.
	SkipDone
)

// String returns the name of the option that chooses it.
func (r Resume) String() string {
	switch r {
	case Anew:
		return "no --resume"
	case SkipEnded:
		return "--resume"
	case SkipDone:
		return "--resume-failed"
	}
	return fmt.Sprintf("Resume(%d)", uint8(r))
}

// JournalOptions says how [OpenJournal] goes on from an earlier run. The zero value
// begins anew.
type JournalOptions struct {
	Resume Resume
	// Changed lets the command differ from that of the earlier run. What is done
	// counts all the same.
	Changed bool
	// DryRun adds nothing to either file: [Journal.Add] is refused.
	DryRun bool
}

// Journal is what a run writes down about the tasks that ended, and what it is resumed
// from. It is two files: a joblog as GNU parallel writes it, for people and other
// programs, and beside it, with [JournalSuffix], one that a kill -9 or a full disk
// cannot damage, by which the joblog is repaired when a run is resumed. Where there is
// only a joblog, of GNU parallel's or one that it went on with, that will do.
//
// # What counts as the same task
//
// A task is known by its arguments. Lines may have been added to the list of inputs,
// removed, or moved: the tasks that the journal has are left out wherever they stand
// now, and the others are run. If the command has {#}, a task that has moved is another
// one. Of equal inputs, as many are left out as there were.
//
// The command belongs to the run as a whole: a changed template, name of an output,
// working directory or standard input is a *[ChangedError], unless
// JournalOptions.Changed says that what is done shall count. Other settings, such as a
// Timeout, may differ.
//
// Of a joblog alone, only the numbers and commands of the tasks are known. They count
// by number, as for GNU parallel, but a command that is not the same, but for its
// quotes, is a *[ChangedError] too.
//
// # Memory
//
// A resumed run holds 16 bytes for each task of the earlier one, half as much again if
// inputs have moved, and some 60 bytes for each that failed; opening takes 8 more for a
// while. A new run holds nothing. To resume 1,000,000 tasks takes some 3 s and, what the
// garbage collector leaves lying about included, 50 MB more than a new run.
//
// Todo, Skip, Has, Left and Moved are for one goroutine; the other methods may be called at
// the same time.
type Journal struct {
	path  string // of the joblog
	opts  JournalOptions
	spec  Spec
	bySeq bool          // the command has {#}
	file  *journal.File // nil where there is only the joblog
	past  past

	adding   sync.Mutex // the order in both files is the same
	joblog   joblogWriter
	specless bool // the inputs are commands from a joblog
	named    bool // hosts have their names

	done, failed int // left out
}

// OpenJournal opens the joblog of a run of spec and the journal beside it, or makes
// them. Another run that has them open is parade.ErrJournalHeld. A file that is neither
// empty nor a joblog is left as it is, and is [ErrJoblog]. What is not a regular file,
// such as /dev/stdout, is written as a joblog, and cannot be resumed from.
//
// With [Anew] the files of an earlier run are begun anew, as GNU parallel does.
func OpenJournal(joblog string, spec Spec, opts JournalOptions) (*Journal, error) {
	return openJournal(joblog, &spec, opts)
}

// OpenFailed opens the journal of an earlier run to run its failed tasks once more, for
// which [Journal.Failed] gives the inputs: --retry-failed. The Spec is that of the run
// or, where there is only a joblog, that of command lines for a shell.
func OpenFailed(joblog string, dryRun bool) (*Journal, Spec, error) {
	j, err := openJournal(joblog, nil, JournalOptions{Resume: SkipDone, Changed: true, DryRun: dryRun})
	if err != nil {
		return nil, Spec{}, err
	}
	return j, j.spec, nil
}

// NameHosts has what is added from now on name the host of each task, this machine, too,
// for which ":" stands otherwise: when tasks run on engines anywhere, the file may be read anywhere.
func (j *Journal) NameHosts() { j.named = true }

// openJournal opens it to run the failed tasks if spec is nil.
func openJournal(path string, spec *Spec, opts JournalOptions) (opened *Journal, err error) {
	j := &Journal{path: path, opts: opts}
	retry := spec == nil
	if !retry {
		j.spec, j.bySeq = *spec, usesSeq(spec)
	}
	defer func() {
		if err != nil {
			j.Close() // the error that there is says more
			opened = nil
		}
	}()
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return j, j.openStream(info)
	case errors.Is(err, os.ErrNotExist) && retry:
		if _, err := os.Stat(path + JournalSuffix); err != nil || opts.DryRun {
			return nil, fmt.Errorf("command: joblog %s: there is none to take failed tasks from: %w", path, os.ErrNotExist)
		}
	case opts.DryRun && opts.Resume == Anew:
		return j, nil
	}
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if opts.DryRun {
		flags = os.O_RDONLY
	}
	if j.joblog.file, err = os.OpenFile(path, flags, 0o666); err != nil {
		if opts.DryRun && errors.Is(err, os.ErrNotExist) {
			return j, nil
		}
		return nil, fmt.Errorf("command: joblog: %w", err)
	}
	// Two runs on one journal must not come as far as to look into it, but a file of
	// another kind gets no journal beside it.
	for _, err := range joblogLines(j.joblog.file, path) {
		if err != nil {
			return nil, err
		}
		break
	}
	if err := j.openFile(); err != nil {
		return nil, err
	}
	if opts.Resume == Anew {
		return j, j.startAnew()
	}
	return j, j.resume(retry)
}

// openStream is for a joblog that can only be written.
func (j *Journal) openStream(info os.FileInfo) (err error) {
	if info.IsDir() {
		return fmt.Errorf("command: joblog %s: it is a folder", j.path)
	}
	if j.opts.Resume != Anew {
		return fmt.Errorf("command: joblog %s: %w: nothing can be resumed from what is no regular file", j.path, ErrJoblog)
	}
	if j.opts.DryRun {
		return nil
	}
	if j.joblog.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return fmt.Errorf("command: joblog: %w", err)
	}
	return j.joblog.writeText([]byte(JoblogHeader + "\n"))
}

// openFile opens the journal proper, and reads it if the run is resumed.
func (j *Journal) openFile() (err error) {
	if j.opts.Resume == Anew {
		j.file, err = journal.Open(j.path+JournalSuffix, journalKind, func(journal.Record) error { return nil })
		return err
	}
	// Only when the journal is locked does no other run write to the joblog.
	readLast := sync.OnceValue(func() (err error) {
		j.past.lastLine, err = lastJoblogLine(j.joblog.file, j.path)
		return err
	})
	if _, err := os.Stat(j.path + JournalSuffix); !j.opts.DryRun || err == nil {
		j.file, err = journal.Open(j.path+JournalSuffix, journalKind, func(r journal.Record) error {
			if err := readLast(); err != nil {
				return err
			}
			return j.past.replay(r)
		})
		if err != nil {
			return err
		}
	}
	return readLast()
}

// lastJoblogLine gives the last whole entry, with number 0 if there is none.
func lastJoblogLine(f *os.File, path string) (e JoblogEntry, err error) {
	var last []byte
	for line, err := range joblogLines(io.NewSectionReader(f, 0, 1<<62), path) {
		if err != nil {
			return e, err
		}
		last = append(last[:0], line.text...)
	}
	if last == nil {
		return e, nil
	}
	if e, err = parseJoblogEntry(last); err != nil {
		err = fmt.Errorf("command: joblog %s: %w: the last line: %w", path, ErrJoblog, err)
	}
	return e, err
}

// startAnew makes both files those of a new run. The joblog comes first: if this
// program ends in between, the journal still repairs it.
func (j *Journal) startAnew() error {
	if j.opts.DryRun {
		return nil
	}
	if err := j.joblog.file.Truncate(0); err != nil {
		return fmt.Errorf("command: joblog: %w", err)
	}
	if err := j.joblog.writeText([]byte(JoblogHeader + "\n")); err != nil {
		return err
	}
	return j.appendRun(runRecord{Anew: true})
}

// resume makes both files agree, and learns from the joblog what the journal does not
// have.
func (j *Journal) resume(retry bool) error {
	p := &j.past
	others := p.lastLine.Seq > 0 && !p.lastFound // lines of another program at the end
	if !j.opts.DryRun {
		if err := j.repair(others); err != nil {
			return err
		}
	}
	if p.adopt = p.adopt || others; p.adopt {
		if err := p.readJoblog(j.joblog.file, j.path); err != nil {
			return err
		}
	}
	check := j.compare
	if retry {
		check = j.takeSpec
	}
	if err := check(); err != nil || j.opts.DryRun {
		return err
	}
	return j.appendRun(runRecord{Adopt: p.adopt})
}

// takeSpec sets the Spec for the failed tasks.
func (j *Journal) takeSpec() error {
	last := j.past.lastRun
	if j.past.adopt || last == nil {
		j.spec = Spec{Template: Template{Shell: true}} // each input is a command
		j.specless = true
		return nil
	}
	if err := json.Unmarshal(last.Spec, &j.spec); err != nil || plan(&j.spec) != last.Plan {
		return fmt.Errorf("command: %s: its command cannot be taken from it, as it is of another version or not UTF-8; resume the run with SkipDone (--resume-failed) instead", j.path+JournalSuffix)
	}
	return nil
}

// compare finds a changed command.
func (j *Journal) compare() error {
	if r := j.past.lastRun; !j.opts.Changed && r != nil && r.Plan != "" && r.Plan != plan(&j.spec) {
		now := describe(&j.spec)
		if r.Command == now {
			now += " with other outputs, another folder or standard input"
		}
		return &ChangedError{Path: j.path, Was: r.Command, Now: now}
	}
	return nil
}

// repair ends the joblog with a whole line and, if its last line is the journal's too,
// writes those that the journal has and the joblog lacks.
func (j *Journal) repair(others bool) error {
	end, err := j.joblog.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("command: joblog: %w", err)
	}
	whole, err := wholeLines(j.joblog.file, end)
	if err != nil {
		return fmt.Errorf("command: joblog: %w", err)
	}
	if whole < int64(len(JoblogHeader)+1) {
		whole = 0
	}
	if whole < end {
		if err := j.joblog.file.Truncate(whole); err != nil {
			return fmt.Errorf("command: joblog: %w", err)
		}
	}
	if whole == 0 {
		if err := j.joblog.writeText([]byte(JoblogHeader + "\n")); err != nil {
			return err
		}
	}
	if others {
		return nil
	}
	for _, offset := range j.past.unlogged {
		t, err := j.record(offset)
		if err != nil {
			return err
		}
		if err := j.joblog.write(t.joblogEntry()); err != nil {
			return err
		}
	}
	j.past.unlogged = nil
	return nil
}

// wholeLines gives how many of the first end bytes are whole lines.
func wholeLines(f io.ReaderAt, end int64) (int64, error) {
	block := make([]byte, 64<<10)
	for end > 0 {
		n := min(end, int64(len(block)))
		if _, err := f.ReadAt(block[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// appendRun writes down that a run begins.
func (j *Journal) appendRun(r runRecord) (err error) {
	r.Start = time.Now()
	if !j.specless {
		r.Command, r.Plan = describe(&j.spec), plan(&j.spec)
		if r.Spec, err = marshal(&j.spec); err != nil {
			return err
		}
	}
	object, err := marshal(startRecord{Run: &r})
	if err != nil {
		return err
	}
	return j.file.Append(object)
}

// Todo gives those inputs that are to be run, with all errors of inputs. A
// *[ChangedError] is the last.
//
// If the Spec has Outputs, the inputs whose tasks are done are among them, with Done set:
// Run looks whether the outputs are still whole, and runs the task if not. [Journal.Add]
// writes nothing about those that are. In a dry run, only those are among them whose
// outputs are missing or empty.
func (j *Journal) Todo(inputs iter.Seq2[Input, error]) iter.Seq2[Input, error] {
	return func(yield func(Input, error) bool) {
		for in, err := range inputs {
			skip := false
			if err == nil {
				skip, err = j.Skip(&in)
			}
			if !skip && !yield(in, err) || errors.Is(err, ErrChanged) {
				return
			}
		}
	}
}

// Skip tells whether an input is left out of this run, or sets its Done: see
// [Journal.Todo]. Call it once for each, in their order. The error is a *[ChangedError].
func (j *Journal) Skip(in *Input) (bool, error) {
	if j.opts.Resume == Anew {
		return false, nil
	}
	was := j.past.find(*in, !j.bySeq)
	if !was.left(j.opts.Resume) {
		return false, nil
	}
	if was&byCommand != 0 {
		if err := j.compareCommand(*in); err != nil {
			return false, err
		}
	}
	if was&okay != 0 && len(j.spec.Outputs) > 0 && !(j.opts.DryRun && j.spec.made(*in)) {
		in.Done = true
		return false, nil
	}
	j.done++
	if was&okay == 0 {
		j.failed++
	}
	return true, nil
}

// Has tells whether an earlier run has noted that the task of a result ended like that: done,
// or failed. Call it once for each. It is for results that come again, such as those of a
// job that goes on without the run that began it.
func (j *Journal) Has(r Result) bool {
	if j.opts.Resume == Anew {
		return false
	}
	was := j.past.find(Input{Seq: r.Seq, Args: r.Args}, !j.bySeq)
	return was.left(SkipDone) || r.Exit != 0 && was.left(SkipEnded)
}

// Left returns how many tasks were left out so far, and how many of them had failed.
func (j *Journal) Left() (done, failed int) { return j.done, j.failed }

// Moved tells whether inputs have turned out to be other ones than those that had their
// numbers in the earlier run.
func (j *Journal) Moved() bool { return j.past.moved }

// Failed gives the inputs of the tasks that failed in the earlier run, by number: those
// whose last line says so, and that have not been done under another number.
func (j *Journal) Failed() iter.Seq2[Input, error] {
	return func(yield func(Input, error) bool) {
		for _, f := range j.past.failures() {
			in, err := j.failedInput(f)
			if !yield(in, err) || err != nil {
				return
			}
		}
	}
}

func (j *Journal) failedInput(f failure) (Input, error) {
	if !j.specless {
		t, err := j.record(f.offset)
		in := Input{Seq: t.Seq, Args: strs(t.Args)}
		if t.Refused { // for the sake of an input that is not among those that failed
			in.Fault = t.Fault
		}
		return in, err
	}
	line, err := bufio.NewReader(io.NewSectionReader(j.joblog.file, f.offset, 1<<62)).ReadBytes('\n')
	if err != nil {
		return Input{}, fmt.Errorf("command: joblog %s: the line of task %d: %w", j.path, f.seq, err)
	}
	e, err := parseJoblogEntry(line[:len(line)-1])
	if err != nil {
		return Input{}, fmt.Errorf("command: joblog %s: %w: the line of task %d: %w", j.path, ErrJoblog, f.seq, err)
	}
	return Input{Seq: e.Seq, Args: []string{e.Command}}, nil
}

// record reads the record of a task.
func (j *Journal) record(offset int64) (t taskRecord, err error) {
	r, err := j.file.Record(offset)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(r.Data, &t); err != nil {
		return t, fmt.Errorf("command: journal %s: the record at byte %d: %w", j.path+JournalSuffix, offset, err)
	}
	return t, nil
}

// Add writes down results, in the order in which the tasks ended, but for those of tasks
// that an earlier run has done and that are whole (Result.Before). When it returns they
// are in the files, where the end of this program cannot hurt them, and within a tenth
// of a second on the disk. Many in one call cost little more than one.
//
// An error, as of a full disk, stays: nothing more can be written, so that no more
// tasks should be started. The files end with a whole line, and the run can be resumed.
func (j *Journal) Add(results ...Result) error {
	if j.opts.DryRun {
		return errors.New("command: a journal that was opened for a dry run takes no results")
	}
	j.adding.Lock()
	defer j.adding.Unlock()
	if j.joblog.err != nil {
		return j.joblog.err
	}
	entries := make([]JoblogEntry, 0, len(results))
	objects := make([][]byte, 0, len(results))
	for i := range results {
		if results[i].Before {
			continue
		}
		if results[i].Seq < 1 {
			return fmt.Errorf("command: %w: a result has the number %d, and tasks are numbered from 1", ErrInput, results[i].Seq)
		}
		t := j.taskRecord(&results[i])
		object, err := marshal(t)
		if err != nil {
			return err
		}
		entries, objects = append(entries, t.joblogEntry()), append(objects, object)
	}
	if len(objects) == 0 {
		return nil
	}
	if j.file != nil {
		if err := j.file.Append(objects...); err != nil {
			return err
		}
	}
	return j.joblog.write(entries...)
}

// Close ends the files and lets another run have them.
func (j *Journal) Close() error {
	j.adding.Lock()
	defer j.adding.Unlock()
	var errs []error
	if j.joblog.file != nil {
		if j.file != nil && !j.opts.DryRun {
			errs = append(errs, j.joblog.file.Sync())
		}
		errs = append(errs, j.joblog.file.Close())
		j.joblog = joblogWriter{err: fmt.Errorf("command: joblog %s: %w", j.path, os.ErrClosed)}
	}
	if j.file != nil {
		errs = append(errs, j.file.Close())
	}
	return errors.Join(errs...)
}

// startRecord is the record of a run.
type startRecord struct {
	Run *runRecord `json:"run"`
}

type runRecord struct {
	Start   time.Time       `json:"start"`
	Anew    bool            `json:"anew,omitempty"`  // what is before does not count
	Adopt   bool            `json:"adopt,omitempty"` // the joblog counts too
	Command string          `json:"command,omitempty"`
	Plan    string          `json:"plan,omitempty"` // digest of what must not change; "" for commands from a joblog
	Spec    json.RawMessage `json:"spec,omitempty"`
}

// taskRecord is the record of a task that ended. What a resumed run needs of all tasks
// comes first.
type taskRecord struct {
	Seq      int     `json:"seq"`
	Key      string  `json:"key"` // digest of the arguments; "" for a command from a joblog
	OK       bool    `json:"ok"`
	Start    int64   `json:"start"`   // Unix time in ms
	Runtime  float64 `json:"runtime"` // s
	Host     string  `json:"host"`    // as in a joblog
	Exit     int     `json:"exit"`    // as in a joblog
	Signal   int     `json:"signal,omitempty"`
	Attempts int     `json:"attempts"`
	Skipped  bool    `json:"skipped,omitempty"`
	Refused  bool    `json:"refused,omitempty"`
	Received int64   `json:"received,omitempty"`
	Fault    string  `json:"fault,omitempty"`
	Args     []text  `json:"args"`
	Command  text    `json:"command"`
	Outputs  []text  `json:"outputs,omitempty"`
}

// text is a string of any bytes: JSON has UTF-8 only.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return marshal(string(t))
	}
	return marshal(map[string][]byte{"base64": []byte(t)})
}

func (t *text) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var as struct{ Base64 []byte }
		err := json.Unmarshal(data, &as)
		*t = text(as.Base64)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}

// marshal leaves < and & as they are, which commands are full of.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("command: journal: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func texts(words []string) []text {
	t := make([]text, len(words))
	for i, w := range words {
		t[i] = text(w)
	}
	return t
}

func strs(texts []text) []string {
	words := make([]string, len(texts))
	for i, t := range texts {
		words[i] = string(t)
	}
	return words
}

func (j *Journal) taskRecord(r *Result) taskRecord {
	e := r.JoblogEntry()
	t := taskRecord{
		Seq: r.Seq, OK: r.Exit == 0, Start: unixMilli(r.Start), Runtime: e.Runtime.Round(time.Millisecond).Seconds(),
		Host: e.Host, Exit: e.Exit, Signal: e.Signal, Attempts: r.Attempts, Skipped: r.Skipped, Refused: r.Refused, Received: e.Received,
		Fault: r.Fault, Args: texts(r.Args), Command: text(r.Command), Outputs: texts(r.Outputs),
	}
	if j.named && r.Host != "" {
		t.Host = r.Host
	}
	if !j.specless {
		key := keyOf(r.Args)
		t.Key = hex.EncodeToString(key[:])
	}
	return t
}

func (t *taskRecord) joblogEntry() JoblogEntry {
	e := JoblogEntry{
		Seq: t.Seq, Host: t.Host, Runtime: time.Duration(t.Runtime * float64(time.Second)), Received: t.Received,
		Exit: t.Exit, Signal: t.Signal, Command: string(t.Command),
	}
	if t.Start != 0 {
		e.Start = time.UnixMilli(t.Start).UTC()
	}
	return e
}

// plan is a digest of what a resumed run must have in common with the earlier one.
func plan(s *Spec) string {
	h := sha256.New()
	for i, t := range append([]Template{s.Template, s.Dir, s.Stdin}, s.Outputs...) {
		fmt.Fprintf(h, "%d %t %d\n", i, t.Shell, len(t.Words))
		for _, w := range t.Words {
			fmt.Fprintf(h, "%d %s\n", len(w), w)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// describe is the command for a message.
func describe(s *Spec) string {
	if len(s.Template.Words) == 0 {
		return "the inputs themselves"
	}
	return s.Template.String()
}

// usesSeq tells whether the number of an input makes a difference.
func usesSeq(s *Spec) bool {
	for _, t := range append([]Template{s.Template, s.Dir, s.Stdin}, s.Outputs...) {
		if slices.ContainsFunc(t.Words, func(w string) bool { return strings.Contains(w, "{#}") }) {
			return true
		}
	}
	return false
}

// compareCommand finds that a task is another one than that of the joblog.
func (j *Journal) compareCommand(in Input) error {
	if j.opts.Changed {
		return nil
	}
	command, comparable, err := j.commandOf(in)
	if err != nil || !comparable || commandKey(command) == j.past.at(in.Seq).key {
		return err
	}
	e := &ChangedError{Path: j.path, Seq: in.Seq, Now: command}
	for entry, err := range ReadJoblog(j.path) {
		if err != nil {
			return err
		}
		if entry.Seq == in.Seq {
			e.Was = entry.Command
		}
	}
	return e
}

// commandOf gives the command as a joblog has it. It is not comparable where it depends
// on the moment.
func (j *Journal) commandOf(in Input) (_ string, comparable bool, err error) {
	t := &j.spec.Template
	if t.Needs().Scratch || len(j.spec.Dir.Words)*len(j.spec.Outputs) > 0 || slices.ContainsFunc(t.Words, func(w string) bool { return strings.Contains(w, "{%}") }) {
		return "", false, nil
	}
	values := Values{Slot: 1}
	for _, of := range j.spec.Outputs {
		name, err := of.Text(in, values)
		if err != nil {
			return "", false, err
		}
		values.Outputs = append(values.Outputs, name)
	}
	argv, err := t.Expand(in, values)
	if err != nil {
		return "", false, err
	}
	return Line(argv), true, nil
}
