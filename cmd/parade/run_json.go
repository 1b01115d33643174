package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/parade-go/parade/command"
)

// taskObject is a task as --json prints it. What the command printed follows, as
// it need not fit in memory: "stdout" and "stderr". Where something of all this is not
// UTF-8, there is "stdout_base64" and so on in its place; of args, all are base64 then.
type taskObject struct {
	Seq       int       `json:"seq"`
	Args      []string  `json:"args,omitzero"`
	Args64    [][]byte  `json:"args_base64,omitzero"`
	Command   *string   `json:"command,omitempty"`
	Command64 []byte    `json:"command_base64,omitzero"`
	Exit      int       `json:"exit"`
	Signal    int       `json:"signal"`
	Outcome   string    `json:"outcome"`
	TimedOut  bool      `json:"timed_out"`
	Skipped   bool      `json:"skipped"`
	Attempts  int       `json:"attempts"`
	Host      string    `json:"host"`
	Slot      int       `json:"slot"`
	Start     time.Time `json:"start"`
	Seconds   float64   `json:"seconds"`
	CPU       float64   `json:"cpu_seconds"`
	Memory    int64     `json:"peak_memory"`
	Outputs   []string  `json:"outputs,omitzero"`
	Outputs64 [][]byte  `json:"outputs_base64,omitzero"`
}

// writeJSON writes a task as one line.
func writeJSON(w *bufio.Writer, res *command.Result) error {
	o := taskObject{
		Seq: res.Seq, Command: &res.Command, Exit: res.Exit, Signal: res.Signal, Outcome: res.Outcome(),
		TimedOut: res.TimedOut, Skipped: res.Skipped, Attempts: res.Attempts, Host: res.Host, Slot: res.Slot,
		Start: res.Start, Seconds: res.Duration.Seconds(), CPU: res.CPU.Seconds(), Memory: res.PeakMemory,
	}
	o.Args, o.Args64 = texts(res.Args)
	o.Outputs, o.Outputs64 = texts(res.Outputs)
	if !utf8.ValidString(res.Command) {
		o.Command, o.Command64 = nil, []byte(res.Command)
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		return err
	}
	w.Write(bytes.TrimSuffix(line.Bytes(), []byte("}\n"))) // an error stays, and Flush gives it
	for _, stream := range []struct {
		name   string
		output command.Output
	}{{"stdout", res.Stdout}, {"stderr", res.Stderr}} {
		if err := writeField(w, stream.name, stream.output); err != nil {
			return err
		}
	}
	_, err := w.WriteString("}\n")
	return err
}

// texts gives texts as they are, or if one is not UTF-8 all of them as bytes.
func texts(all []string) ([]string, [][]byte) {
	if !slices.ContainsFunc(all, func(s string) bool { return !utf8.ValidString(s) }) {
		return append([]string{}, all...), nil
	}
	raw := make([][]byte, len(all))
	for i, s := range all {
		raw[i] = []byte(s)
	}
	return nil, raw
}

func writeField(w *bufio.Writer, name string, o command.Output) error {
	in, err := o.Open()
	if err != nil {
		return err
	}
	text, err := isText(in)
	in.Close()
	if err != nil {
		return err
	}
	if in, err = o.Open(); err != nil {
		return err
	}
	defer in.Close()
	if !text {
		w.WriteString(`,"` + name + `_base64":"`)
		e := base64.NewEncoder(base64.StdEncoding, w)
		if _, err := io.Copy(e, in); err != nil {
			return err
		}
		e.Close() // writes to w, which keeps the error
	} else {
		w.WriteString(`,"` + name + `":"`)
		for r := bufio.NewReader(in); ; {
			c, _, err := r.ReadRune()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			writeEscaped(w, c)
		}
	}
	return w.WriteByte('"')
}

// writeEscaped writes a character of a JSON string.
func writeEscaped(w *bufio.Writer, c rune) {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		w.WriteByte('\\')
		w.WriteByte(byte(c))
	case c == '\n':
		w.WriteString(`\n`)
	case c == '\t':
		w.WriteString(`\t`)
	case c == '\r':
		w.WriteString(`\r`)
	case c < 0x20 || c == 0x7f:
		w.WriteString(`\u00`)
		w.WriteByte(hex[c>>4])
		w.WriteByte(hex[c&15])
	default:
		w.WriteRune(c)
	}
}

// isText tells whether all that r gives is UTF-8.
func isText(r io.Reader) (bool, error) {
	for b := bufio.NewReader(r); ; {
		c, n, err := b.ReadRune()
		if err == io.EOF {
			return true, nil
		}
		if err != nil || c == utf8.RuneError && n == 1 {
			return false, err
		}
	}
}
