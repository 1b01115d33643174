package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"
)

// profilesFile is where this user's profiles of clusters are, if there are any.
func profilesFile() (string, error) {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "parade", "clusters.toml"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where profiles are: %w; name their file with --profiles", err)
	}
	return filepath.Join(home, ".config", "parade", "clusters.toml"), nil
}

// profile is a table of that file, whose keys are long flags.
type profile struct {
	file, name string
	text       string
	keys       map[string]any
}

// loadProfile returns the table called name in a file, "" for the user's own. Unless it must be there
// it is empty if it is not.
func loadProfile(file, name string, must bool) (profile, error) {
	p := profile{file: file, name: name}
	missing := file == ""
	if missing {
		var err error
		if p.file, err = profilesFile(); err != nil {
			if must {
				return p, err
			}
			return p, nil
		}
	}
	data, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) && missing && !must {
		return p, nil
	}
	if err != nil {
		return p, &inputError{err}
	}
	p.text = string(data)
	var all map[string]any
	if _, err := toml.Decode(p.text, &all); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return p, &inputError{fmt.Errorf("%s, line %d: %s", p.file, parse.Position.Line, parse.Message)}
		}
		return p, &inputError{fmt.Errorf("%s: %w", p.file, err)}
	}
	for key, v := range all {
		if _, ok := v.(map[string]any); !ok {
			return p, &inputError{fmt.Errorf("%s: %s stands in no profile; write a line such as [lab] above it", p.file, key)}
		}
	}
	table, ok := all[name]
	if !ok && must {
		return p, &inputError{fmt.Errorf("%s has no profile %q%s", p.file, name, meant(name, slices.Collect(maps.Keys(all))))}
	}
	p.keys, _ = table.(map[string]any)
	return p, nil
}

// notInProfile are the flags that say something about one run of the command.
var notInProfile = []string{"profile", "profiles", "print", "help"}

// files are the flags that name a file: in a profile, beside it.
var files = []string{"template", "nats-creds", "nats-ca"}

// apply sets the flags that the profile has and the command line has not, and returns which.
func (p profile) apply(flags *pflag.FlagSet) (map[string]bool, error) {
	set := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		flag := flags.Lookup(key)
		if flag == nil || slices.Contains(notInProfile, key) {
			var all []string
			flags.VisitAll(func(f *pflag.Flag) {
				if !slices.Contains(notInProfile, f.Name) {
					all = append(all, f.Name)
				}
			})
			return nil, p.wrong(key, fmt.Errorf("there is no %q in a profile%s", key, meant(key, all)))
		}
		if flag.Changed {
			continue
		}
		values, isList := p.keys[key].([]any)
		if !isList {
			values = []any{p.keys[key]}
		} else if _, takes := flag.Value.(pflag.SliceValue); !takes {
			return nil, p.wrong(key, fmt.Errorf("%s takes one value", key))
		}
		for _, v := range values {
			switch v.(type) {
			case string, int64, bool:
			default:
				return nil, p.wrong(key, fmt.Errorf("%s: %v is no value for it", key, v))
			}
			text := fmt.Sprint(v)
			if slices.Contains(files, key) && text != "" && !filepath.IsAbs(text) {
				text = filepath.Join(filepath.Dir(p.file), text)
			}
			if err := flags.Set(key, text); err != nil {
				return nil, p.wrong(key, err)
			}
		}
		set[key] = true
	}
	return set, nil
}

// wrong says where something is wrong.
func (p profile) wrong(key string, err error) error {
	if n := p.line(key); n > 0 {
		return &inputError{fmt.Errorf("%s, line %d: %w", p.file, n, err)}
	}
	return &inputError{fmt.Errorf("%s, profile %s: %w", p.file, p.name, err)}
}

// line finds a key of the profile in the file. The reader does not tell.
func (p profile) line(key string) int {
	header := regexp.MustCompile(`^\s*\[\s*["']?([^"'\]]*?)["']?\s*\]`)
	assignment := regexp.MustCompile(`^\s*["']?` + regexp.QuoteMeta(key) + `["']?\s*[.=]`)
	here, n := false, 0
	for line := range strings.Lines(p.text) {
		n++
		if m := header.FindStringSubmatch(line); m != nil {
			here = m[1] == p.name
		} else if here && assignment.MatchString(line) {
			return n
		}
	}
	return 0
}

// meant offers the name among all that is nearest to what was written, if one is near, or else all.
func meant(written string, all []string) string {
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	nearest := slices.MinFunc(all, func(a, b string) int { return edits(written, a) - edits(written, b) })
	if edits(written, nearest) <= max(2, len(written)/3) {
		return fmt.Sprintf("; did you mean %s?", nearest)
	}
	return "; there are " + strings.Join(all, ", ")
}

// edits is how many letters must be put in, taken out or replaced to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
