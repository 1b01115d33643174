package spike_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

var update = flag.Bool("update", false, "write testdata/files/written.* anew, which files.py must then read")

type goldenFileTrain struct {
	Name   string
	Unit   unit.Unit
	TStart hexFloat `json:"t_start"`
	TStop  hexFloat `json:"t_stop"`
	Times  []hexFloat
}

func fileTrains(list []goldenFileTrain) []spike.Train {
	trains := make([]spike.Train, len(list))
	for i, g := range list {
		trains[i] = spike.Train{Unit: g.Unit, TStart: float64(g.TStart), TStop: float64(g.TStop), Name: g.Name}
		if len(g.Times) > 0 {
			trains[i].Times = floats(g.Times)
		}
	}
	return trains
}

type goldenFiles struct {
	Files []struct {
		Path    string
		Options struct {
			Unit        unit.Unit
			TStart      unit.Time `json:"t_start"`
			TStop       unit.Time `json:"t_stop"`
			Rate        unit.Rate
			TimeColumn  string `json:"time_column"`
			TrainColumn string `json:"train_column"`
			Labels      []string
		}
		Trains []goldenFileTrain
	}
	Written []struct {
		Kind   string
		Trains []goldenFileTrain
	}
}

func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	var g goldenFiles
	readTopic(t, "files.json", &g)
	if len(g.Files) < 60 {
		t.Fatalf("only %d files", len(g.Files))
	}
	for i, c := range g.Files {
		t.Run(fmt.Sprint(i, " ", c.Path), func(t *testing.T) {
			t.Parallel()
			o := c.Options
			got, err := spike.ReadFile(filepath.Join("testdata/files", c.Path), spike.ReadOptions{
				Unit: o.Unit, TStart: o.TStart, TStop: o.TStop, SamplingRate: o.Rate, TimeColumn: o.TimeColumn, TrainColumn: o.TrainColumn, Labels: o.Labels,
			})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, fileTrains(c.Trains))
			for _, train := range got {
				if err := train.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	var g goldenFiles
	readTopic(t, "files.json", &g)
	for _, c := range g.Written {
		t.Run(c.Kind, func(t *testing.T) {
			t.Parallel()
			golden := "testdata/files/written." + c.Kind
			if *update {
				if err := spike.WriteFile(golden, fileTrains(c.Trains)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(t.TempDir(), "a."+c.Kind)
			if err := spike.WriteFile(path, fileTrains(c.Trains)); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it is not the file that Python was shown to read:\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func TestReadText(t *testing.T) {
	t.Parallel()
	ms := []spike.Train{{Name: "a", Times: []float64{1.5, -0.25}, Unit: unit.Millisecond, TStart: -1, TStop: 1.5}}
	tests := []struct {
		name, file, content string
		opts                spike.ReadOptions
		want                []spike.Train
	}{
		{"no last line feed", "a.csv", "train,time_ms\na,1.5\na,-.25", spike.ReadOptions{}, ms},
		{"a record over two lines", "a.csv", "note,train,time_ms\n\"x\ny\",a,1.5\n\"say \"\"z\"\"\",a,-25e-2\n", spike.ReadOptions{TrainColumn: "train"}, ms},
		{"tabs, quotes, empty fields", "a.tsv", "time_ms\tnote\ttrain\r\n1.5\t\t\"a\"\r\n\"-0.25\"\tx y\ta\r\n", spike.ReadOptions{TimeColumn: "time_ms"}, ms},
		{"quoted tab", "a.tsv", "time_ms\tnote\ttrain\n1.5\t\"x\t\"\"\"\ta\n-0.25\t\ta\n", spike.ReadOptions{TimeColumn: "time_ms"}, ms},
		{"unit of a chosen column", "a.csv", "peak [ms],id\n1.5,a\n-0.25,a\n", spike.ReadOptions{TimeColumn: "peak [ms]", TrainColumn: "id"}, ms},
		{"no unit in a chosen column", "a.csv", "t_peak,train\n1.5,a\n-0.25,a\n", spike.ReadOptions{TimeColumn: "t_peak", Unit: unit.Millisecond}, ms},
		{"names over white space", "a.txt", "# x\n time_ms   train\n1.5 a\n\t-0.25\ta \r\n \n", spike.ReadOptions{}, ms},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.opts.TStart = unit.Milliseconds(-1)
			got, err := spike.ReadFile(writeFile(t, c.file, c.content), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, c.want)
		})
	}
}

func TestReadTextRefuses(t *testing.T) {
	t.Parallel()
	s := spike.ReadOptions{Unit: unit.Second}
	khz := spike.ReadOptions{SamplingRate: unit.KHz(30)}
	tests := []struct {
		name, file, content string
		opts                spike.ReadOptions
		want                error
		row                 int
		message             string
	}{
		{"NUL in a time", "a.csv", "time_s\n1\n1\x002\n", s, spike.ErrFormat, 3, `"1\x002" is not a number`},
		{"NUL to the end", "a.csv", "train,time_s\n0,1\n\x00\x00\x00\x00", s, spike.ErrFormat, 3, "wrong number of fields: 1, want 2"},
		{"NUL in a name", "a.csv", "train,time_s\na\x00b,1\n", s, spike.ErrFormat, 2, "control character"},
		{"no UTF-8", "a.csv", "train,time_s\n\xff,1\n", s, spike.ErrFormat, 2, "no UTF-8"},
		{"UTF-16", "a.csv", "\xff\xfet\x00i\x00", s, spike.ErrFormat, 1, "UTF-16"},
		{"decimal comma in .csv", "a.csv", "train,time_s\n0,1\n0,1,5\n", s, spike.ErrFormat, 3, "decimal sign a comma"},
		{"decimal comma in quotes", "a.csv", "train,time_s\n0,\"1,5\"\n", s, spike.ErrFormat, 2, `"1,5" has a decimal comma`},
		{"decimal comma in .tsv", "a.tsv", "train\ttime_s\n0\t1,5\n", s, spike.ErrFormat, 2, `"1,5" has a decimal comma`},
		{"semicolons", "a.csv", "train;time_s\n0;1,5\n", s, spike.ErrFormat, 1, "separated by semicolons"},
		{"tabs in .csv", "a.csv", "train\ttime_s\n0\t1\n", s, spike.ErrFormat, 1, "name it .tsv"},
		{"commas in .tsv", "a.tsv", "train,time_s\n0,1\n", s, spike.ErrFormat, 1, "name it .csv"},
		{"commas in .txt", "a.txt", "train,time_s\n0,1\n", s, spike.ErrFormat, 1, "name it .csv"},
		{"quote within a field", "a.csv", "train,time_s\n0,1\na\"b,1\n", s, spike.ErrFormat, 3, "quote"},
		{"error after a long record", "a.csv", "note,time_s\n\"x\ny\n\"\"\",1\nz,x\n", spike.ReadOptions{TimeColumn: "time_s"}, spike.ErrFormat, 5, "not a number"},
		{"hexadecimal", "a.csv", "time_s\n0x10\n", s, spike.ErrFormat, 2, "not a number"},
		{"underscores", "a.csv", "time_s\n1_0\n", s, spike.ErrFormat, 2, "not a number"},
		{"infinite", "a.csv", "time_s\n-inf\n", s, spike.ErrTimes, 2, "-inf"},
		{"no time", "a.csv", "train,time_s\n0,\n", s, spike.ErrFormat, 2, "it has no time"},
		{"empty line of names", "a.csv", "# only a comment\n\n", s, spike.ErrFormat, 0, "empty"},
		{"samples without a rate", "a.csv", "sample\n1\n", s, spike.ErrFormat, 1, "give the sampling rate with ReadOptions.SamplingRate"},
		{"samples with a unit", "a.csv", "time_ms\n1\n", khz, spike.ErrFormat, 1, "not sample numbers"},
		{"half a sample", "a.csv", "sample\n1\n1.5\n", khz, spike.ErrTimes, 3, "1.5 is not a whole number"},
		{"sample 2^53", "a.csv", "sample\n9007199254740991\n9007199254740993\n", khz, spike.ErrTimes, 3, "below 2^53"},
		{"rate of 0", "a.csv", "sample\n1\n", spike.ReadOptions{SamplingRate: unit.Hz(0)}, spike.ErrRate, 1, "0.0 Hz"},
		{"rate in seconds", "a.csv", "sample\n1\n", spike.ReadOptions{SamplingRate: unit.Rate{Value: 1, Unit: unit.Second}}, unit.ErrDimension, 1, "sampling rate"},
		{"no such column", "a.csv", "train,time_s\n", spike.ReadOptions{TimeColumn: "t"}, spike.ErrFormat, 1, `no column "t", want one of ["train" "time_s"]`},
		{"no such train column", "a.csv", "train,time_s\n", spike.ReadOptions{TrainColumn: "t"}, spike.ErrFormat, 1, `no column "t"`},
		{"two train columns", "a.csv", "train,unit,time_s\n", s, spike.ErrFormat, 1, `"unit" is a second one of its kind: choose with ReadOptions.TrainColumn`},
		{"unknown unit in brackets", "a.csv", "t [x]\n1\n", spike.ReadOptions{TimeColumn: "t [x]"}, unit.ErrSyntax, 1, `"x" is not a unit`},
		{"three columns without names", "a.txt", "1 2 3\n", s, spike.ErrFormat, 1, "3 columns without names"},
		{"no names to choose from", "a.txt", "1 2 3\n", spike.ReadOptions{TimeColumn: "t"}, spike.ErrFormat, 1, "no names"},
		{"a short row", "a.txt", "1 2\n3\n", s, spike.ErrFormat, 2, "wrong number of fields: 1, want 2"},
		{"labels", "a.csv", "time_s\n1\n", spike.ReadOptions{Labels: []string{"good"}}, spike.ErrFormat, 0, "labels"},
		{"columns of .npy", "a.npy", "", spike.ReadOptions{TimeColumn: "t"}, spike.ErrFormat, 0, "column"},
		{"rate of .json", "a.json", "[]", khz, spike.ErrFormat, 0, "sampling rate"},
		{"json: empty", "a.json", "", s, spike.ErrFormat, 1, "ends early"},
		{"json: cut", "a.json", "[\n{\"times\": [1, 2", s, spike.ErrFormat, 2, "it ends early"},
		{"json: more", "a.json", "[{\"times\": [], \"t_stop\": 1}] 1", s, spike.ErrFormat, 1, "nothing after the list"},
		{"json: object", "a.json", "{\"times\": []}", s, spike.ErrFormat, 1, "want a list of them: put [ before, ] behind"},
		{"json: objects in lines", "a.json", "\n{\"times\": []}\n{\"times\": []}\n", s, spike.ErrFormat, 2, "commas between objects"},
		{"json: no trains", "a.json", "[]", s, spike.ErrFormat, 0, "no trains"},
		{"json: no times", "a.json", "[{\"t_stop\": 1}]", s, spike.ErrFormat, 1, "no times"},
		{"json: no t_stop", "a.json", "[{\"times\": [1]}]", s, spike.ErrInterval, 1, "does not say t_stop: give it with ReadOptions.TStop"},
		{"json: no unit", "a.json", "[{\"times\": [1], \"t_stop\": 1}]", spike.ReadOptions{}, unit.ErrDimension, 1, "unit of its times"},
		{"json: other unit", "a.json", "[{\"times\": [1], \"t_stop\": 1, \"units\": \"ms\"}]", s, spike.ErrFormat, 1, "in ms, not in s"},
		{"json: unit unknown", "a.json", "[{\"units\": \"parsec\"}]", s, unit.ErrSyntax, 1, `"parsec" is not a unit of time`},
		{"json: unit no time", "a.json", "[{\"times\": [1], \"t_stop\": 1, \"units\": \"mV\"}]", spike.ReadOptions{}, unit.ErrDimension, 1, "mV is not a unit of time"},
		{"json: other t_stop", "a.json", "[{\"times\": [1], \"t_stop\": 1}]", spike.ReadOptions{Unit: unit.Second, TStop: unit.Seconds(2)}, spike.ErrFormat, 1, "t_stop is 1.0 s, not 2.0 s"},
		{"json: name no number", "a.json", "[{\"name\": 3-4}]", s, spike.ErrFormat, 1, `got "3-4", want a number`},
		{"json: misspelt", "a.json", "[{\"times\": [1],\n\"tstop\": 1}]", s, spike.ErrFormat, 2, `it has "tstop", want times`},
		{"json: twice", "a.json", "[{\"times\": [1], \"times\": [1]}]", s, spike.ErrFormat, 1, `"times" twice`},
		{"json: NaN", "a.json", "[{\"times\": [1,\nNaN]}]", s, spike.ErrFormat, 2, `got "NaN", want a number`},
		{"json: too large", "a.json", "[{\"times\": [1e999]}]", s, spike.ErrFormat, 1, "1e999"},
		{"json: text", "a.json", "[{\"times\": [\"1\"]}]", s, spike.ErrFormat, 1, `got "\"1\"", want a number`},
		{"json: null", "a.json", "[{\"t_stop\": null}]", s, spike.ErrFormat, 1, `got "null", want a number`},
		{"json: nested", "a.json", "[{\"times\": [[1]]}]", s, spike.ErrFormat, 1, `got "[1", want a number`},
		{"json: name", "a.json", "[{\"name\": [3]}]", s, spike.ErrFormat, 1, `got "[3", want a string`},
		{"json: outside", "a.json", "[{\"times\": [1, 5], \"t_stop\": 2}]", s, spike.ErrTimes, 1, "train 0: spike 1: bad spike times: the time 5.0 s is after t_stop (2.0 s)"},
		{"json: reversed", "a.json", "[{\"times\": [], \"t_start\": 3, \"t_stop\": 2}]", s, spike.ErrInterval, 1, "before t_start"},
		{"json: comma", "a.json", "[{\"times\": [1 2]}]", s, spike.ErrFormat, 1, `got "2", want , or ]`},
		{"json: comma at the end", "a.json", "[{\"times\": [1,]}]", s, spike.ErrFormat, 1, `got "]", want a number`},
		{"json: no colon", "a.json", "[{\"times\" [1]}]", s, spike.ErrFormat, 1, `got "[1", want :`},
		{"json: no key", "a.json", "[{1: 2}]", s, spike.ErrFormat, 1, `got "1", want a string`},
		{"json: open string", "a.json", "[{\"times\\", s, spike.ErrFormat, 1, "a string ends early"},
		{"json: bad escape", "a.json", "[{\"\\x\": 1}]", s, spike.ErrFormat, 1, "escape"},
		{"json: bad description", "a.json", "[{\"description\": {]}]", s, spike.ErrFormat, 1, "description"},
		{"json: NUL behind", "a.json", "[{\"times\": [], \"t_stop\": 1}]\x00", s, spike.ErrFormat, 1, "nothing after the list"},
		{"json: NUL", "a.json", "[{\"times\": [1\x00]}]", s, spike.ErrFormat, 1, `got "\x00", want , or ]`},
		{"json: no UTF-8", "a.json", "[{\"name\": \"\xff\"}]", s, spike.ErrFormat, 0, "no UTF-8"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkFileError(t, writeFile(t, c.file, c.content), c.opts, c.want, c.row, c.message)
		})
	}
}

// array makes an array or ends the test.
func array[T npy.Item](t testing.TB, values []T, shape ...int) npy.Array {
	t.Helper()
	a, err := npy.New(values, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// npyFile gives the bytes of a .npy file.
func npyFile(t testing.TB, a npy.Array) string {
	t.Helper()
	var b bytes.Buffer
	if err := npy.Write(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// npzFile gives the bytes of a .npz file of names and arrays in turn.
func npzFile(t testing.TB, list ...any) string {
	t.Helper()
	var b bytes.Buffer
	w := npy.NewArchiveWriter(&b)
	for i := 0; i < len(list); i += 2 {
		if err := w.Write(list[i].(string), list[i+1].(npy.Array)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadUsualNamesAndShapes(t *testing.T) {
	t.Parallel()
	one := []spike.Train{{Times: []float64{1, 2.5, 2}, Unit: unit.Second, TStop: 2.5}}
	two := []spike.Train{
		{Name: "3", Times: []float64{2.5}, Unit: unit.Second, TStop: 2.5},
		{Name: "4", Times: []float64{1, 2}, Unit: unit.Second, TStop: 2.5},
	}
	times := array(t, []float64{1, 2.5, 2})
	ids := array(t, []int32{4, 3, 4})
	s := spike.ReadOptions{Unit: unit.Second}
	tests := []struct {
		name, file, content string
		opts                spike.ReadOptions
		want                []spike.Train
	}{
		{"npy (1, n)", "a.npy", npyFile(t, array(t, []float64{1, 2.5, 2}, 1, 3)), s, one},
		{"npy (n, 1)", "a.npy", npyFile(t, array(t, []float64{1, 2.5, 2}, 3, 1)), s, one},
		{"npy (1, 2) is a row", "a.npy", npyFile(t, array(t, []float64{3, 2.5}, 1, 2)), s, two[:1]},
		{"npz trains", "a.npz", npzFile(t, "times", times, "trains", ids), s, two},
		{"npz spike_times and spike_clusters", "a.npz", npzFile(t, "spike_times", times, "spike_clusters", ids), s, two},
		{"npz spike_times_s and clusters", "a.npz", npzFile(t, "spike_times_s", times, "clusters", ids), spike.ReadOptions{}, two},
		{"npz (1, n)", "a.npz", npzFile(t, "times", array(t, []float64{1, 2.5, 2}, 1, 3), "trains", ids), s, two},
		{"json numbers as names", "a.json", `[{"name": 3, "times": [2.5], "t_stop": 2.5}, {"times": [1, 2], "t_stop": 2.5, "name": 4}]`, s, two},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := spike.ReadFile(writeFile(t, c.file, c.content), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, c.want)
		})
	}
}

func TestReadArraysRefuses(t *testing.T) {
	t.Parallel()
	s := spike.ReadOptions{Unit: unit.Second}
	khz := spike.ReadOptions{SamplingRate: unit.KHz(30)}
	f := func(values ...float64) npy.Array { return array(t, values) }
	ones := f(1, 1)
	ragged := func(name string, a npy.Array) string {
		list := []any{"times", f(1, 2, 3), "index", array(t, []int64{1, 3}), "t_start", f(0, 0), "t_stop", f(5, 5), "units", array(t, []string{"s", "ms"}), "names", array(t, []string{"a", "b"})}
		for i := 0; i < len(list); i += 2 {
			if list[i] == name {
				list[i+1] = a
			}
		}
		return npzFile(t, list...)
	}
	nan := f(1, 0)
	nan.Data = []byte(strings.Repeat("\xff", 16))
	tests := []struct {
		name, file, content string
		opts                spike.ReadOptions
		want                error
		row                 int
		message             string
	}{
		{"npy: bools", "a.npy", npyFile(t, array(t, []bool{true})), s, spike.ErrFormat, 0, `it holds "|b1"`},
		{"npy: 2^53+1", "a.npy", npyFile(t, array(t, []int64{1, 1<<53 + 1})), s, spike.ErrFormat, 2, "9007199254740993 is beyond 2^53"},
		{"npy: 2^60", "a.npy", npyFile(t, array(t, []uint64{1, 1 << 60})), s, spike.ErrFormat, 2, "beyond 2^53"},
		{"npy: rows beyond 2^53", "a.npy", npyFile(t, array(t, []int64{0, 1, 0, 1<<53 + 1}, 2, 2)), s, spike.ErrFormat, 2, "beyond 2^53"},
		{"npy: nan", "a.npy", npyFile(t, nan), s, spike.ErrTimes, 1, "nan"},
		{"npy: nan in a row", "a.npy", npyFile(t, npy.Array{Type: nan.Type, Shape: []int{1, 2}, Data: nan.Data}), s, spike.ErrFormat, 1, "the train is nan"},
		{"npy: negative sample", "a.npy", npyFile(t, array(t, []int32{1, -1})), khz, spike.ErrTimes, 2, "before t_start"},
		{"npy: half a train", "a.npy", npyFile(t, array(t, []float64{0, 1, 0.5, 1}, 2, 2)), s, spike.ErrFormat, 2, "the train is 0.5"},
		{"npy: late row", "a.npy", npyFile(t, array(t, append(make([]float64, 10000), 0, -1), 5001, 2)), s, spike.ErrTimes, 5001, "before t_start"},
		{"npz: empty file", "a.npz", "", s, spike.ErrFormat, 0, "no .npz file"},
		{"npz: cut", "a.npz", ragged("", ones)[:500], s, spike.ErrFormat, 0, "no .npz file or is cut off"},
		{"npz: no arrays", "a.npz", npzFile(t), s, spike.ErrFormat, 0, "no arrays"},
		{"npz: unknown names", "a.npz", npzFile(t, "a", ones, "b", ones), s, spike.ErrFormat, 0, `array "a" is not wanted here, want one of times, named time, times, spike_time or spike_times and its unit as in time_ms, and one of trains, named train, trains, train_id, unit, unit_id, neuron, cluster, clusters, cluster_id, spike_clusters; or choose with ReadOptions.TimeColumn and ReadOptions.TrainColumn`},
		{"npz: counts differ", "a.npz", npzFile(t, "times", ones, "train", f(1)), s, spike.ErrFormat, 0, "array times has 2 rows and array train 1"},
		{"npz: times of wrong shape", "a.npz", npzFile(t, "times", array(t, make([]float64, 4), 2, 2)), s, spike.ErrFormat, 0, "its shape is [2 2]"},
		{"npz: positional", "a.npz", npzFile(t, "arr_0", ones, "arr_1", f(1, -1)), s, spike.ErrTimes, 2, "array arr_1"},
		{"npz: times are text", "a.npz", npzFile(t, "times", array(t, []string{"x"})), s, spike.ErrFormat, 0, `it holds "<U1"`},
		{"npz: empty name", "a.npz", npzFile(t, "times", ones, "train", array(t, []string{"a", ""})), s, spike.ErrFormat, 2, "does not name its train"},
		{"npz: no unit", "a.npz", npzFile(t, "times", ones), spike.ReadOptions{}, unit.ErrDimension, 0, "unit of its times"},
		{"npz: index falls", "a.npz", ragged("index", array(t, []int64{4, 3})), spike.ReadOptions{}, spike.ErrFormat, 0, "index: row 1 is 4"},
		{"npz: index negative", "a.npz", ragged("index", array(t, []int64{-1, 3})), spike.ReadOptions{}, spike.ErrFormat, 0, "index: row 1 is -1"},
		{"npz: index short", "a.npz", ragged("index", array(t, []int64{1, 2})), spike.ReadOptions{}, spike.ErrFormat, 0, "index ends at 2, want 3"},
		{"npz: names short", "a.npz", ragged("names", array(t, []string{"a"})), spike.ReadOptions{}, spike.ErrFormat, 0, "array names has 1 rows, want 2"},
		{"npz: unit unknown", "a.npz", ragged("units", array(t, []string{"s", "x"})), spike.ReadOptions{}, unit.ErrSyntax, 0, "train 1"},
		{"npz: outside", "a.npz", ragged("t_stop", f(5, 2.5)), spike.ReadOptions{}, spike.ErrTimes, 0, "train 1: spike 1"},
		{"npz: bound nan", "a.npz", ragged("t_stop", nan), spike.ReadOptions{}, spike.ErrInterval, 0, "t_stop"},
		{"npz: name no UTF-8", "a.npz", ragged("names", npy.Array{Type: npy.Type{Kind: npy.Bytes, Size: 1}, Shape: []int{2}, Data: []byte("a\xff")}), spike.ReadOptions{}, spike.ErrFormat, 0, "no UTF-8"},
		{"npz: contradiction", "a.npz", ragged("", ones), s, spike.ErrFormat, 0, "in ms, not in s"},
		{"npz: rate", "a.npz", ragged("", ones), khz, spike.ErrFormat, 0, "sampling rate"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkFileError(t, writeFile(t, c.file, c.content), c.opts, c.want, c.row, c.message)
		})
	}
}

func TestReadFolderRefuses(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"spike_times.npy":       npyFile(t, array(t, []uint64{30, 7, 12})),
		"spike_clusters.npy":    npyFile(t, array(t, []int32{1, 2, 1})),
		"params.py":             "x = 1\nsample_rate = 30000\n",
		"cluster_group.tsv":     "cluster_id\tgroup\n1\tmua\n2\tnoise\n",
		"cluster_KSLabel.tsv":   "",
		"spike_templates.npy":   "",
		"cluster_info.tsv":      "",
		"cluster_Amplitude.tsv": "",
	}
	labels := spike.ReadOptions{Labels: []string{"good", "fine"}}
	none := spike.ReadOptions{}
	tests := []struct {
		name, file, content string // of the file that is changed; a content of "-" removes it
		opts                spike.ReadOptions
		blame               string
		want                error
		row                 int
		message             string
	}{
		{"no times", "spike_times.npy", "-", none, "", spike.ErrFormat, 0, "no result of Kilosort"},
		{"times cut", "spike_times.npy", good["spike_times.npy"][:140], none, "spike_times.npy", spike.ErrFormat, 0, "12 bytes of data, want 3 items of 8"},
		{"clusters cut", "spike_clusters.npy", good["spike_clusters.npy"][:139], none, "spike_clusters.npy", spike.ErrFormat, 0, "11 bytes of data"},
		{"counts differ", "spike_clusters.npy", npyFile(t, array(t, []int32{1, 2})), none, "spike_clusters.npy", spike.ErrFormat, 0, "it has 2 rows, want 3 as spike_times.npy"},
		{"no clusters", "spike_clusters.npy", "-", none, "spike_templates.npy", spike.ErrFormat, 0, "too short"},
		{"times of two columns", "spike_times.npy", npyFile(t, array(t, make([]int64, 6), 3, 2)), none, "spike_times.npy", spike.ErrFormat, 0, "its shape is [3 2]"},
		{"half a sample", "spike_times.npy", npyFile(t, array(t, []float64{1, 2.5, 3})), none, "spike_times.npy", spike.ErrTimes, 2, "2.5 is not a whole number"},
		{"sample before 0", "spike_times.npy", npyFile(t, array(t, []int64{1, 2, -3})), none, "spike_times.npy", spike.ErrTimes, 3, "before t_start"},
		{"sample beyond 2^53", "spike_times.npy", npyFile(t, array(t, []uint64{1, 1<<53 + 1, 3})), none, "spike_times.npy", spike.ErrFormat, 2, "beyond 2^53"},
		{"half a cluster", "spike_clusters.npy", npyFile(t, array(t, []float32{1, 2, 2.5})), none, "spike_clusters.npy", spike.ErrFormat, 3, "the train is 2.5"},
		{"no params", "params.py", "-", none, "params.py", fs.ErrNotExist, 0, "sampling rate is not known"},
		{"no rate", "params.py", "x = 1\n# sample_rate = 2\n", none, "params.py", spike.ErrFormat, 0, "does not assign sample_rate"},
		{"computed rate", "params.py", "x = 1\nsample_rate = 3e4 * x\n", none, "params.py", spike.ErrFormat, 2, `"3e4 * x", want a number`},
		{"rate of 0", "params.py", "sample_rate = 0\n", none, "params.py", spike.ErrFormat, 1, "want a number"},
		{"other rate", "", "", spike.ReadOptions{SamplingRate: unit.KHz(25)}, "params.py", spike.ErrFormat, 0, "30000.0 Hz, not 25.0 kHz"},
		{"rate no rate", "", "", spike.ReadOptions{SamplingRate: unit.Rate{Value: 1, Unit: unit.Second}}, "params.py", unit.ErrDimension, 0, "sampling rate"},
		{"unit no time", "", "", spike.ReadOptions{Unit: unit.Hertz}, "", unit.ErrDimension, 0, "Hz is not a unit of time"},
		{"columns", "", "", spike.ReadOptions{TimeColumn: "t"}, "", spike.ErrFormat, 0, "column"},
		{"after t_stop", "", "", spike.ReadOptions{TStop: unit.Milliseconds(0.9)}, "spike_times.npy", spike.ErrTimes, 1, "after t_stop"},
		{"no such label", "", "", labels, "", spike.ErrFormat, 0, "labelled good or fine; there are mua, noise"},
		{"no labels", "cluster_group.tsv", "-", labels, "", spike.ErrFormat, 0, "labels its clusters"},
		{"no column of ids", "cluster_group.tsv", "x\tgroup\n1\tgood\n", labels, "cluster_group.tsv", spike.ErrFormat, 1, "no column cluster_id"},
		{"id no number", "cluster_group.tsv", "id\tgroup\n1\tgood\nx\tgood\n", labels, "cluster_group.tsv", spike.ErrFormat, 3, `the cluster is "x"`},
		{"short row", "cluster_group.tsv", "id\tgroup\n1\n", labels, "cluster_group.tsv", spike.ErrFormat, 2, "wrong number of fields"},
		{"labelled twice", "cluster_group.tsv", "id\tgroup\n1\tgood\n1\tmua\n", labels, "cluster_group.tsv", spike.ErrFormat, 3, "cluster 1 is labelled good and mua"},
		{"open quote", "cluster_group.tsv", "id\tgroup\n1\t\"good\n", labels, "cluster_group.tsv", spike.ErrFormat, 2, "quote"},
		{"no spikes", "spike_times.npy", npyFile(t, array(t, []int64{})), none, "spike_clusters.npy", spike.ErrFormat, 0, "3 rows, want 0"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for name, content := range good {
				if name == c.file {
					content = c.content
				}
				if content == "-" {
					continue
				}
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			trains, err := spike.ReadFile(folder, c.opts)
			var file *spike.FileError
			if !errors.Is(err, c.want) || !errors.As(err, &file) || trains != nil {
				t.Fatalf("got %v and error %v, want one that is %q", trains, err, c.want)
			}
			if file.Path != filepath.Join(folder, c.blame) || file.Row != c.row {
				t.Errorf("error %v is about %s, row %d, want %s, row %d", err, file.Path, file.Row, c.blame, c.row)
			}
			if !strings.Contains(err.Error(), c.message) || strings.Count(err.Error(), folder) != 1 {
				t.Errorf("error %q, want the folder once and %q", err, c.message)
			}
		})
	}
}

func TestWriteFileRefuses(t *testing.T) {
	t.Parallel()
	train := func(name string, times ...float64) spike.Train {
		return spike.Train{Name: name, Times: times, Unit: unit.Second, TStop: 10}
	}
	ms := train("b", 1)
	ms.Unit = unit.Millisecond
	endless := train("a", 1)
	endless.TStop = 1 / endless.TStart
	tests := []struct {
		name, file string
		trains     []spike.Train
		want       error
		message    string
	}{
		{"no trains", "a.json", nil, spike.ErrNoTrains, "no trains"},
		{"ending", "a.xls", []spike.Train{train("a", 1)}, spike.ErrFormat, `cannot write ".xls" files`},
		{"time outside", "a.json", []spike.Train{train("a", 1), train("b", 11)}, spike.ErrTimes, "train 1: bad spike times: spike 0 at 11.0 s"},
		{"endless", "a.json", []spike.Train{endless}, spike.ErrInterval, "not finite"},
		{"no UTF-8", "a.json", []spike.Train{train("\xff", 1)}, spike.ErrFormat, "no UTF-8"},
		{"two units", "a.csv", []spike.Train{train("a", 1), ms}, spike.ErrMixedUnits, "train 1"},
		{"silent", "a.csv", []spike.Train{train("a", 1), train("b")}, spike.ErrFormat, "train 1: bad file: it is silent"},
		{"name twice", "a.tsv", []spike.Train{train("a", 1), train("b", 1), train("a", 1)}, spike.ErrFormat, "train 2: bad file: its name, \"a\", is that of train 0"},
		{"no name", "a.tsv", []spike.Train{train("a", 1), train("", 1)}, spike.ErrFormat, "has no name"},
		{"space", "a.csv", []spike.Train{train("a ", 1)}, spike.ErrFormat, "space around it"},
		{"line feed", "a.csv", []spike.Train{train("a\nb", 1)}, spike.ErrFormat, "control character"},
		{"NUL", "a.npz", []spike.Train{train("a\x00", 1)}, spike.ErrFormat, "names"},
		{"folder", "folder.json", []spike.Train{train("a", 1)}, nil, "it is a folder"},
		{"no folder", "absent/a.json", []spike.Train{train("a", 1)}, fs.ErrNotExist, "no such file"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "folder.json"), 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, c.file)
			err := spike.WriteFile(path, c.trains)
			var file *spike.FileError
			if !errors.As(err, &file) || file.Path != path || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("error %v, want one that is %q", err, c.want)
			}
			if !strings.Contains(err.Error(), c.message) && runtime.GOOS != "windows" {
				t.Errorf("error %q, want %q", err, c.message)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("there are %d files, want nothing but the folder", len(left))
			}
		})
	}
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	trains := []spike.Train{
		{Name: "#1, a", Times: []float64{0.5, 2}, Unit: unit.Millisecond, TStop: 3},
		{Name: "b", Times: []float64{1}, Unit: unit.Millisecond, TStop: 3},
	}
	var b strings.Builder
	if err := spike.WriteCSV(&b, trains); err != nil {
		t.Fatal(err)
	}
	diff(t, "text", b.String(), "train,time_ms\n\"#1, a\",0.5\n\"#1, a\",2.0\nb,1.0\n")
	got, err := spike.ReadFile(writeFile(t, "a.csv", b.String()), spike.ReadOptions{TStop: unit.Milliseconds(3)})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "what is read back", got, trains)
	for name, c := range map[string]struct {
		bad  spike.Train
		want error
	}{
		"other unit": {spike.Train{Name: "c", Times: []float64{1}, Unit: unit.Second, TStop: 3}, spike.ErrMixedUnits},
		"silent":     {spike.Train{Name: "c", Unit: unit.Millisecond, TStop: 3}, spike.ErrFormat},
		"no train":   {spike.Train{Name: "c", Times: []float64{4}, Unit: unit.Millisecond, TStop: 3}, spike.ErrTimes},
	} {
		b.Reset()
		err := spike.WriteCSV(&b, append(trains[:2:2], c.bad))
		if blamed := (*spike.TrainError)(nil); !errors.As(err, &blamed) || blamed.Index != 2 || !errors.Is(err, c.want) || b.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want %v", name, err, b.Len(), c.want)
		}
	}
	if err := spike.WriteCSV(&b, nil); !errors.Is(err, spike.ErrNoTrains) {
		t.Errorf("no trains: error %v", err)
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	many := make([]spike.Train, 12)
	for i := range many {
		many[i] = spike.Train{Times: []float64{float64(i)}, Unit: unit.Second, TStop: 20}
	}
	if err := spike.WriteFile(path, many); err != nil {
		t.Fatal(err)
	}
	got, err := spike.ReadFile(path, spike.ReadOptions{TStop: unit.Seconds(20)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		many[i].Name = strconv.Itoa(i)
	}
	diff(t, "trains without names", got, many)
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, error %v", info.Mode(), err)
	}
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink("target.json", link); err == nil {
		for range 2 {
			if err := spike.WriteFile(link, many[:1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 3 {
		t.Errorf("there are %d files", len(left))
	}
}

func TestWriteFileToAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	trains := []spike.Train{{Times: make([]float64, 20000), Unit: unit.Second, TStop: 1}, {Name: "x", Times: []float64{1}, Unit: unit.Second, TStop: 1}}
	trains[0].Name = "y"
	for _, ext := range []string{".csv", ".tsv", ".npz", ".json"} {
		link := filepath.Join(t.TempDir(), "full"+ext)
		if err := os.Symlink("/dev/full", link); err != nil {
			t.Fatal(err)
		}
		err := spike.WriteFile(link, trains)
		var file *spike.FileError
		if !errors.As(err, &file) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: error %v", ext, err)
		}
	}
}

// TestReadTakesNoMoreThanTheTrains reads files of 100 MB and 12 MB that are holes
// but for their headers.
func TestReadTakesNoMoreThanTheTrains(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are not mapped here")
	}
	hole := func(path string, kind string, n, size int) {
		text := fmt.Sprintf("{'descr': '<%s', 'fortran_order': False, 'shape': (%d,), }", kind, n)
		head := "\x93NUMPY\x01\x00\x76\x00" + text + strings.Repeat(" ", 118-len(text))
		if err := os.WriteFile(path, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(len(head)+n*size)); err != nil {
			t.Skip("no sparse files here:", err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "a.npy")
	hole(file, "f8", 13<<20, 8)
	hole(filepath.Join(dir, "spike_times.npy"), "i8", 1<<20, 8)
	hole(filepath.Join(dir, "spike_clusters.npy"), "i4", 1<<20, 4)
	for path, n := range map[string]int{file: 13 << 20, dir: 1 << 20} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		trains, err := spike.ReadFile(path, spike.ReadOptions{SamplingRate: unit.KHz(30)})
		runtime.ReadMemStats(&after)
		if err != nil || len(trains) != 1 || len(trains[0].Times) != n {
			t.Fatalf("%d trains, error %v", len(trains), err)
		}
		if grown, want := after.TotalAlloc-before.TotalAlloc, uint64(8*n); grown > want+want/50+1<<18 {
			t.Errorf("%s: reading took %d bytes for %d of trains", path, grown, want)
		}
	}
}

var textEndings = []string{".csv", ".tsv", ".txt", ".npy", ".npz", ".json"}

// FuzzReadFile feeds files of every kind: whatever they hold, the answer is an
// error or trains that keep the rules, and that WriteFile writes and ReadFile
// reads again.
func FuzzReadFile(f *testing.F) {
	f.Add(uint8(0), false, []byte("train,time_ms\n0,1.5\n1,2\n"))
	f.Add(uint8(0), false, []byte("\xef\xbb\xbf# x\ntime [s]\n1e3\n"))
	f.Add(uint8(0), true, []byte("sample,unit\n1,\"a\"\"\nb\"\n\"2\",\"x\""))
	for _, name := range []string{"f8", "f4_v2", "big_endian_v3", "i8", "rows", "rows_fortran", "bad_fields"} {
		data, err := os.ReadFile("testdata/" + name + ".npy")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(3), name == "i8", data)
	}
	for _, name := range []string{"pandas.csv", "quoted.csv", "pandas.tsv", "savetxt.txt", "samples.txt", "columns.npz", "samples.npz", "named.npz", "positional.npz", "written.npz", "written.json", "neo.json", "bare.json"} {
		data, err := os.ReadFile("testdata/files/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(slices.Index(textEndings, filepath.Ext(name))), strings.HasPrefix(name, "samples"), data)
	}
	f.Fuzz(func(t *testing.T, kind uint8, samples bool, data []byte) {
		ext := textEndings[int(kind)%len(textEndings)]
		opts := spike.ReadOptions{Unit: unit.Second}
		if samples {
			opts.SamplingRate = unit.KHz(30)
		}
		path := writeFile(t, "a"+ext, string(data))
		trains, err := spike.ReadFile(path, opts)
		if err != nil && strings.Contains(err.Error(), "not in s") {
			trains, err = spike.ReadFile(path, spike.ReadOptions{})
		}
		checkTrains(t, trains, err, ext != ".npz", len(data))
		if err != nil {
			return
		}
		for _, ext := range []string{".npz", ".json"} {
			path := filepath.Join(t.TempDir(), "b"+ext)
			if err := spike.WriteFile(path, trains); errors.Is(err, spike.ErrFormat) && slices.ContainsFunc(trains, func(train spike.Train) bool { return strings.HasSuffix(train.Name, "\x00") }) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			again, err := spike.ReadFile(path, spike.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(trains, again); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// checkTrains checks what ReadFile gave of a file of so many bytes.
func checkTrains(t *testing.T, trains []spike.Train, err error, plain bool, bytes int) {
	t.Helper()
	if err != nil {
		var file *spike.FileError
		if trains != nil || !errors.As(err, &file) || file.Row < 0 {
			t.Fatalf("%d trains and error %v", len(trains), err)
		}
		return
	}
	n := 0
	for _, train := range trains {
		if err := train.Validate(); err != nil || !utf8.ValidString(train.Name) {
			t.Fatalf("train %q: error %v", train.Name, err)
		}
		n += len(train.Times)
	}
	if plain && n > bytes || len(trains) == 0 {
		t.Fatalf("%d trains of %d spikes from %d bytes", len(trains), n, bytes)
	}
}

func FuzzReadFolder(f *testing.F) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/files/" + name)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	f.Add(read("phy/spike_times.npy"), read("phy/spike_clusters.npy"), read("phy/params.py"), read("phy/cluster_info.tsv"), true)
	f.Add(read("kilosort2/spike_times.npy"), read("kilosort2/spike_clusters.npy"), read("kilosort4/params.py"), []byte("id\tgroup\r\n0\t\"good\""), true)
	f.Add(read("matlab/spike_times.npy"), read("matlab/spike_clusters.npy"), []byte("sample_rate = 3e4"), []byte(nil), false)
	f.Fuzz(func(t *testing.T, times, clusters, params, info []byte, labels bool) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"spike_times.npy": times, "spike_clusters.npy": clusters, "params.py": params, "cluster_info.tsv": info} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		opts := spike.ReadOptions{}
		if labels {
			opts.Labels = []string{"good", "unsorted"}
		}
		trains, err := spike.ReadFile(dir, opts)
		checkTrains(t, trains, err, true, len(times))
	})
}

// BenchmarkReadFile reads a million spikes of 100 trains, in MB of the file.
func BenchmarkReadFile(b *testing.B) {
	const n = 1 << 20
	trains := make([]spike.Train, 100)
	times, clusters := make([]int64, n), make([]int32, n)
	rng := newRand(1)
	at := int64(0)
	for i := range times {
		at += int64(rng.ExpFloat64() * 30)
		times[i] = at
		k := int(rng.Float64() * 100)
		clusters[i] = int32(k)
		trains[k].Times = append(trains[k].Times, float64(at)/30)
	}
	short := make([]spike.Train, len(trains))
	for k := range trains {
		trains[k].Unit = unit.Millisecond
		trains[k].TStop = float64(at) / 30
		short[k] = trains[k]
		short[k].Times = slices.Clone(trains[k].Times)
		for i, t := range short[k].Times {
			v, err := strconv.ParseFloat(strconv.FormatFloat(t, 'f', 4, 64), 64)
			if err != nil {
				b.Fatal(err)
			}
			short[k].Times[i] = min(v, short[k].TStop)
		}
	}
	dir := b.TempDir()
	for name, list := range map[string][]spike.Train{"long.csv": trains, "short.csv": short, "a.json": short, "a.npz": trains} {
		if err := spike.WriteFile(filepath.Join(dir, name), list); err != nil {
			b.Fatal(err)
		}
	}
	rows := make([]float64, 0, 2*n)
	for i := range times {
		rows = append(rows, float64(clusters[i]), float64(times[i]))
	}
	for name, a := range map[string]npy.Array{"times.npy": array(b, times), "rows.npy": array(b, rows, n, 2), "spike_times.npy": array(b, times), "spike_clusters.npy": array(b, clusters)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(npyFile(b, a)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, name := range []string{"short.csv", "long.csv", "a.json", "a.npz", "times.npy", "rows.npy", "."} {
		path := filepath.Join(dir, name)
		opts := spike.ReadOptions{}
		size := int64(12 * n)
		if name != "." {
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			size = info.Size()
		}
		if name == "." || filepath.Ext(name) == ".npy" {
			opts.SamplingRate = unit.KHz(30)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := spike.ReadFile(path, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
