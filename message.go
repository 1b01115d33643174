package parade

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

// The kinds of frames between a dispatcher and a worker. The job number in a
// frame's header says which job it is about, the sequence number which batch.
const (
	frameHello     uint8 = iota + 1 // worker: who it is; its first frame
	frameJob                        // dispatcher: a job's function, settings and bound argument
	frameBatch                      // dispatcher: tasks to run
	frameShelved                    // dispatcher: the same, with the tasks in shared memory
	frameOutcome                    // worker: what became of a batch
	frameRefusal                    // worker: why it cannot run a job
	frameEnd                        // dispatcher: the job has ended, stop its task and forget it
	framePing                       // dispatcher: are you there
	framePong                       // worker: yes
	frameLog                        // worker: a slog record
	frameBye                        // worker: a task would not stop, replace me
	frameInterrupt                  // dispatcher: fail the task of a job that runs now
	frameDeaf                       // worker: that task goes on, replace me
)

// protocolVersion is part of hello; both ends must agree.
const protocolVersion = 3

// segmentFrom is the size from which a bound argument goes by shared memory.
const segmentFrom = 64 << 10

// How a bound argument travels.
const (
	boundNone uint8 = iota
	boundInline
	boundSegment
)

func appendHello(b *wire.Buffer) {
	m := b.BeginFrame(wire.Header{Kind: frameHello})
	b.Uvarint(protocolVersion)
	b.Uint64(BuildID())
	b.EndFrame(m)
}

// checkHello refuses a worker that is not of the wanted build.
func checkHello(r *wire.Reader, want uint64) error {
	version, build := r.Uvarint(), r.Uint64()
	switch {
	case r.Err() != nil:
		return r.Err()
	case version != protocolVersion:
		return fmt.Errorf("worker speaks protocol %d, this program %d; run the same build on both sides", version, protocolVersion)
	case build != want:
		return fmt.Errorf("worker is build %016x, this program is build %016x; run the same build on both sides", build, want)
	}
	return nil
}

// appendRun appends what a worker must know of a job, but for the bound argument.
func appendRun(b *wire.Buffer, r *run) {
	b.String(r.name)
	b.Uint64(r.seed)
	b.Uint64(uint64(r.timeout))
	b.Uvarint(uint64(r.stopAt))
	var flags uint8
	if r.shares {
		flags |= runShares
	}
	if r.apart {
		flags |= runApart
	}
	if r.details {
		flags |= runDetails
	}
	if r.capture {
		flags |= runCapture
	}
	b.Uint8(flags)
}

// Flags of a job.
const (
	runShares = 1 << iota
	runApart
	runDetails
	runCapture
)

func decodeRun(rd *wire.Reader) run {
	r := run{name: rd.String(), seed: rd.Uint64(), timeout: time.Duration(rd.Uint64()), stopAt: int(rd.Uvarint())}
	flags := rd.Uint8()
	r.shares, r.apart = flags&runShares != 0, flags&runApart != 0
	r.details, r.capture = flags&runDetails != 0, flags&runCapture != 0
	return r
}

// How a batch came back.
const (
	batchRun     uint8 = iota
	batchGarbled       // its inputs could not be decoded: an error follows
	batchTold          // as batchRun, with details of its tasks
)

// appendGarbled answers for a batch whose inputs could not be decoded.
func appendGarbled(b *wire.Buffer, err error) {
	b.Uint8(batchGarbled)
	wire.AppendError(b, err)
}

// appendOutcome appends an outcome and the results of the tasks that ran and
// did not fail. A result that cannot be encoded makes its task fail.
func appendOutcome(b *wire.Buffer, w work, o *outcome, apart bool) {
	start := time.Now()
	mark := b.Mark()
	for {
		appendOutcomeHead(b, o)
		bad := appendResults(b, w, o, apart)
		if len(bad) == 0 {
			break
		}
		for _, f := range bad {
			o.addFailure(f)
		}
		b.Truncate(mark)
	}
	b.Uint64(uint64(o.codec + time.Since(start)))
}

// appendResults returns the failures of results that cannot be encoded; what
// it has appended is then of no use.
func appendResults(b *wire.Buffer, w work, o *outcome, apart bool) (bad []failure) {
	for lo, hi := range o.sound() {
		for lo < hi {
			n, err := w.encodeResults(b, lo, hi, apart)
			lo += n
			if err != nil {
				bad = append(bad, failure{offset: lo, kind: Unsendable, err: err})
				lo++
			}
		}
	}
	return bad
}

// sound yields the runs [lo, hi) of tasks that ran and did not fail.
func (o *outcome) sound() iter.Seq2[int, int] {
	return func(yield func(lo, hi int) bool) {
		lo := 0
		for _, f := range o.failures {
			if lo < f.offset && !yield(lo, f.offset) {
				return
			}
			lo = f.offset + 1
		}
		if lo < o.ran {
			yield(lo, o.ran)
		}
	}
}

