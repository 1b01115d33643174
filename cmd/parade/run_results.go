package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/command"
)

// resultsDir saves what tasks print in files: as GNU parallel does, in
// DIR/1/ARGUMENT/2/ARGUMENT/stdout, stderr and seq, with the names of columns
// where they have some; or under a name with placeholders, NAME, NAME.err and
// NAME.seq.
type resultsDir struct {
	dir     string
	columns []string
	name    command.Template // of words, if there are placeholders
	keeps   bool             // files of outputs are not this command's to move
}

func newResultsDir(text string, columns []string) (*resultsDir, error) {
	d := &resultsDir{dir: text, columns: columns}
	name, err := command.ParseText(text, columns)
	if err != nil {
		return nil, &usageError{err}
	}
	if strings.Contains(text, "{") {
		if needs := name.Needs(); needs.Outputs > 0 || needs.Scratch {
			return nil, usagef("--results %s: it can name the input only", text)
		}
		a, errA := name.Text(command.Input{Seq: 1, Args: []string{"a"}}, command.Values{})
		b, errB := name.Text(command.Input{Seq: 2, Args: []string{"b"}}, command.Values{})
		if errA == nil && errB == nil && a != b {
			d.name, d.dir = name, ""
			return d, nil
		}
	}
	for _, ending := range []string{".csv", ".tsv", ".json"} {
		if strings.HasSuffix(text, ending) {
			return nil, usagef("--results %s: it makes folders; for a table take --json > %s", text, command.Quote(strings.TrimSuffix(text, ending)+".json"))
		}
	}
	if err := os.MkdirAll(d.dir, 0o777); err != nil {
		return nil, outputError(d.dir, err)
	}
	return d, nil
}

func outputError(path string, err error) error {
	return fmt.Errorf("%s cannot be written: %w", path, reason(err))
}

// save writes the files of a task.
func (d *resultsDir) save(res *command.Result) error {
	stdout, stderr, seq, err := d.paths(res)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(stdout), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(seq, []byte(strconv.Itoa(res.Seq)), 0o666); err != nil {
		return err
	}
	info, err := os.Stat(seq)
	if err != nil {
		return err
	}
	if err := saveOutput(stdout, &res.Stdout, info.Mode(), d.keeps); err != nil {
		return err
	}
	return saveOutput(stderr, &res.Stderr, info.Mode(), d.keeps)
}

func (d *resultsDir) paths(res *command.Result) (stdout, stderr, seq string, err error) {
	if d.dir == "" {
		name, err := d.name.Text(command.Input{Seq: res.Seq, Args: res.Args}, command.Values{Slot: res.Slot})
		return name, name + ".err", name + ".seq", err
	}
	type part struct{ key, value string }
	parts := make([]part, len(res.Args))
	for i, a := range res.Args {
		parts[i] = part{strconv.Itoa(i + 1), a}
		if i < len(d.columns) && d.columns[i] != "" {
			parts[i].key = d.columns[i]
		}
	}
	if len(d.columns) > 0 {
		slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.key, b.key) })
	}
	path := d.dir
	for _, p := range parts {
		path = filepath.Join(path, pathName(p.key), pathName(p.value))
	}
	return filepath.Join(path, "stdout"), filepath.Join(path, "stderr"), filepath.Join(path, "seq"), nil
}

// longestName is how many bytes the name of a file may have.
const longestName = 255

// pathName makes a name that a folder can have of an argument: as GNU parallel, but
// for what would be no name, or another folder's.
func pathName(arg string) string {
	switch arg {
	case "":
		return `\`
	case ".", "..":
		return `\` + arg
	}
	name := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "/", `\_`).Replace(arg)
	if len(name) > longestName {
		sum := sha256.Sum256([]byte(arg))
		end := "..." + hex.EncodeToString(sum[:8])
		name = name[:longestName-len(end)] + end
	}
	return name
}

// saveOutput makes an output a file of a mode: the one where it is already, if it
// can be moved, and is not to be kept.
func saveOutput(path string, o *command.Output, mode os.FileMode, keep bool) error {
	if o.File != "" && !keep && os.Rename(o.File, path) == nil {
		o.File, o.Data, o.Size = "", nil, 0
		return os.Chmod(path, mode)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = o.WriteTo(f)
	if failed := f.Close(); err == nil {
		err = failed
	}
	return err
}
