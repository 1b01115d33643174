package main

import (
	"bufio"
	"bytes"
	"io"

	"github.com/parade-go/parade/command"
)

// printer writes what tasks print, in the way that the user asked for. Its methods
// can be called by several goroutines.
type printer struct {
	o       *runOptions
	bar     *runProgress
	tags    command.Template
	results *resultsDir
	keeps   bool // files of outputs are not this command's to remove

	// Of these, who writes holds bar.mu.
	stdout *bufio.Writer
	stderr *bufio.Writer
}

func newPrinter(o *runOptions, bar *runProgress) *printer {
	var stdout, stderr io.Writer = o.stdout, o.stderr
	if bar.out.live {
		stderr = seen{stderr, &bar.midst}
		if newTerminal(stdout).live {
			stdout = seen{stdout, &bar.midst}
		}
	}
	return &printer{
		o: o, bar: bar, tags: o.tags, results: o.resultsDir,
		stdout: bufio.NewWriterSize(stdout, 64<<10), stderr: bufio.NewWriterSize(stderr, 16<<10),
	}
}

// prints tells whether a task has something to print.
func (p *printer) prints(res *command.Result) bool {
	switch {
	case res.Before: // it was printed then
		return false
	case p.results != nil:
		return !res.Skipped // what an earlier run has saved stays
	case p.o.json:
		return true
	case p.o.lineBuffer || p.o.ungroup: // it is printed; what there is, is for the summary
		return false
	}
	return p.o.verbose || res.Stdout.Size > 0 || res.Stderr.Size > 0
}

// task prints what a task printed, and removes it.
func (p *printer) task(res *command.Result) error {
	defer func() {
		if !p.keeps { // they may come another time
			res.Stdout.Remove()
			res.Stderr.Remove()
		}
	}()
	switch {
	case !p.prints(res):
		return nil
	case p.results != nil:
		return p.results.save(res)
	case p.o.json:
		return p.write(func() error { return writeJSON(p.stdout, res) })
	}
	tag := ""
	if p.o.tagstring != "" {
		tag = p.tag(command.Input{Seq: res.Seq, Args: res.Args})
	}
	return p.write(func() error {
		if p.o.verbose {
			p.stdout.WriteString(res.Command)
			p.stdout.WriteByte('\n')
		}
		if err := copyOutput(p.stdout, res.Stdout, tag); err != nil {
			return err
		}
		if err := p.stdout.Flush(); err != nil {
			return err
		}
		return copyOutput(p.stderr, res.Stderr, tag)
	})
}

// write runs f, which writes, while nothing else does.
func (p *printer) write(f func() error) error {
	p.bar.mu.Lock()
	defer p.bar.mu.Unlock()
	p.bar.clear()
	if err := f(); err != nil {
		return err
	}
	return p.flushed()
}

// flushed writes out what is in the buffers. That standard error is closed is
// nobody's loss.
func (p *printer) flushed() error {
	err := p.stdout.Flush()
	if failed := p.stderr.Flush(); failed != nil {
		p.stderr.Reset(io.Discard)
	}
	return err
}

func (p *printer) flush() error {
	p.bar.mu.Lock()
	defer p.bar.mu.Unlock()
	return p.flushed()
}

// tag is what the lines of an input's task begin with.
func (p *printer) tag(in command.Input) string {
	text, err := p.tags.Text(in, command.Values{})
	if err != nil {
		text = err.Error()
	}
	return text + "\t"
}

// line prints a line of a running task.
func (p *printer) line(t *runningTask, line command.OutputLine) error {
	return p.write(func() error {
		out, i := p.stdout, 0
		if line.Stderr {
			out, i = p.stderr, 1
		}
		if t != nil {
			if !t.midst[i] {
				out.WriteString(t.tag)
			}
			t.midst[i] = !bytes.HasSuffix(line.Text, []byte{'\n'})
		}
		out.Write(line.Text) // whose error Flush gives
		return nil
	})
}

// command prints a command that starts.
func (p *printer) command(text string) error {
	return p.write(func() error {
		_, err := p.stdout.WriteString(text + "\n")
		return err
	})
}

// note tells the user something on standard error.
func (p *printer) note(text string) {
	p.bar.mu.Lock()
	defer p.bar.mu.Unlock()
	p.bar.clear()
	p.bar.newLine()
	p.bar.out.printf("parade: %s\n", text)
}

// copyOutput writes an output, each line with its tag.
func copyOutput(w *bufio.Writer, o command.Output, tag string) error {
	if o.Size == 0 {
		return nil
	}
	if tag == "" {
		_, err := o.WriteTo(w)
		return err
	}
	in, err := o.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	begin := true
	for r := bufio.NewReader(in); ; {
		part, err := r.ReadSlice('\n')
		if begin && len(part) > 0 {
			w.WriteString(tag)
		}
		begin = err == nil
		if _, failed := w.Write(part); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}
