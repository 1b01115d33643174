package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/launch"
)

// sight is what there is in a cluster at one moment.
type sight struct {
	at      time.Time
	waiting int // parcels that no slot has, of those that one more engine could run
	engines []cluster.Engine
	unfit   map[string]bool // engines that can take nothing of what waits
	coming  int             // engines that were started and have not come
	failed  int             // those that ended before they came, since the last sight
}

const (
	// persist is how long tasks must wait before more engines are started: what is done by then
	// needs none.
	persist = time.Second
	// firstPause is how long nothing is started after a start that failed. Each further one in a row
	// doubles it.
	firstPause = 5 * time.Second
	lastPause  = 5 * time.Minute
)

// demand follows how many engines there should be. It is told what there is, and says what to do.
type demand struct {
	min, max int
	slots    int // of an engine that is started
	idle     time.Duration

	since    time.Time // when tasks began to wait for want of slots; zero: they do not
	active   map[string]activity
	failures int // in a row
	pause    time.Time
}

// activity is when an engine last had something to do.
type activity struct {
	at    time.Time
	tasks int64 // that it had done then
}

// step says how many engines to start, and which of them to retire.
func (d *demand) step(s sight) (start int, retire []string) {
	free := 0
	before := d.active
	d.active = map[string]activity{}
	for _, e := range s.engines {
		if !s.unfit[e.ID] {
			free += max(0, e.Slots-e.Running)
		}
		a, known := before[e.ID]
		if !known && d.failures > 0 { // one has come
			d.failures, d.pause = 0, time.Time{}
		}
		if n := e.Done + e.Failed; !known || e.Running > 0 || n != a.tasks {
			a = activity{s.at, n}
		}
		d.active[e.ID] = a
	}
	if s.failed > 0 {
		d.fail(s.at)
	}
	if s.waiting == 0 || free > 0 {
		d.since = time.Time{}
	} else if d.since.IsZero() {
		d.since = s.at
	}
	total := len(s.engines) + s.coming
	if !s.at.Before(d.pause) {
		start = max(0, d.min-total)
		if !d.since.IsZero() && (total == 0 || s.at.Sub(d.since) >= persist) {
			wanted := (s.waiting+d.slots-1)/d.slots - s.coming
			// Twice as many at most: by the next time some may have come.
			start = max(start, min(wanted, d.max-total, max(1, total)))
		}
		if d.failures > 0 {
			start = min(start, 1) // to see whether it comes
		}
	}
	if start == 0 {
		retire = d.spare(s)
	}
	return start, retire
}

// spare are the engines that had nothing to do for long enough, the newest first, down to the
// minimum.
func (d *demand) spare(s sight) []string {
	left := len(s.engines) - d.min
	engines := slices.Clone(s.engines)
	slices.SortFunc(engines, func(a, b cluster.Engine) int { return b.Started.Compare(a.Started) })
	var ids []string
	for _, e := range engines {
		if d.idle > 0 && left > 0 && s.at.Sub(d.active[e.ID].at) >= d.idle {
			ids = append(ids, e.ID)
			left--
		}
	}
	return ids
}

// fail is told that an engine could not be started, or ended before it came.
func (d *demand) fail(at time.Time) {
	pause := lastPause
	if d.failures < 8 {
		pause = min(pause, firstPause<<d.failures)
	}
	d.failures++
	d.pause = at.Add(pause)
}

// world is where engines come from.
type world interface {
	// look says what there is. Settings may have changed; a maximum of 0 is for nothing to be done.
	look(ctx context.Context, d *demand) (sight, error)
	start(ctx context.Context, n int) error
	retire(ctx context.Context, ids []string) error
}

// lookEvery is how often demand is looked at.
const lookEvery = time.Second

// follow starts and retires engines until ctx ends.
func follow(ctx context.Context, w world, log *slog.Logger) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	d := &demand{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, err := w.look(ctx, d)
		if err != nil {
			log.Debug("what there is to do is not known", "error", err)
			continue
		}
		if d.max == 0 {
			continue
		}
		start, retire := d.step(s)
		if start > 0 {
			log.Info("starting engines", "more", start, "there", len(s.engines), "coming", s.coming, "waiting", s.waiting)
			if err := w.start(ctx, start); err != nil && ctx.Err() == nil {
				d.fail(time.Now())
				log.Warn("an engine could not be started", "error", err, "failures", d.failures, "next", time.Until(d.pause).Round(time.Second))
			}
		}
		if len(retire) > 0 {
			log.Info("engines had nothing to do", "engines", strings.Join(retire, " "))
			if err := w.retire(ctx, retire); err != nil && ctx.Err() == nil {
				log.Debug("engines could not be retired", "error", err)
			}
		}
	}
}

// grounds is the world of a cluster of this user: its folder, and what it was told to start engines by.
type grounds struct {
	name, folder string
	watcher      watcher
	starter      *starter

	mine    []started               // processes that have not come yet
	known   map[string]launch.State // of jobs, as last asked
	arrived map[string]bool         // jobs of which an engine has come
	askedAt time.Time
}

