// Package queue is what clients, engines and the controller of a cluster agree on:
// subjects, records and messages. docs/cluster-protocol.md tells the whole of it.
//
//	subject := queue.Work(record.ID, job)
//	data := queue.Message{Head: post.Head(), Parcel: parcel.Data}.AppendTo(nil)
//	courier.Send(subject, data, func() { /* it is stored */ })
//	m, err := queue.ParseMessage(msg.Data) // at the engine
package queue

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

// The buckets.
const (
	Records  = "parade-queues"
	Engines  = "parade-engines"
	Programs = "parade-programs"
	Tries    = "parade-tries"   // how many engines have begun a parcel, by queue and number in the stream
	Clients  = "parade-clients" // a key of each client that is there
)

const (
	// Consumer is the name of the consumer by which engines take parcels.
	Consumer = "engines"
	// AckWait is when a parcel whose engine says nothing is delivered again.
	AckWait = 1500 * time.Millisecond
	// Progress is how often an engine says that it still has a parcel.
	Progress = 400 * time.Millisecond
	// Beat is how often an engine writes its state.
	Beat = time.Second
	// Stale is when an engine's state, or a client's key, no longer counts.
	Stale = 5 * time.Second
	// Inline is the size from which values travel by their hash.
	Inline = 256 << 10
	// InlineBound is the same for a bound argument, which all parcels would repeat.
	InlineBound = 4 << 10
)

// Session and Job are the kinds of queues.
const (
	Session = "session"
	Job     = "job"
)

// Record is what the bucket of queues has of one.
type Record struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Owner    string    `json:"owner"`
	Priority int       `json:"priority,omitempty"`
	Created  time.Time `json:"created"`
	Program  Program   `json:"program"`

	Engines  []string   `json:"engines,omitempty"`  // that may take parcels; none: all
	Requires []string   `json:"requires,omitempty"` // of an engine, see ParseNeeds
	Job      *JobRecord `json:"job,omitempty"`      // of a job's queue
}

// JobRecord is what a record has of a job.
type JobRecord struct {
	Name      string   `json:"name"`
	Func      string   `json:"func"`
	Result    string   `json:"result"` // the type of the function's results
	Head      []byte   `json:"head"`
	Bound     []byte   `json:"bound,omitempty"` // the bound argument, or its hash if it is in the bucket
	BoundHash []byte   `json:"bound_hash,omitempty"`
	Tasks     int      `json:"tasks"`
	Complete  bool     `json:"complete"` // all parcels have been stored
	Cancelled bool     `json:"cancelled,omitempty"`
	Rounds    []uint64 `json:"rounds,omitempty"` // of each round but the first, the last answer before it, by its number in the stream: what had failed by then was sent again
	Meta      []byte   `json:"meta,omitempty"`   // the submitter's own
}

// Round is the number of the round that the job is in, from 1.
func (j *JobRecord) Round() uint64 { return uint64(len(j.Rounds)) + 1 }

// Program is what an engine must know to run a client's program.
type Program struct {
	Hash  string   `json:"hash"`  // SHA-256 of the executable, in hexadecimal
	Build uint64   `json:"build"` // parade.BuildID
	Args  []string `json:"args"`
	Dir   string   `json:"dir"`
	Host  string   `json:"host"` // where the client runs
	Path  string   `json:"path"` // the executable's file there
	OS    string   `json:"os"`
	Arch  string   `json:"arch"`
}

// Engine is an engine's state, as it tells once a second.
type Engine struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	Slots   int       `json:"slots"`
	Threads int       `json:"threads"`
	Running int       `json:"running"` // parcels
	Done    int64     `json:"done"`    // tasks, since it started
	Failed  int64     `json:"failed"`
	Labels  []string  `json:"labels,omitempty"`
	Started time.Time `json:"started"`
	Batch   string    `json:"batch,omitempty"` // the job of a batch system that it runs in

	Resources map[string]int64 `json:"resources,omitempty"` // all that it has
	Free      map[string]int64 `json:"free,omitempty"`      // what no parcel holds
}

// Valid reports whether a name can stand in a subject, a bucket and a file.
func Valid(name string) error {
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("the name %q: write 1 to 64 letters, digits, - and _", name)
	}
	return nil
}

// WorkStream is the stream of a queue's parcels.
func WorkStream(id string) string { return "PARADE_WORK_" + id }

// DoneStream is the stream of a job's answers. It has the job's name, so that no two jobs
// have the same, while the queue is another each time that a name is used.
func DoneStream(name string) string { return "PARADE_DONE_" + name }

// Ours reports whether a stream is one of a cluster's.
func Ours(stream string) bool {
	return strings.HasPrefix(stream, "PARADE_") || strings.HasPrefix(stream, "KV_parade-") || strings.HasPrefix(stream, "OBJ_parade-")
}

// Name is that of a job, and of a session its id.
func (r Record) Name() string {
	if r.Job != nil && r.Job.Name != "" {
		return r.Job.Name
	}
	return r.ID
}

// Values is the bucket of a queue's large values.
func Values(id string) string { return "parade-values-" + id }

// Work is the subject of a job's parcels; with job "*" of all.
func Work(id, job string) string { return "parade.work." + id + "." + job }

// Rest is the subject of parcels that an engine gives back.
func Rest(id, job string) string { return "parade.rest." + id + "." + job }

// Done is the subject of answers.
func Done(id, job string) string { return "parade.done." + id + "." + job }

// Over is the subject by which engines hear that a job has ended.
func Over(id string) string { return "parade.over." + id }

