package spike_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadCSV(t *testing.T) {
	t.Parallel()
	const ms = unit.Millisecond
	tests := []struct {
		name, content string
		opts          spike.ReadOptions
		want          []spike.Train
	}{
		{"two trains", "train,time_ms\n0,1.5\n1,2\n0,3\n", spike.ReadOptions{}, []spike.Train{
			{Name: "0", Times: []float64{1.5, 3}, Unit: ms, TStop: 3}, {Name: "1", Times: []float64{2}, Unit: ms, TStop: 3}}},
		{"in order of numbers", "unit_id,time [ms]\n10,1\n9,2\n10,0.5\n", spike.ReadOptions{}, []spike.Train{
			{Name: "9", Times: []float64{2}, Unit: ms, TStop: 2}, {Name: "10", Times: []float64{1, 0.5}, Unit: ms, TStop: 2}}},
		{"in order of appearance", "Spike_Times (ms),Neuron\n1,b\n2,a\n3,10\n", spike.ReadOptions{}, []spike.Train{
			{Name: "b", Times: []float64{1}, Unit: ms, TStop: 3}, {Name: "a", Times: []float64{2}, Unit: ms, TStop: 3}, {Name: "10", Times: []float64{3}, Unit: ms, TStop: 3}}},
		{"one train", "time_ms\n1\n2\n", spike.ReadOptions{}, []spike.Train{{Times: []float64{1, 2}, Unit: ms, TStop: 2}}},
		{"one silent train", "time_ms\n", spike.ReadOptions{TStop: unit.Seconds(1)}, []spike.Train{{Unit: ms, TStop: 1000}}},
		{"unit from outside", "train,time\na,1\n", spike.ReadOptions{Unit: ms}, []spike.Train{{Name: "a", Times: []float64{1}, Unit: ms, TStop: 1}}},
		{"unit from both", "time_ms\n1\n", spike.ReadOptions{Unit: ms}, []spike.Train{{Times: []float64{1}, Unit: ms, TStop: 1}}},
		{"bounds", "time_ms\n1\n", spike.ReadOptions{TStart: unit.Seconds(-1), TStop: unit.Seconds(0.7)}, []spike.Train{{Times: []float64{1}, Unit: ms, TStart: -1000, TStop: 700}}},
		{"comments, spaces, Windows", "\xef\xbb\xbf# a file\r\ntrain, time_ms\r\n 0 , 1.5 \r\n", spike.ReadOptions{}, []spike.Train{{Name: "0", Times: []float64{1.5}, Unit: ms, TStop: 1.5}}},
		{"index of pandas", ",train,time_ms\n0,a,1.5\n1,a,2\n", spike.ReadOptions{}, []spike.Train{{Name: "a", Times: []float64{1.5, 2}, Unit: ms, TStop: 2}}},
		{"index of pandas, one train", "\"\",time_ms\n\"0\",1.5\n\"1\",2\n", spike.ReadOptions{}, []spike.Train{{Times: []float64{1.5, 2}, Unit: ms, TStop: 2}}},
		{"any index beside chosen columns", ",a,t_ms\nx,b,1.5\n", spike.ReadOptions{TrainColumn: "a", TimeColumn: "t_ms"}, []spike.Train{{Name: "b", Times: []float64{1.5}, Unit: ms, TStop: 1.5}}},
		{"as Kilosort names them", "spike_clusters,spike_times\n3,1\n", spike.ReadOptions{Unit: ms}, []spike.Train{{Name: "3", Times: []float64{1}, Unit: ms, TStop: 1}}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := spike.ReadFile(writeFile(t, "trains.CSV", c.content), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, c.want)
			for _, train := range got {
				if err := train.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestReadNPY(t *testing.T) {
	t.Parallel()
	rows := []spike.Train{
		{Name: "-1", Times: []float64{1.25}, Unit: unit.Second, TStop: 1.25},
		{Name: "7", Times: []float64{0.5, 0.75}, Unit: unit.Second, TStop: 1.25},
	}
	one := []spike.Train{{Times: []float64{0.5, 1.25, 0.75}, Unit: unit.Second, TStop: 1.25}}
	tests := []struct {
		name string
		want []spike.Train
	}{
		{"f8", one}, {"f4_v2", one}, {"big_endian_v3", one},
		{"i8", []spike.Train{{Times: []float64{5, 12, 7}, Unit: unit.Second, TStop: 12}}},
		{"empty", []spike.Train{{Unit: unit.Second}}},
		{"rows", rows}, {"rows_fortran", rows},
		{"rows_i8", []spike.Train{
			{Name: "-4", Times: []float64{5}, Unit: unit.Second, TStop: 5},
			{Name: "28", Times: []float64{2, 3}, Unit: unit.Second, TStop: 5},
		}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := spike.ReadFile("testdata/"+c.name+".npy", spike.ReadOptions{Unit: unit.Second})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, c.want)
		})
	}
}

func TestReadFileRefuses(t *testing.T) {
	t.Parallel()
	npy, err := os.ReadFile("testdata/f8.npy")
	if err != nil {
		t.Fatal(err)
	}
	good := string(npy)
	s := spike.ReadOptions{Unit: unit.Second}
	tests := []struct {
		name, file, content string
		opts                spike.ReadOptions
		want                error
		row                 int
		message             string
	}{
		{"extension", "a.xls", "1", s, spike.ErrFormat, 0, `cannot read ".xls" files, want .csv`},
		{"empty csv", "a.csv", "", s, spike.ErrFormat, 0, "empty"},
		{"no rows", "a.csv", "train,time_s\n", s, spike.ErrFormat, 0, "no rows"},
		{"no header", "a.csv", "0,1.5\n", s, spike.ErrFormat, 1, "the line of column names is missing: begin with one such as \"train,time_ms\""},
		{"no times", "a.csv", "train\n1\n", s, spike.ErrFormat, 1, "no column of times"},
		{"two times", "a.csv", "time_s,time_ms\n1,1\n", s, spike.ErrFormat, 1, `column "time_ms"`},
		{"unknown column", "a.csv", "train,time_s,amplitude\n1,1,1\n", s, spike.ErrFormat, 1, `column "amplitude"`},
		{"no header, one column", "a.csv", "1.5\n2\n", s, spike.ErrFormat, 1, `such as "time_ms"`},
		{"no header between tabs", "a.tsv", "0\t1.5\t7\n", s, spike.ErrFormat, 1, `such as "train\ttime_ms"`},
		{"index of a filtered table", "a.csv", ",train,time_ms\n0,a,1.5\n2,a,2\n", spike.ReadOptions{}, spike.ErrFormat, 3, `it is "2", want 1; name it, or write the file without it (in pandas with index=False)`},
		{"index of texts", "a.csv", ",time_ms\na,1.5\n", spike.ReadOptions{}, spike.ErrFormat, 2, "index=False"},
		{"second column without name", "a.csv", "time_ms,\n1.5,2\n", spike.ReadOptions{}, spike.ErrFormat, 1, `column "" is not wanted`},
		{"no ending", "trains", "time_ms\n1\n", s, spike.ErrFormat, 0, "no ending to say what it is, want .csv, .tsv"},
		{"lone carriage returns", "a.csv", "time_ms\r1\r2\r", s, spike.ErrFormat, 1, "a carriage return alone"},
		{"lone carriage returns in .txt", "a.txt", "1\r2\r3", s, spike.ErrFormat, 1, "a carriage return alone"},
		{"row of commas", "a.csv", "train,time_s\n0,1\n,\n", s, spike.ErrFormat, 3, "it has no time"},
		{"row of too many commas", "a.csv", "train,time_s\n0,1\n,,,\n", s, spike.ErrFormat, 3, "it has no time"},
		{"only units of time", "a.csv", "time_parsec\n1\n", s, unit.ErrSyntax, 1, `is not a unit of time (want one of s, ms, us, ns, ps, min, h, d)`},
		{"unknown unit", "a.csv", "time_parsec\n1\n", s, unit.ErrSyntax, 1, `"parsec" is not a unit`},
		{"no time", "a.csv", "time_Hz\n1\n", spike.ReadOptions{}, unit.ErrDimension, 1, "Hz is not a unit of time"},
		{"no unit", "a.csv", "time\n1\n", spike.ReadOptions{}, unit.ErrDimension, 1, "does not say the unit of its times: give it with ReadOptions.Unit"},
		{"other unit", "a.csv", "time_ms\n1\n", s, spike.ErrFormat, 1, "in ms, not in s"},
		{"no number", "a.csv", "train,time_s\n0,1\n0,x\n", s, spike.ErrFormat, 3, `the time "x" is not a number`},
		{"nan", "a.csv", "time_s\n1\nnan\n", s, spike.ErrTimes, 3, "the time is nan"},
		{"too large", "a.csv", "time_s\n1e999\n", s, spike.ErrFormat, 2, "not a number"},
		{"no train", "a.csv", "train,time_s\n,1\n", s, spike.ErrFormat, 2, "does not name its train"},
		{"short row", "a.csv", "train,time_s\n0,1\n1\n", s, spike.ErrFormat, 3, "wrong number of fields"},
		{"open quote", "a.csv", "train,time_s\n0,1\n\"1,2\n", s, spike.ErrFormat, 3, "quote"},
		{"before t_start", "a.csv", "time_s\n1\n-1\n", s, spike.ErrTimes, 3, "-1.0 s is before t_start (0.0 s)"},
		{"after t_stop", "a.csv", "time_s\n1\n3\n", spike.ReadOptions{TStop: unit.Milliseconds(2000)}, spike.ErrTimes, 3, "3.0 s is after t_stop (2.0 s)"},
		{"bounds reversed", "a.csv", "time_s\n", spike.ReadOptions{TStart: unit.Seconds(3), TStop: unit.Seconds(2)}, spike.ErrInterval, 1, "before t_start"},
		{"t_start no time", "a.csv", "time_s\n", spike.ReadOptions{TStart: unit.Time{Value: 3, Unit: unit.Hertz}}, unit.ErrDimension, 1, "t_start"},
		{"t_stop no time", "a.csv", "time_s\n", spike.ReadOptions{TStop: unit.Time{Value: 3}}, unit.ErrDimension, 1, "t_stop"},
		{"empty npy", "a.npy", "", s, spike.ErrFormat, 0, "too short"},
		{"no npy", "a.npy", "time_s\n1\n2\n3\n", s, spike.ErrFormat, 0, "not a .npy file"},
		{"npy without unit", "a.npy", good, spike.ReadOptions{}, unit.ErrDimension, 0, "does not say the unit"},
		{"npy cut", "a.npy", good[:len(good)-1], s, spike.ErrFormat, 0, "23 bytes of data, want 3 items of 8"},
		{"npy with more", "a.npy", good + "\x00", s, spike.ErrFormat, 0, "25 bytes"},
		{"npy header cut", "a.npy", good[:40], s, spike.ErrFormat, 0, "header ends early"},
		{"npy version", "a.npy", good[:6] + "\x09" + good[7:], s, spike.ErrFormat, 0, "version 9.0"},
		{"npy long header", "a.npy", good[:6] + "\x02\x00\xff\xff\xff\xff" + good[10:], s, spike.ErrFormat, 0, "4294967295 bytes"},
		{"npy huge shape", "a.npy", strings.Replace(good, "(3,), }          ", "(2305843009213693952,), }", 1), s, spike.ErrFormat, 0, "want 2305843009213693952 items"},
		{"npy negative shape", "a.npy", strings.Replace(good, "(3,), } ", "(-3,), }", 1), s, spike.ErrFormat, 0, "shape"},
		{"npy missing key", "a.npy", strings.Replace(good, "'fortran_order': False, ", "                        ", 1), s, spike.ErrFormat, 0, "lacks"},
		{"npy header not opened", "a.npy", strings.Replace(good, "{", " ", 1), s, spike.ErrFormat, 0, "no dictionary"},
		{"npy header not closed", "a.npy", strings.Replace(good, "}", " ", 1), s, spike.ErrFormat, 0, "no dictionary"},
		{"npy shape not opened", "a.npy", strings.Replace(good, "(", " ", 1), s, spike.ErrFormat, 0, "shape"},
		{"npy shape not closed", "a.npy", strings.Replace(good, ")", " ", 1), s, spike.ErrFormat, 0, "shape"},
		{"npy key twice", "a.npy", strings.Replace(good, "'fortran_order': False", "'descr': '<f8'        ", 1), s, spike.ErrFormat, 0, "malformed"},
		{"npy unknown key", "a.npy", strings.Replace(good, "fortran_order", "fortran_odor_", 1), s, spike.ErrFormat, 0, "unknown key"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, c.file, c.content)
			checkFileError(t, path, c.opts, c.want, c.row, c.message)
		})
	}
	for name, message := range map[string]string{
		"bad_complex": `it holds "<c16"`, "bad_fields": "it has fields", "bad_shape": "its shape is [3 4]", "bad_scalar": "its shape is []",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFileError(t, "testdata/"+name+".npy", s, spike.ErrFormat, 0, message)
		})
	}
	t.Run("no file", func(t *testing.T) {
		t.Parallel()
		checkFileError(t, filepath.Join(t.TempDir(), "absent.csv"), s, fs.ErrNotExist, 0, "no such file")
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		checkFileError(t, t.TempDir(), s, spike.ErrFormat, 0, "without spike_times.npy")
	})
}

func checkFileError(t *testing.T, path string, opts spike.ReadOptions, want error, row int, message string) {
	t.Helper()
	trains, err := spike.ReadFile(path, opts)
	if !errors.Is(err, want) || trains != nil {
		t.Fatalf("got %v and error %v, want one that is %q", trains, err, want)
	}
	var file *spike.FileError
	if !errors.As(err, &file) || file.Path != path || file.Row != row {
		t.Errorf("error %v has row %d, want %d", err, file.Row, row)
	}
	if !strings.Contains(err.Error(), message) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("error %q, want path once and %q", err, message)
	}
}
