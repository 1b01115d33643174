package natstest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/internal/natstest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	natstest.Serve()
	goleak.VerifyTestMain(m)
}

// Without settings in its environment a process goes on as what it is.
func Example() {
	natstest.Serve()
	fmt.Println(os.Getenv("PARADE_TEST_NATS") == "")
	// Output: true
}

// TestOneOfThree: what three servers have, two of them still have.
func TestOneOfThree(t *testing.T) {
	t.Parallel()
	site := natstest.Start(t, 3)
	closed := make(chan struct{})
	nc, err := nats.Connect(strings.Join(site.URLs(), ","), nats.UserInfo(natstest.User, natstest.Password),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		nc.Close()
		<-closed
	}()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	leader := site.Leader("s")
	if leader < 0 {
		t.Fatal("nobody leads the stream")
	}
	start := time.Now()
	site.Kill(leader)
	for {
		s, err := js.Stream(t.Context(), "s")
		if err == nil {
			m, err := s.GetMsg(t.Context(), 1)
			if err == nil {
				if string(m.Data) != "kept" {
					t.Errorf("it has %q", m.Data)
				}
				break
			}
		}
		if time.Since(start) > time.Minute {
			t.Fatal(err)
		}
	}
	t.Logf("another leads after %v", time.Since(start))
	site.Restart(leader)
	site.Ready()
}
