package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade/command"
)

// runProgress shows how far a run has come: a bar on a terminal, a line every few
// seconds elsewhere.
type runProgress struct {
	out     *terminal
	loop    *loop
	recount func() (*command.Source, error) // the inputs once more, nil if they can be read once only
	shown   bool

	mu    sync.Mutex // held by whoever writes to the terminal
	drawn bool
	midst bool // of a line of a task's output
	quit  chan struct{}
	done  chan struct{}
}

func newRunProgress(o *runOptions, l *loop, recount func() (*command.Source, error)) *runProgress {
	p := &runProgress{out: newTerminal(o.stderr), loop: l, recount: recount, quit: make(chan struct{}), done: make(chan struct{})}
	p.shown = !o.noProgress
	if p.out.live && !o.bar && (o.ungroup || o.lineBuffer) && newTerminal(o.stdout).live {
		p.shown = false // commands would write into the bar
	}
	return p
}

// start shows the progress until end.
func (p *runProgress) start() {
	if !p.shown {
		close(p.done)
		return
	}
	every, first := lineEvery, lineEvery
	if p.out.live {
		every, first = redrawEvery, 5*redrawEvery // what is done by then needs no bar
	}
	go func() {
		defer close(p.done)
		timer := time.NewTimer(first)
		defer timer.Stop()
		counting := false
		for {
			select {
			case <-p.quit:
				return
			case <-timer.C:
			}
			if !counting {
				counting = true
				go p.count()
			}
			p.draw()
			timer.Reset(every)
		}
	}()
}

func (p *runProgress) end() {
	close(p.quit)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.newLine()
}

// count counts the inputs, so that a part and a time can be told.
func (p *runProgress) count() {
	if n, ok := countInputs(p.recount, p.quit); ok {
		p.loop.total.Store(int64(n))
	}
}

// countInputs counts the inputs once more, until quit, if that can be done.
func countInputs(recount func() (*command.Source, error), quit <-chan struct{}) (n int, ok bool) {
	if recount == nil {
		return 0, false
	}
	source, err := recount()
	if err != nil {
		return 0, false
	}
	for _, err := range source.Inputs() {
		if err != nil {
			return 0, false
		}
		if n++; n%1024 == 0 {
			select {
			case <-quit:
				return 0, false
			default:
			}
		}
	}
	return n, true
}

// clear takes the bar away. The caller holds the lock.
func (p *runProgress) clear() {
	if p.drawn {
		p.out.printf("\r\x1b[K")
		p.drawn = false
	}
}

// newLine keeps what a task has printed without an end of line from being drawn over.
func (p *runProgress) newLine() {
	if p.out.live && p.midst {
		p.out.printf("\n")
		p.midst = false
	}
}

// seen is an output of tasks, which shows where the cursor of a terminal is.
type seen struct {
	io.Writer
	midst *bool
}

func (s seen) Write(p []byte) (int, error) {
	if len(p) > 0 {
		*s.midst = p[len(p)-1] != '\n'
	}
	return s.Writer.Write(p)
}

func (p *runProgress) draw() {
	s := p.loop.state()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out.live {
		p.out.printf("parade: %s\n", strings.Join(s.parts(p.out), ", "))
		return
	}
	p.newLine()
	width := p.out.columns()
	line := ""
	if s.total > 0 {
		part := float64(s.finished()) / float64(s.total)
		line = fmt.Sprintf("  %s  %s", bar(p.out, part, min(24, max(4, width/4))), p.out.bold(fmt.Sprintf("%3.0f%%", 100*part)))
	}
	for _, part := range s.parts(p.out) {
		if visible(line)+2+visible(part) >= width {
			break
		}
		line += "  " + part
	}
	p.out.printf("\r\x1b[K%s", line)
	p.drawn = true
}

// runState is how far a run has come.
type runState struct {
	total, done, failed, running int // total is 0 where it is not known
	whole, before, beforeFailed  int // left out: outputs are whole; an earlier run has it
	rate                         float64
	left                         time.Duration
	slowest                      string
	slowestFor                   time.Duration
	holding                      string
	stopping                     bool
	read                         bool // all inputs
	attached                     bool
	away                         bool // a cluster has what it calls running: it runs, or waits there
}

func (s *runState) finished() int { return s.done + s.failed + s.whole + s.before }

// leftOut says what was not run, and why.
func (s *runState) leftOut() (parts []string) {
	if s.whole > 0 {
		parts = append(parts, count(s.whole)+" whole already")
	}
	if s.before > 0 {
		parts = append(parts, count(s.before)+" done before")
	}
	if s.beforeFailed > 0 {
		parts = append(parts, fmt.Sprintf("%s of them failed", count(s.beforeFailed)))
	}
	return parts
}

func (l *loop) state() runState {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := runState{
		total: int(l.total.Load()), done: l.done, failed: l.failed, running: len(l.running), holding: l.holding, stopping: l.why != nil, read: l.ended, attached: l.attached, away: l.held != nil,
		whole: l.whole, before: l.before + l.left, beforeFailed: l.leftFailed,
	}
	if l.ended {
		s.total = l.read + l.left
	}
	if passed := now.Sub(l.begun).Seconds(); passed > 0 {
		s.rate = float64(s.done+s.failed) / passed
	}
	if s.rate > 0 && s.total > 0 {
		s.left = time.Duration(float64(max(0, s.total-s.finished())) / s.rate * float64(time.Second))
	}
	var slowest *runningTask
	for _, t := range l.running {
		if slowest == nil || t.since.Before(slowest.since) {
			slowest = t
		}
	}
	if slowest != nil {
		s.slowest, s.slowestFor = strings.Join(slowest.input.Args, " "), now.Sub(slowest.since)
	}
	return s
}

// parts are the words of a line of progress, the weightier first.
func (s *runState) parts(t *terminal) []string {
	first := count(s.done) + " done"
	if s.total > 0 {
		first = fmt.Sprintf("%s of %s done", count(s.done), count(s.total))
	}
	parts := []string{first}
	if s.failed > 0 {
		parts = append(parts, t.red(count(s.failed)+" failed"))
	}
	parts = append(parts, s.leftOut()...)
	switch {
	case s.attached: // which does not know
	case s.away:
		parts = append(parts, count(s.running)+" with the cluster")
	default:
		parts = append(parts, count(s.running)+" running")
	}
	if s.rate > 0 {
		parts = append(parts, short(s.rate)+"/s")
	}
	switch {
	case s.stopping:
		parts = append(parts, t.yellow("starting no more"))
	case s.holding != "":
		parts = append(parts, t.yellow(s.holding))
	case s.left >= time.Second:
		parts = append(parts, s.left.Round(time.Second).String()+" left")
	}
	if s.slowestFor >= time.Second {
		parts = append(parts, t.dim(fmt.Sprintf("longest: %s, %v", shown(s.slowest, 40), s.slowestFor.Round(time.Second))))
	}
	return parts
}

// shown makes a text of anybody's fit for a terminal: one line, not longer than so
// many characters, without what a terminal obeys.
func shown(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	return text
}

// countable makes a second source of the same inputs, unless these can be read only
// once.
func (o *runOptions) countable(given []argSource) func() (*command.Source, error) {
	paths := o.files
	for _, g := range given {
		if g.separator == lists || g.separator == listsLinked {
			paths = append(paths[:len(paths):len(paths)], g.args...)
		}
	}
	if len(paths) == 0 && len(given) == 0 && len(o.globs) == 0 {
		return nil
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil
		}
	}
	again := *o
	again.shuf = false
	return func() (*command.Source, error) { return again.source(given) }
}
