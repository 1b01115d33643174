package parade_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade"
)

var errOdd = parade.Sentinel("parade_test.errOdd", errors.New("odd"))

// evenly fails for odd numbers.
var evenly = parade.Func("parade_test.evenly", func(n int) (string, error) {
	if n%2 == 1 {
		return "", errOdd
	}
	return fmt.Sprint(n), nil
})

// answering is an executor that has a job run in this process, as engines do, and gives its
// answers to a function, with the Post.
type answering struct {
	pool *pool
	take func(p *parade.Post, a parade.Answer, answer []byte)
}

func (ex *answering) Info() parade.Info { return ex.pool.Info() }
func (ex *answering) Close() error      { return nil }
func (ex *answering) Run(_ context.Context, job *parade.Job) error {
	p, err := job.Post(func() {})
	if err != nil {
		return err
	}
	relay, err := parade.NewRelay(p.Head(), nil)
	if err != nil {
		return err
	}
	if err := relay.Start(ex.pool); err != nil {
		return err
	}
	p.Size(p.Tasks())
	answers := make(chan parade.Answer, 1000)
	for next := p.Next(1); next != nil; next = p.Next(1) {
		parcel, err := parade.ParseParcel(next.Data)
		if err != nil {
			return err
		}
		relay.Push(parcel, nil, func(a parade.Answer) { answers <- a })
	}
	relay.Finish()
	<-relay.Done()
	close(answers)
	for a := range answers {
		ex.take(p, a, a.AppendTo(nil))
	}
	return nil
}

// TestReadAnswer: an answer tells of each task without the job's types, failures have their
// errors, and the inputs of those that failed come back.
func TestReadAnswer(t *testing.T) {
	s := steadyPool(t)
	var got []string
	ex := &answering{s, func(p *parade.Post, a parade.Answer, answer []byte) {
		settled, err := parade.ReadAnswer("evenly", answer)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range settled {
			if one.Err != nil {
				if !errors.Is(one.Err, errOdd) || one.Err.Index != one.Index || one.Err.Func != "evenly" || one.Result != nil {
					t.Errorf("task %d: %+v", one.Index, one)
				}
				continue
			}
			v, err := parade.DecodeResult(evenly, one.Result)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(one.Index, "=", v))
		}
		for _, parcel := range a.FailedParcels() {
			again, err := parade.ParseParcel(parcel.AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			in, err := parade.DecodeInputs(evenly, again)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(again.First, in))
		}
		for n := range min(len(answer), 40) { // what is cut is refused
			if _, err := parade.ReadAnswer("evenly", answer[:n]); err == nil {
				t.Errorf("%d of %d bytes are an answer", n, len(answer))
			}
		}
		if err := p.Settle(answer); err != nil {
			t.Error(err)
		}
	}}
	_, err := parade.Map(t.Context(), ex, evenly, []int{4, 1, 3, 8, 5}, parade.CollectErrors())
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 3 {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"0=4", "1 [1 3]", "3=8", "4 [5]"}, got); diff != "" {
		t.Error(diff)
	}
	refused := errors.New("not here")
	if _, err := parade.ReadAnswer("evenly", parade.Refusal(refused)); err == nil || err.Error() != refused.Error() {
		t.Errorf("a refusal gives %v", err)
	}
}

// TestSettleExcept: failures of tasks that were sent again are passed over, and a later
// answer counts.
func TestSettleExcept(t *testing.T) {
	s := steadyPool(t)
	var first []byte
	in := []int{4, 1, 3, 8, 5}
	ex := &answering{s, func(p *parade.Post, a parade.Answer, answer []byte) {
		if first == nil {
			first = answer
		}
		if err := p.SettleExcept(answer, func(i int) bool { return i < 3 }); err != nil {
			t.Error(err)
		}
		if !p.Waiting(0) {
			t.Error("the post waits for nothing more")
		}
		if err := p.Settle(first); err != nil {
			t.Error(err)
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var r parade.Report
	_, err := parade.Map(ctx, ex, evenly, in, parade.CollectErrors(), parade.WithReport(&r))
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 3 || r.Done != 2 || r.Failed != 3 {
		t.Errorf("%d done, %d failed: %v", r.Done, r.Failed, err)
	}
}

// TestUnattended: what needs a caller is refused for a job that is left to itself.
func TestUnattended(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts []parade.Option
		ok   bool
	}{
		"nothing":       {nil, true},
		"retries":       {[]parade.Option{parade.Retries(3), parade.BatchSize(2)}, true},
		"StopAfter":     {[]parade.Option{parade.StopAfter(1)}, false},
		"Workers":       {[]parade.Option{parade.Workers(2)}, false},
		"OnProgress":    {[]parade.Option{parade.OnProgress(func(parade.Progress) {})}, false},
		"WithReport":    {[]parade.Option{parade.WithReport(new(parade.Report))}, false},
		"CollectErrors": {[]parade.Option{parade.CollectErrors()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex := &unattended{}
			_, _ = parade.Map(t.Context(), ex, evenly, []int{1}, append([]parade.Option{parade.CollectErrors()}, tc.opts...)...)
			if (ex.err == nil) != tc.ok {
				t.Errorf("%v", ex.err)
			}
		})
	}
}

type unattended struct{ err error }

func (ex *unattended) Info() parade.Info { return parade.Info{} }
func (ex *unattended) Close() error      { return nil }
func (ex *unattended) Run(_ context.Context, job *parade.Job) error {
	p, err := job.Post(func() {})
	if err != nil {
		return err
	}
	ex.err = p.Unattended()
	return errors.New("enough")
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(parade.Refusal(errOdd))
	f.Add([]byte{0, 7, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		settled, err := parade.ReadAnswer("f", data)
		if err == nil && len(settled) == 0 {
			t.Error("an answer for no tasks")
		}
	})
}

// steadyPool is a pool of one worker.
func steadyPool(t *testing.T) *pool {
	t.Helper()
	s := (&scenario{workers: 1}).open()
	t.Cleanup(func() { _ = s.Close() })
	return s
}