func appendOutcomeHead(b *wire.Buffer, o *outcome) {
	form := batchRun
	if o.details != nil {
		form = batchTold
	}
	b.Uint8(form)
	b.Uvarint(uint64(o.ran))
	b.Uvarint(uint64(o.user))
	b.Uvarint(uint64(len(o.failures)))
	for _, f := range o.failures {
		b.Uvarint(uint64(f.offset))
		b.Uint8(uint8(f.kind))
		b.String(f.stack)
		b.Uvarint(uint64(f.attempt))
		b.String(f.worker)
		var e wire.Buffer // a message of its own, for who does not know its types
		wire.AppendError(&e, f.err)
		b.Blob(&e)
	}
	if form == batchTold {
		appendDetails(b, o.details)
	}
}

// addFailure keeps the failures in the order of their tasks. A task that
// already failed stays as it is.
func (o *outcome) addFailure(f failure) {
	i := 0
	for i < len(o.failures) && o.failures[i].offset < f.offset {
		i++
	}
	if i < len(o.failures) && o.failures[i].offset == f.offset {
		return
	}
	o.failures = append(o.failures, failure{})
	copy(o.failures[i+1:], o.failures[i:])
	o.failures[i] = f
}

// garbledError says that a value could not be decoded, at either end.
type garbledError struct{ error }

func (e *garbledError) Unwrap() error { return e.error }

// decodeOutcome reads an outcome, and its results into w. After a
// *garbledError the connection is still good.
func decodeOutcome(r *wire.Reader, w work, apart bool) (o outcome, err error) {
	form := r.Uint8()
	switch form {
	case batchRun, batchTold:
	case batchGarbled:
		err := wire.DecodeError(r)
		if r.Err() != nil {
			return o, r.Err()
		}
		return o, &garbledError{err}
	default:
		return o, errors.New("outcome of unknown form")
	}
	o.ran = int(r.Uvarint())
	o.user = time.Duration(r.Uvarint())
	failures := r.Uvarint()
	if r.Err() != nil {
		return o, r.Err()
	}
	if o.ran < 0 || o.ran > w.len() || failures > uint64(o.ran) {
		return o, fmt.Errorf("outcome of %d tasks with %d failures for a batch of %d", o.ran, failures, w.len())
	}
	for last := -1; failures > 0; failures-- {
		f := failure{offset: int(r.Uvarint()), kind: Kind(r.Uint8()), stack: r.String(), attempt: int(r.Uvarint()), worker: r.String()}
		encoded := r.Blob()
		if r.Err() != nil {
			return o, r.Err()
		}
		if _, relayed := w.(*relayed); relayed {
			f.err = wire.NewOpaqueError(bytes.Clone(encoded))
		} else {
			e := wire.NewReader(encoded, false)
			if f.err = wire.DecodeError(e); e.Err() != nil {
				return o, e.Err()
			}
		}
		if f.offset <= last || f.offset >= o.ran {
			return o, fmt.Errorf("outcome names failed task %d of %d", f.offset, o.ran)
		}
		last = f.offset
		o.failures = append(o.failures, f)
	}
	if form == batchTold {
		if o.details = decodeDetails(r, o.ran); r.Err() != nil {
			return o, r.Err()
		}
	}
	for lo, hi := range o.sound() {
		if err := w.decodeResults(r, lo, hi, apart); err != nil {
			return o, &garbledError{fmt.Errorf("decoding the result: %w", err)}
		}
	}
	o.codec = time.Duration(r.Uint64())
	return o, r.Err()
}

// appendRecord appends a log record, its attributes as text.
func appendRecord(b *wire.Buffer, rec slog.Record, attrs []slog.Attr) {
	m := b.BeginFrame(wire.Header{Kind: frameLog})
	b.Uint64(uint64(rec.Time.UnixNano()))
	b.Uint64(uint64(rec.Level))
	b.String(rec.Message)
	b.Uvarint(uint64(len(attrs)))
	for _, a := range attrs {
		b.String(a.Key)
		b.String(a.Value.String())
	}
	b.EndFrame(m)
}

func decodeRecord(r *wire.Reader) (rec slog.Record, err error) {
	at, level, message := r.Uint64(), r.Uint64(), r.String()
	rec = slog.NewRecord(time.Unix(0, int64(at)), slog.Level(level), message, 0)
	for n := r.Uvarint(); n > 0 && r.Err() == nil; n-- {
		key, value := r.String(), r.String()
		rec.AddAttrs(slog.String(key, value))
	}
	return rec, r.Err()
}
