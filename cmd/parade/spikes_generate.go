package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mt19937"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
)

// generateOptions are the choices of "spikes generate".
type generateOptions struct {
	process   spike.PoissonProcess
	trains    int
	seed      uint64
	numpySeed uint32
	numpy     bool // numpySeed was given
	worker    workers
	out       string
}

func newGenerateCommand() *cobra.Command {
	o := generateOptions{process: spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}}
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Draw spike trains from a Poisson process",
		Long: `Generate draws spike trains from a stationary Poisson process, with a refractory
period if one is given. The same seed gives the same trains on every executor.

With --numpy-seed the trains are those that Elephant's StationaryPoissonProcess gives
in Python after numpy.random.seed, one after another.

Without --out the trains are printed as CSV, which cannot hold a train without
spikes, nor when trains begin and end; .npz and .json can.`,
		Example: `  parade spikes generate --rate 20Hz --t-stop 60s --trains 100 -o trains.npz
  parade spikes generate --rate 50Hz --refractory 2ms --seed 7 >trains.csv
  parade spikes generate --numpy-seed 28 --trains 8 -o trains.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.worker.on, err = o.worker.spec(cmd.Flags()); err != nil {
				return err
			}
			o.numpy = cmd.Flags().Changed("numpy-seed")
			if o.numpy && cmd.Flags().Changed("seed") {
				return usagef("--seed and --numpy-seed are seeds of different streams; give one")
			}
			return runGenerate(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	p := &o.process
	f.TextVar(&p.Rate, "rate", p.Rate, "firing `rate`")
	f.TextVar(&p.TStart, "t-start", unit.Time{}, "`time` at which trains begin (default 0)")
	f.TextVar(&p.TStop, "t-stop", p.TStop, "`time` at which trains end; they are in its unit")
	f.TextVar(&p.RefractoryPeriod, "refractory", unit.Time{}, "refractory `period` after each spike (default none)")
	f.BoolVar(&p.Ordinary, "ordinary", false, "begin as if there were a spike at the beginning, not in equilibrium")
	unset(f, "t-start", "refractory")
	f.IntVarP(&o.trains, "trains", "n", 8, "`number` of trains")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the trains")
	f.Uint32Var(&o.numpySeed, "numpy-seed", 0, "seed of NumPy's stream, for the very trains of Elephant")
	o.worker.flags(f)
	f.StringVarP(&o.out, "out", "o", "", "`file` to write, ending in "+strings.Join(trainEndings, ", "))
	return cmd
}

func runGenerate(ctx context.Context, o generateOptions, stdout, stderr io.Writer) error {
	const most = 1e8
	if o.trains < 1 || o.trains > most {
		return usagef("--trains %d: give 1 to %d", o.trains, int(most))
	}
	if _, err := o.process.ExpectedCV(); err != nil { // what no train can be drawn from
		return usagef("%w", err)
	}
	if err := checkOut(o.out, trainEndings, nil); err != nil {
		return err
	}
	trains, err := o.draw(ctx, stderr)
	if err != nil {
		return err
	}
	for i := range trains {
		trains[i].Name = strconv.Itoa(i + 1)
	}
	return writeTrains(trains, o.out, stdout)
}

func (o generateOptions) draw(ctx context.Context, stderr io.Writer) (trains []spike.Train, err error) {
	bar := newProgress(newTerminal(stderr))
	defer bar.clear()
	if o.numpy { // a stream that no one else can continue
		rng := mt19937.New(o.numpySeed)
		trains = make([]spike.Train, o.trains)
		for i := range trains {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if trains[i], err = o.process.Train(rng); err != nil {
				return nil, err
			}
			bar.show("drawing trains", i+1, len(trains))
		}
		return trains, nil
	}
	ex, err := openExecutor(ctx, o.worker.on)
	if err != nil {
		return nil, err
	}
	defer func() { err = closing(ex, err) }()
	return drawTrains(ctx, ex, o.process, o.trains, o.seed, parade.OnProgress(bar.job("drawing trains")))
}

var trainEndings = []string{".csv", ".tsv", ".json", ".npz"}

// writeTrains writes trains to a file or, where there is none, as CSV to stdout.
func writeTrains(trains []spike.Train, out string, stdout io.Writer) error {
	if out != "" {
		if err := spike.WriteFile(out, trains); err != nil {
			return outError(out, err)
		}
		t := newTerminal(stdout)
		t.printf("%s  %s\n", out, t.dim(describe(trains)))
		return t.err
	}
	err := spike.WriteCSV(stdout, trains)
	if bad := (*spike.TrainError)(nil); errors.As(err, &bad) {
		return fmt.Errorf("train %s: %s; name the file with --out", trainName(trains[bad.Index], bad.Index),
			strings.TrimPrefix(bad.Err.Error(), spike.ErrFormat.Error()+": "))
	}
	return err
}
