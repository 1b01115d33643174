package controller_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// docs/cluster-security.md says what is tried here.

// record is a log that can be read while it is written.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// TestRefusals is about what the server shows and tells of those that it does not let in.
func TestRefusals(t *testing.T) {
	t.Parallel()
	log := &record{}
	folder := t.TempDir()
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: folder, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	keys := map[string]string{}
	for _, role := range []string{cluster.RoleClient, cluster.RoleEngine, cluster.RoleObserver} {
		keys[role] = load(t, c, role).Key
	}
	u, err := url.Parse(c.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() || len(c.URLs()) != 1 {
		t.Errorf("it listens at %v, not at the loopback interface alone", c.URLs())
	}

	// greeted returns a connection after the line that anybody gets.
	greeted := func() (net.Conn, string) {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return conn, line
	}
	conn, line := greeted()
	if !strings.Contains(line, `"tls_required":true`) || !strings.Contains(line, `"auth_required":true`) {
		t.Errorf("it greets with %s", line)
	}
	for role, key := range keys {
		if strings.Contains(line, key) {
			t.Errorf("it greets with the key of %s", role)
		}
	}
	// Without TLS nothing is understood.
	if _, err := conn.Write([]byte("CONNECT {\"verbose\":true}\r\nPING\r\n")); err == nil {
		if answer, err := bufio.NewReader(conn).ReadString('\n'); err == nil && !strings.HasPrefix(answer, "-ERR") {
			t.Errorf("without TLS it answers %q", answer)
		}
	}
	for version, want := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		conn, _ := greeted()
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MaxVersion: version}) // only whether they agree
		if err := secure.Handshake(); (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}

	// Who has another key is in the log, no key is, nor in any other file.
	stranger := load(t, c, cluster.RoleClient)
	stranger.Key = load(t, start(t, controller.Config{}), cluster.RoleClient).Key
	if nc, err := stranger.Dial("stranger"); err == nil {
		nc.Close()
		t.Error("a stranger gets in")
	}
	_, js := dial(t, load(t, c, cluster.RoleClient))
	if err := queue.Make(t.Context(), js, queue.Record{ID: "q", Kind: queue.Job}, 0); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "authentication error") {
		t.Errorf("the log says nothing of a stranger: %q", log)
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // a file of a stream that has gone meanwhile
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for role, key := range keys {
			if bytes.Contains(data, []byte(key)) && path != c.File(role) {
				t.Errorf("%s has the key of %s", path, role)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for role, key := range keys {
		if strings.Contains(log.String(), key) {
			t.Errorf("the log has the key of %s", role)
		}
	}
}
