package parade_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/parade-go/parade"
	"pgregory.net/rapid"
)

// mail is an executor over two pools with nothing but bytes between: parcels and
// answers arrive in any order, and some of them twice.
type mail struct {
	pools [2]*pool
	limit int // parcels out at a time
	twice float64
	loses float64 // parcels, which are sent again
}

func (m *mail) Info() parade.Info { return m.pools[0].Info() }

func (m *mail) Close() error {
	return errors.Join(m.pools[0].Close(), m.pools[1].Close())
}

func (m *mail) Run(_ context.Context, j *parade.Job) error {
	awake := make(chan struct{}, 1)
	wake := func() {
		select {
		case awake <- struct{}{}:
		default:
		}
	}
	p, err := j.Post(wake)
	if err != nil {
		return err
	}
	var relays [2]*parade.Relay
	for i, pool := range m.pools {
		bound, _ := p.Bound()
		if relays[i], err = parade.NewRelay(p.Head(), bound); err != nil {
			return err
		}
		if err := relays[i].Start(pool); err != nil {
			return err
		}
	}
	var going sync.WaitGroup
	var send func(data []byte)
	send = func(data []byte) {
		times := 1
		if rand.Float64() < m.twice {
			times = 2
		}
		parcel, err := parade.ParseParcel(data)
		if err != nil {
			p.Stop(err)
			return
		}
		parts := []parade.Parcel{parcel}
		if times == 2 { // cut otherwise
			k := rand.IntN(parcel.Len())
			parts = append(parts, parcel.Slice(0, k), parcel.Slice(k, parcel.Len()))
		}
		for _, part := range parts {
			relays[rand.IntN(2)].Push(part, func(rest []parade.Parcel) {
				going.Go(func() {
					for _, part := range rest {
						send(part.AppendTo(nil))
					}
				})
			}, func(a parade.Answer) {
				going.Go(func() {
					answer := a.AppendTo(nil)
					for range times {
						if err := p.Settle(answer); err != nil {
							p.Stop(err)
						}
					}
					wake()
				})
			})
		}
	}
	for {
		for p.Out() < m.limit {
			next := p.Next(m.pools[0].info.Workers)
			if next == nil {
				break
			}
			if rand.Float64() >= m.loses {
				send(next.Data)
				continue
			}
			// It was the queue that was lost, with all that was in it.
			if err := p.Again(func(again *parade.Posted) error {
				send(again.Data)
				return nil
			}); err != nil {
				return err
			}
		}
		select {
		case <-awake:
			continue
		case <-relays[0].Done():
			p.Stop(relays[0].Err())
		case <-relays[1].Done():
			p.Stop(relays[1].Err())
		case <-p.Done():
		}
		break
	}
	for _, r := range relays {
		r.Stop(parade.ErrClosed)
		<-r.Done()
	}
	going.Wait()
	return nil
}

// TestPost runs random jobs through the post.
func TestPost(t *testing.T) {
	restoreLog(t)
	setRapid(t)
	for _, tc := range []struct {
		name        string
		cuts, kills bool
	}{
		{"steady workers", false, false},
		{"links cut at random", true, false},
		{"inputs that kill", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawScenario(t, tc.cuts, tc.kills, false)
				limit, twice := rapid.IntRange(1, 20).Draw(t, "parcels out"), rapid.Float64Range(0, 1).Draw(t, "twice")
				loses := rapid.Float64Range(0, 0.3).Draw(t, "loses")
				if tc.kills {
					twice, loses = 0, 0 // both would count against the input
				}
				finish(t, func(ctx context.Context) {
					m := &mail{pools: [2]*pool{s.open(), s.open()}, limit: limit, twice: twice, loses: loses}
					defer m.Close()
					var r parade.Report
					out, err := parade.Map(ctx, m, obey, s.orders, append(s.options(), parade.WithReport(&r))...)
					s.verify(t, out, err, &r)
				})
			})
		})
	}
}

func TestParcelRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing":         {},
		"no tasks":        {0, 1, 0},
		"too many tasks":  {0, 1, 200, 1, 0},
		"a later attempt": {0, 2, 1, 0},
		"an input cut":    {0, 1, 1, 9, 1, 2},
	} {
		if p, err := parade.ParseParcel(data); err == nil {
			t.Errorf("%s: a parcel of %d tasks", name, p.Len())
		}
	}
	if _, err := parade.NewRelay([]byte("a head"), nil); err == nil {
		t.Error("NewRelay takes any bytes")
	}
}

func FuzzParcel(f *testing.F) {
	f.Add([]byte{7, 1, 2, 1, 5, 0})
	f.Add([]byte{0, 1, 1, 9, 1, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parade.ParseParcel(data)
		if err != nil {
			return
		}
		again, err := parade.ParseParcel(p.AppendTo(nil))
		if err != nil || again.First != p.First || again.Len() != p.Len() {
			t.Errorf("%v tasks from %d on became %d from %d on: %v", p.Len(), p.First, again.Len(), again.First, err)
		}
	})
}
