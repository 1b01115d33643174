package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

const (
	redrawEvery = 80 * time.Millisecond // on a terminal
	lineEvery   = 5 * time.Second       // elsewhere
)

// progress shows how far a command has come: as a bar that is drawn again and
// again on a terminal, as a line every few seconds elsewhere.
type progress struct {
	out   *terminal
	mu    sync.Mutex
	drawn bool
	next  time.Time // when to show something again
}

func newProgress(out *terminal) *progress {
	p := &progress{out: out}
	if !out.live {
		p.next = time.Now().Add(lineEvery)
	}
	return p
}

// show says that done of total parts of what label names are done.
func (p *progress) show(label string, done, total int) {
	p.update(label, done, total, "")
}

// job shows a running call; it is for parade.OnProgress.
func (p *progress) job(label string) func(parade.Progress) {
	return func(state parade.Progress) {
		rest := ""
		if state.Rate > 0 {
			rest = fmt.Sprintf("%s tasks/s", short(state.Rate))
		}
		if state.ETA > time.Second {
			rest += fmt.Sprintf(", %v left", state.ETA.Round(time.Second))
		}
		p.update(label, state.Done+state.Failed, state.Tasks, rest)
	}
}

func (p *progress) update(label string, done, total int, rest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	part := 1.0
	if total > 0 {
		part = float64(done) / float64(total)
	}
	if !p.out.live {
		p.next = now.Add(lineEvery)
		p.out.printf("parade: %s: %.0f%%\n", label, 100*part)
		return
	}
	p.next = now.Add(redrawEvery)
	p.drawn = true
	line := fmt.Sprintf("  %s  %s %s  %s", bar(p.out, part, 24), p.out.bold(fmt.Sprintf("%3.0f%%", 100*part)), label, p.out.dim(rest))
	if visible(line) < p.out.columns() {
		p.out.printf("\r\x1b[K%s", line)
	}
}

// clear takes the bar away, so that something else can be written.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.out.printf("\r\x1b[K")
		p.drawn = false
	}
	if p.out.live {
		p.next = time.Time{}
	}
}

func bar(t *terminal, part float64, width int) string {
	full := min(width, max(0, int(part*float64(width)+0.5)))
	return t.cyan(strings.Repeat("━", full)) + t.dim(strings.Repeat("─", width-full))
}
