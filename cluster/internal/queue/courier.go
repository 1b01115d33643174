package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// resend is when a message without a confirmation is sent again.
const resend = 2 * time.Second

// Courier publishes messages until they are confirmed: by a stream that has
// stored them, or by whoever they are for. It keeps them meanwhile.
type Courier struct {
	conn  *nats.Conn
	inbox string
	sub   *nats.Subscription
	stop  chan struct{}
	done  sync.WaitGroup

	// refused hears of a message that a stream does not store. It is sent again none the
	// less, until it is forgotten.
	refused func(subject string, err error)

	mu      sync.Mutex
	last    uint64
	pending map[uint64]*letter
}

type letter struct {
	subject string
	header  nats.Header
	data    []byte
	done    func()
	sent    time.Time
}

// NewCourier returns a courier that publishes on conn. refused is called when a stream does
// not store what was sent on subject, and says why; [IsFull] tells whether that will last.
func NewCourier(conn *nats.Conn, refused func(subject string, err error)) (*Courier, error) {
	c := &Courier{conn: conn, refused: refused, inbox: conn.NewInbox() + ".", stop: make(chan struct{}), pending: map[uint64]*letter{}}
	var err error
	if c.sub, err = conn.Subscribe(c.inbox+"*", c.confirmed); err != nil {
		return nil, fmt.Errorf("confirmations: %w", err)
	}
	if err := c.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	c.done.Go(c.again)
	return c, nil
}

// Send publishes data, and calls done once, when it has been confirmed. data
// must not change until then.
func (c *Courier) Send(subject string, data []byte, done func()) {
	c.SendWith(subject, nil, data, done)
}

// SendWith is Send with headers, which must not change either.
func (c *Courier) SendWith(subject string, header nats.Header, data []byte, done func()) {
	c.mu.Lock()
	c.last++
	id := c.last
	l := &letter{subject, header, data, done, time.Now()}
	c.pending[id] = l
	c.mu.Unlock()
	c.publish(id, l)
}

// publish ignores errors: what is not confirmed is sent again.
func (c *Courier) publish(id uint64, l *letter) {
	reply := c.inbox + strconv.FormatUint(id, 10)
	if l.header == nil {
		_ = c.conn.PublishRequest(l.subject, reply, l.data)
		return
	}
	_ = c.conn.PublishMsg(&nats.Msg{Subject: l.subject, Reply: reply, Header: l.header, Data: l.data})
}

// Forget gives up what was sent on subject, or on any that begins with it if it
// ends with a dot.
func (c *Courier) Forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, l := range c.pending {
		if l.subject == subject || strings.HasSuffix(subject, ".") && strings.HasPrefix(l.subject, subject) {
			delete(c.pending, id)
		}
	}
}

// refusal begins what a stream says that has not stored a message.
var refusal = []byte(`{"error":`)

func (c *Courier) confirmed(m *nats.Msg) {
	if m.Header.Get("Status") != "" {
		return // nobody is there yet
	}
	id, err := strconv.ParseUint(m.Subject[len(c.inbox):], 10, 64)
	if err != nil {
		return
	}
	// A stream says what became of it, others answer with nothing.
	isRefusal := bytes.HasPrefix(m.Data, refusal)
	c.mu.Lock()
	l := c.pending[id]
	if !isRefusal {
		delete(c.pending, id)
	}
	c.mu.Unlock()
	if isRefusal {
		var reason struct {
			Error *jetstream.APIError `json:"error"`
		}
		if l != nil && json.Unmarshal(m.Data, &reason) == nil && reason.Error != nil {
			c.refused(l.subject, full(reason.Error))
		}
		return
	}
	if l != nil && l.done != nil {
		l.done()
	}
}

func (c *Courier) again() {
	tick := time.NewTicker(resend / 4)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		if !c.conn.IsConnected() {
			continue
		}
		type late struct {
			id uint64
			*letter
		}
		var all []late
		c.mu.Lock()
		for id, l := range c.pending {
			if time.Since(l.sent) >= resend {
				l.sent = time.Now()
				all = append(all, late{id, l})
			}
		}
		c.mu.Unlock()
		for _, l := range all {
			c.publish(l.id, l.letter)
		}
	}
}

// Close gives up what has not been confirmed.
func (c *Courier) Close() {
	_ = c.sub.Unsubscribe()
	close(c.stop)
	c.done.Wait()
}
