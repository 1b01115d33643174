package queue

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/parade-go/parade/internal/wire"
)

// SummaryHeader is the header of a job's answer that has its Summary, so that who only
// counts need not get the results.
const SummaryHeader = "Parade-Answer"

// Summary says which tasks an answer is about.
type Summary struct {
	First, Len int      // no tasks: the job was refused
	Failed     [][2]int // ranges of tasks that failed, each its first and the one behind its last; ascending
	Much       bool     // too many to be listed here: see the answer
}

// mostRanges is how many ranges a header lists.
const mostRanges = 1000

// String is the summary as a header: "1200 40 1207-1209,1230".
func (s Summary) String() string {
	b := strconv.AppendInt(nil, int64(s.First), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(s.Len), 10)
	if s.Much || len(s.Failed) > mostRanges {
		return string(append(b, " *"...))
	}
	for i, r := range s.Failed {
		b = append(b, " ,"[min(i, 1)])
		b = strconv.AppendInt(b, int64(r[0]), 10)
		if r[1] > r[0]+1 {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(r[1]-1), 10)
		}
	}
	return string(b)
}

// ParseSummary reads what String wrote.
func ParseSummary(text string) (s Summary, err error) {
	bad := fmt.Errorf("summary %.80q of an answer: it is damaged, or from another version", text)
	first, rest, _ := strings.Cut(text, " ")
	tasks, failed, some := strings.Cut(rest, " ")
	if s.First, err = strconv.Atoi(first); err != nil {
		return s, bad
	}
	if s.Len, err = strconv.Atoi(tasks); err != nil || s.First < 0 || s.Len < 0 || s.First > 1<<53 || s.Len > 1<<30 {
		return s, bad
	}
	if failed == "*" {
		s.Much = true
		return s, nil
	}
	for some {
		var part string
		part, failed, some = strings.Cut(failed, ",")
		from, to, isRange := strings.Cut(part, "-")
		lo, err := strconv.Atoi(from)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.Atoi(to)
		}
		least := s.First
		if n := len(s.Failed); n > 0 {
			least = s.Failed[n-1][1]
		}
		if err != nil || lo < least || hi < lo || hi >= s.First+s.Len {
			return s, bad
		}
		s.Failed = append(s.Failed, [2]int{lo, hi + 1})
	}
	return s, nil
}

// The forms of an answer on its way. In those of jobs the inputs of failed tasks stand
// before the answer, in the bucket, too.
const (
	answerHere uint8 = iota
	answerElsewhere
	answerHereAndInputs
	answerElsewhereAndInputs
)

// AppendAnswer appends an answer as it travels.
func AppendAnswer(dst, answer []byte) []byte { return append(append(dst, answerHere), answer...) }

// AppendAnswerHash appends an answer that is in the bucket.
func AppendAnswerHash(dst []byte, h Hash) []byte {
	return append(append(dst, answerElsewhere), h[:]...)
}

// ParseAnswer returns the answer, or where it is.
func ParseAnswer(data []byte) (answer []byte, elsewhere *Hash, err error) {
	switch {
	case len(data) > 0 && data[0] == answerHere:
		return data[1:], nil, nil
	case len(data) == 1+sha256.Size && data[0] == answerElsewhere:
		return nil, (*Hash)(data[1:]), nil
	}
	return nil, nil, fmt.Errorf("answer of %d bytes in no known form", len(data))
}

// JobAnswer is an answer of a named job.
type JobAnswer struct {
	Data   []byte   // the answer itself
	Inputs [][]byte // parcels with the inputs of the tasks that failed, so that they can be run again
}

// JoinAnswer makes one value of a job's answer, and says whether there are inputs in it.
func JoinAnswer(a JobAnswer) (value []byte, inputs bool) {
	if len(a.Inputs) == 0 {
		return a.Data, false
	}
	var b wire.Buffer
	b.Uvarint(uint64(len(a.Inputs)))
	for _, parcel := range a.Inputs {
		b.BlobOf(parcel)
	}
	b.Raw(a.Data)
	return b.AppendTo(nil), true
}

// AppendJobAnswer appends what JoinAnswer made as it travels: itself, or its hash if it is
// in the bucket.
func AppendJobAnswer(dst, value []byte, inputs, elsewhere bool) []byte {
	form := answerHere
	if inputs {
		form = answerHereAndInputs
	}
	if elsewhere {
		form++
	}
	return append(append(dst, form), value...)
}

// ParseJobAnswer reads what AppendJobAnswer wrote. get fetches a value from the bucket.
func ParseJobAnswer(data []byte, get func(Hash) ([]byte, error)) (a JobAnswer, err error) {
	if len(data) == 0 || data[0] > answerElsewhereAndInputs {
		return a, fmt.Errorf("answer of %d bytes in no known form", len(data))
	}
	form, value := data[0], data[1:]
	if form == answerElsewhere || form == answerElsewhereAndInputs {
		if len(value) != sha256.Size {
			return a, errors.New("answer with a hash that is none: it is damaged")
		}
		if value, err = get(Hash(value)); err != nil {
			return a, err
		}
	}
	if form == answerHere || form == answerElsewhere {
		return JobAnswer{Data: value}, nil
	}
	r := wire.NewReader(value, true)
	n := r.Uvarint()
	if n > uint64(r.Len()) {
		return a, errors.New("answer with more inputs than bytes: it is damaged")
	}
	for range n {
		a.Inputs = append(a.Inputs, r.Blob())
	}
	a.Data = r.Rest()
	return a, r.Err()
}
