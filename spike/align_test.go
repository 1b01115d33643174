package spike_test

import (
	"errors"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// namedTrain is a train of a golden file with its name.
type namedTrain struct {
	goldenTrain
	Name string
}

func (g namedTrain) train() spike.Train {
	train := g.goldenTrain.train()
	train.Name = g.Name
	return train
}

// check compares a train, of which times may be nil for none.
func (g namedTrain) check(t *testing.T, what string, got spike.Train) {
	t.Helper()
	if got.Times == nil {
		got.Times = []float64{}
	}
	diff(t, what, got, g.train())
	if err := got.Validate(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

type goldenAlign struct {
	Slices []struct {
		Name, Refuse string
		Train, Want  namedTrain
		TStart       hexQuantity `json:"t_start"`
		TStop        hexQuantity `json:"t_stop"`
	}
	Merges []struct {
		Name, Refuse string
		Trains       []namedTrain
		Want         namedTrain
	}
	Trials []struct {
		Name, Refuse  string
		Train         namedTrain
		Events        []hexFloat
		Unit          unit.Unit
		Before, After hexQuantity
		Want          []namedTrain
	}
}

func TestSliceGolden(t *testing.T) {
	t.Parallel()
	var golden goldenAlign
	readTopic(t, "align.json", &golden)
	if n := len(golden.Slices); n < 150 {
		t.Fatalf("only %d slices", n)
	}
	for _, c := range golden.Slices {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train := c.Train.train()
			part, err := train.Slice(c.TStart.time(), c.TStop.time())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			c.Want.check(t, "slice", part)
			for i := range part.Times {
				part.Times[i] = -1
			}
			c.Train.check(t, "train after a change of the slice", train)
		})
	}
}

func TestMergeGolden(t *testing.T) {
	t.Parallel()
	var golden goldenAlign
	readTopic(t, "align.json", &golden)
	if n := len(golden.Merges); n < 30 {
		t.Fatalf("only %d merges", n)
	}
	for _, c := range golden.Merges {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var trains []spike.Train
			for _, g := range c.Trains {
				trains = append(trains, g.train())
			}
			merged, err := spike.Merge(trains)
			if checkRefusal(t, c.Refuse, err) {
				if e, ok := errors.AsType[*spike.TrainError](err); !ok || e.Index != len(trains)-1 {
					t.Errorf("%v does not blame the last train", err)
				}
				return
			}
			c.Want.check(t, "merged", merged)
			for i := range merged.Times {
				merged.Times[i] = -1
			}
			for i, g := range c.Trains {
				g.check(t, "train after a change of the merged one", trains[i])
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	good := spike.Train{Times: []float64{1}, Unit: unit.Second, TStop: 2}
	for _, c := range []struct {
		name   string
		trains []spike.Train
		want   error
	}{
		{"no trains", nil, spike.ErrNoTrains},
		{"a unit that is no time", []spike.Train{good, {Unit: unit.Volt, TStop: 2}}, unit.ErrDimension},
		{"a time outside", []spike.Train{good, {Times: []float64{3}, Unit: unit.Second, TStop: 2}}, spike.ErrTimes},
		{"a first train that is none", []spike.Train{{TStop: 2}, good}, unit.ErrDimension},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := spike.Merge(c.trains); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want one that is %q", err, c.want)
			}
		})
	}
}

func TestAlignGolden(t *testing.T) {
	t.Parallel()
	var golden goldenAlign
	readTopic(t, "align.json", &golden)
	if n := len(golden.Trials); n < 100 {
		t.Fatalf("only %d alignments", n)
	}
	for _, c := range golden.Trials {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train := c.Train.train()
			trials, err := spike.Align(train, spike.Events{Times: floats(c.Events), Unit: c.Unit}, c.Before.time(), c.After.time())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			if len(trials) != len(c.Want) {
				t.Fatalf("%d trials, want %d", len(trials), len(c.Want))
			}
			for k, want := range c.Want {
				want.Name = train.Name
				want.check(t, "trial", trials[k])
			}
		})
	}
}