// Stop is the verb that ends an engine within seconds, Retire the one that ends it after the tasks
// that run, Interrupt fails the tasks of some queues that it runs, whose ids the request has as
// JSON, and ControllerStop is the subject for the controller.
const (
	Stop           = "stop"
	Retire         = "retire"
	Interrupt      = "interrupt"
	ControllerStop = "parade.controller.stop"
)

// EngineVerb is the subject of requests to an engine.
func EngineVerb(id, verb string) string { return "parade.engine." + id + "." + verb }

// Number is a job's number as a part of a subject.
func Number(job uint64) string { return strconv.FormatUint(job, 10) }

// Parse returns the queue and the job of a subject that Work, Rest or Done made.
func Parse(subject string) (id, job string, err error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[0] != "parade" {
		return "", "", fmt.Errorf("subject %q is not one of a queue", subject)
	}
	return parts[2], parts[3], nil
}

// Hash is the key of a large value.
type Hash [sha256.Size]byte

// HashOf returns the key of a value.
func HashOf(value []byte) Hash { return sha256.Sum256(value) }

// Key is the hash in hexadecimal, as the bucket has it.
func (h Hash) Key() string { return fmt.Sprintf("%x", h[:]) }

const version = 1

// Flags of a message.
const (
	flagOnly = 1 << iota
	flagBoundElsewhere
	flagParcelElsewhere
	flagBound
	flagValues
	flagKeep
	flagAll = 1<<iota - 1
)

// Message is a parcel with all that is needed to run it.
type Message struct {
	Only       bool // it is the only parcel of its job
	Head       []byte
	Bound      []byte // the bound argument, nil without one or with BoundHash
	BoundHash  *Hash  // where it is, if not here
	Parcel     []byte
	ParcelHash *Hash

	Home   string  // the queue whose bucket has the values
	Values []Value // that tasks find by name
	Keep   bool    // results stay in the bucket of Home, and the answer says where
}

// Value is a value that tasks find by name, and where it is.
type Value struct {
	Name  string
	Type  string // as Go writes it
	Shape uint64 // of its encoding
	Job   string // under which the bucket has it
	Hash  Hash
	Size  int64
}

// Pushed is the job of values that no job has made.
const Pushed = "0"

// AppendTo appends the encoded message to dst.
func (m Message) AppendTo(dst []byte) []byte {
	var b wire.Buffer
	b.Uint8(version)
	var flags uint8
	if m.Only {
		flags |= flagOnly
	}
	switch {
	case m.BoundHash != nil:
		flags |= flagBoundElsewhere
	case m.Bound != nil:
		flags |= flagBound
	}
	if m.ParcelHash != nil {
		flags |= flagParcelElsewhere
	}
	if len(m.Values) > 0 {
		flags |= flagValues
	}
	if m.Keep {
		flags |= flagKeep
	}
	b.Uint8(flags)
	b.BlobOf(m.Head)
	if m.Keep || len(m.Values) > 0 {
		b.String(m.Home)
	}
	if len(m.Values) > 0 {
		b.Uvarint(uint64(len(m.Values)))
		for _, v := range m.Values {
			b.String(v.Name)
			b.String(v.Type)
			b.Uint64(v.Shape)
			b.String(v.Job)
			b.Raw(v.Hash[:])
			b.Uvarint(uint64(v.Size))
		}
	}
	switch {
	case m.BoundHash != nil:
		b.Raw(m.BoundHash[:])
	case m.Bound != nil:
		b.BlobOf(m.Bound)
	}
	if m.ParcelHash != nil {
		b.Raw(m.ParcelHash[:])
	} else {
		b.Raw(m.Parcel)
	}
	return b.AppendTo(dst)
}

// ParseMessage reads what AppendTo wrote. The message refers to data.
func ParseMessage(data []byte) (m Message, err error) {
	r := wire.NewReader(data, false)
	v, flags := r.Uint8(), r.Uint8()
	if r.Err() == nil && (v != version || flags&^uint8(flagAll) != 0) {
		return m, fmt.Errorf("parcel of version %d, this engine knows %d: use the same parade on both sides", v, version)
	}
	m.Only = flags&flagOnly != 0
	m.Head = r.Blob()
	m.Keep = flags&flagKeep != 0
	if flags&(flagKeep|flagValues) != 0 {
		m.Home = r.String()
	}
	if flags&flagValues != 0 {
		for n := r.Uvarint(); n > 0 && r.Err() == nil; n-- {
			m.Values = append(m.Values, Value{Name: r.String(), Type: r.String(), Shape: r.Uint64(), Job: r.String(), Hash: *hash(r), Size: int64(r.Uvarint())})
		}
	}
	switch {
	case flags&flagBoundElsewhere != 0:
		m.BoundHash = hash(r)
	case flags&flagBound != 0:
		m.Bound = r.Blob()
	}
	if flags&flagParcelElsewhere != 0 {
		m.ParcelHash = hash(r)
		if r.Err() == nil && r.Len() > 0 {
			return m, errors.New("parcel with something behind its hash: it is damaged")
		}
	} else {
		m.Parcel = r.Rest()
	}
	return m, r.Err()
}

func hash(r *wire.Reader) *Hash {
	var h Hash
	for i := range h {
		h[i] = r.Uint8()
	}
	return &h
}

// ClientName is the name of a client's connection, for those who look at the server.
func ClientName(id string) string { return "parade client " + id }

// Presence is the subject on which a client says, every [Beat], that it is there. The bucket
// of clients keeps it while that is not older than [Stale].
func Presence(id string) string { return "$KV." + Clients + "." + id }

// State is the subject on which an engine writes its state.
func State(id string) string { return "$KV." + Engines + "." + id }

// Owner is the client whose queue it is: its queues for chosen engines have a suffix.
func Owner(id string) string {
	id, _, _ = strings.Cut(id, "-")
	return id
}