func newGrounds(name, folder string) *grounds {
	return &grounds{
		name: name, folder: folder, watcher: watcher{folder: folder},
		starter: &starter{name: name, folder: folder}, arrived: map[string]bool{},
	}
}

// askEvery is how often a batch system is asked for the states of jobs.
const askEvery = 10 * time.Second

func (g *grounds) look(ctx context.Context, d *demand) (sight, error) {
	settings, err := loadEngines(g.folder)
	if err != nil {
		return sight{}, err
	}
	d.min, d.max, d.idle = settings.Min, settings.Max, settings.Idle
	d.slots = max(1, settings.Slots)
	if g.stopping() {
		d.max = 0
	}
	if d.max == 0 {
		return sight{}, nil
	}
	g.starter.engines = settings
	looking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now, err := g.watcher.look(looking)
	if err != nil {
		return sight{}, err
	}
	s := sight{at: time.Now(), engines: staying(now.Engines)}
	next, err := cluster.Offer(d.slots, settings.Labels, settings.Resources)
	if err != nil {
		return sight{}, err
	}
	s.waiting, s.unfit = waiting(now, next)
	g.mine = slices.DeleteFunc(g.mine, func(one started) bool {
		if slices.ContainsFunc(now.Engines, one.has) {
			return true
		}
		select {
		case <-one.process.done:
			s.failed++
			return true
		default:
			s.coming++
			return false
		}
	})
	all, err := readLaunched(g.folder)
	if err != nil {
		return sight{}, err
	}
	jobs := 0
	for _, l := range all {
		if slices.ContainsFunc(now.Engines, l.has) {
			g.arrived[l.key()] = true
		}
		if g.known[l.key()] != launch.Vanished && !g.arrived[l.key()] {
			jobs += max(1, l.Engines)
		}
	}
	s.coming += jobs
	if jobs > 0 && s.at.Sub(g.askedAt) >= askEvery {
		g.askedAt = s.at
		s.failed += g.ask(looking, all)
	}
	return s, nil
}

// waiting counts the parcels that no slot has, of queues that an engine such as next could
// serve, and says which engines can take none of them.
func waiting(now cluster.Status, next cluster.Engine) (parcels int, unfit map[string]bool) {
	unfit = map[string]bool{}
	slots := 0
	for _, e := range now.Engines {
		free := e
		free.Resources = e.Free
		takes, fits := 0, false
		for _, q := range now.Queues {
			if next.Takes(q) > 0 && q.Waiting+q.Running > 0 {
				takes = max(takes, e.Takes(q))
				fits = fits || free.Takes(q) > 0
			}
		}
		slots += takes
		unfit[e.ID] = !fits
	}
	// What engines have beyond their slots waits, too: they hand back what turns out long.
	for _, q := range now.Queues {
		if next.Takes(q) > 0 {
			parcels += q.Waiting + q.Running
		}
	}
	return max(0, parcels-slots), unfit
}

// ask asks for the states of jobs, forgets those that have vanished, and says how many of them
// brought no engine.
func (g *grounds) ask(ctx context.Context, all []launched) (failed int) {
	g.known, _ = states(ctx, all)
	gone := map[string]bool{}
	for _, l := range all {
		if g.known[l.key()] == launch.Vanished {
			gone[l.key()] = true
			if !g.arrived[l.key()] {
				failed++
			}
			delete(g.arrived, l.key())
		}
	}
	if len(gone) == 0 {
		return 0
	}
	_ = changeLaunched(g.folder, func(all []launched) []launched { // else the next time
		return slices.DeleteFunc(all, func(l launched) bool { return gone[l.key()] })
	})
	return failed
}

// stopping reports whether the cluster is being stopped.
func (g *grounds) stopping() bool {
	_, err := os.Stat(stoppingFile(g.folder))
	return !errors.Is(err, fs.ErrNotExist)
}

func (g *grounds) start(ctx context.Context, n int) error {
	s, err := newStarter(g.name, g.folder, g.starter.engines)
	if err != nil {
		return err
	}
	s.turns, s.ssh, s.input = g.starter.turns, g.starter.ssh, g.starter.input
	g.starter = s
	each := 1
	if s.Launcher == mpiLauncher {
		each = n
	}
	for ; n > 0 && ctx.Err() == nil && !g.stopping(); n -= each {
		// One that is being submitted is to be noted whatever happens.
		err := s.start(context.WithoutCancel(ctx), each, func(one started) {
			if one.System == localLauncher {
				g.mine = append(g.mine, one)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *grounds) retire(ctx context.Context, ids []string) error {
	conn, err := cluster.Load(filepath.Join(g.folder, cluster.RoleClient+".json"))
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	return cluster.RetireEngines(asked, conn, ids...)
}
