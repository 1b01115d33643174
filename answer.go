package parade

import (
	"errors"
	"fmt"

	"github.com/parade-go/parade/internal/wire"
)

// Settled is what an answer has of one task.
type Settled struct {
	Index  int
	Result []byte     // encoded, for DecodeResult; nil of a task that failed
	Err    *TaskError // nil of one that did not
}

// ReadAnswer reads an answer to a job of a function, given by its name, of which nothing
// else need be known. The error of a [Refusal] is returned.
func ReadAnswer(function string, answer []byte) ([]Settled, error) {
	rd := wire.NewReader(answer, true)
	h, refused, err := readAnswerHead(rd)
	if err := errors.Join(refused, err); err != nil {
		return nil, err
	}
	w := &arrived{relayed{chunk: &chunk{}, hi: h.tasks, out: make([][]byte, h.tasks)}}
	o, err := decodeOutcome(rd, w, true)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if o.ran != h.tasks {
		return nil, fmt.Errorf("answer for %d tasks of which %d ran: it is damaged", h.tasks, o.ran)
	}
	all := make([]Settled, h.tasks)
	for k := range all {
		all[k] = Settled{Index: h.first + k, Result: w.out[k]}
	}
	for _, f := range o.failures {
		all[f.offset].Result = nil
		all[f.offset].Err = &TaskError{
			Func: function, Index: h.first + f.offset, Attempt: f.attempt, Worker: f.worker, Kind: f.kind, Err: f.err, Stack: f.stack,
		}
	}
	return all, nil
}

// arrived is the work of an answer that has come to its end: errors are what they were,
// results are not looked at.
type arrived struct{ relayed }

// answerHead is what an answer begins with.
type answerHead struct {
	first, tasks  int
	retries, lost int
	worker        string
}

// readAnswerHead returns the error of a refusal as refused.
func readAnswerHead(rd *wire.Reader) (h answerHead, refused, err error) {
	switch rd.Uint8() {
	case answerOutcome:
	case answerRefusal:
		refused := wire.DecodeError(rd)
		if rd.Err() == nil && refused == nil {
			return h, nil, errDamaged
		}
		return h, refused, rd.Err()
	default:
		return h, nil, errors.New("answer of unknown form")
	}
	first, n, retries, lost, worker := rd.Uvarint(), rd.Uvarint(), rd.Uvarint(), rd.Uvarint(), rd.String()
	if err := rd.Err(); err != nil {
		return h, nil, fmt.Errorf("answer: %w", err)
	}
	if n == 0 || n > maxBatchTasks || first > 1<<53 {
		return h, nil, fmt.Errorf("answer for %d tasks from %d on: it is damaged", n, first)
	}
	return answerHead{int(first), int(n), int(retries), int(lost), worker}, nil, nil
}

// DecodeResult decodes a result of f that [ReadAnswer] returned.
func DecodeResult[A, R any](f *Function[A, R], encoded []byte) (R, error) {
	var one [1]R
	if err := f.out.Decode(wire.NewReader(encoded, false), one[:]); err != nil {
		return one[0], fmt.Errorf("%w: decoding the result: %w", ErrEncode, err)
	}
	return one[0], nil
}

// DecodeInputs decodes the inputs of a parcel of f.
func DecodeInputs[A, R any](f *Function[A, R], p Parcel) ([]A, error) {
	in := make([]A, p.Len())
	for k, encoded := range p.inputs {
		if err := f.in.Decode(wire.NewReader(encoded, false), in[k:k+1]); err != nil {
			return nil, fmt.Errorf("%w: decoding input %d: %w", ErrEncode, p.First+k, err)
		}
	}
	return in, nil
}
