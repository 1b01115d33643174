// Package access is how the processes of a cluster get in: connection files, and
// the folder where those of the clusters of this user are.
//
//	c, err := access.Load("/home/ada/.local/state/parade/clusters/lab/client.json")
//	conn, err := c.Dial("parade client 7f3a")
//	folder, err := access.Folder("lab")
//	names, err := access.Names() // of the clusters that have a folder here
package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// The roles of a cluster.
const (
	Client   = "client"
	Engine   = "engine"
	Observer = "observer"
)

// Roles are all of them.
var Roles = []string{Client, Engine, Observer}

// Connection is what a process needs to reach a cluster in a role. It has a
// secret: its file is for the user's eyes only.
type Connection struct {
	Cluster string   `json:"cluster"`
	Role    string   `json:"role"`
	URLs    []string `json:"urls"`
	CA      string   `json:"ca,omitempty"`  // of the authority that vouches for the servers, PEM
	Key     string   `json:"key,omitempty"` // the secret half of the role's key

	// Of a site's own NATS. Replicas is on how many of its servers everything is; it is 0
	// of a cluster whose controller has the server.
	Replicas int    `json:"replicas,omitempty"`
	Creds    string `json:"creds,omitempty"` // a credentials file: a token and its key
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Insecure bool   `json:"insecure,omitempty"` // without TLS beyond this machine
}

// Site reports whether the servers are a site's own, and not a controller's.
func (c Connection) Site() bool { return c.Replicas > 0 }

// WithCredentials returns the connection with what a site's own NATS knows this user by: the
// content of a credentials file, the seed of a key, or "user:password".
func (c Connection) WithCredentials(text string) (Connection, error) {
	c.Creds, c.Key, c.User, c.Password = "", "", "", ""
	text = strings.TrimSpace(text)
	user, password, ok := strings.Cut(text, ":")
	switch {
	case strings.Contains(text, "BEGIN NATS USER JWT"):
		c.Creds = text + "\n"
	case strings.HasPrefix(text, "SU") && !ok:
		if _, err := nkeys.FromSeed([]byte(text)); err != nil {
			return c, fmt.Errorf("the seed of a key: %w", err)
		}
		c.Key = text
	case ok && user != "" && !strings.ContainsAny(text, "\r\n"):
		c.User, c.Password = user, password
	default:
		return c, errors.New("neither a credentials file of NATS, nor the seed of a user's key (SU...), nor a line \"user:password\"")
	}
	return c, nil
}

// String leaves out the secret.
func (c Connection) String() string {
	return fmt.Sprintf("cluster %s as %s at %v", c.Cluster, c.Role, c.URLs)
}

// Save writes the connection to a file with mode 0600.
func (c Connection) Save(path string) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".connection-*") // has that mode
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// Load reads a connection file. It refuses one that others can read.
func Load(path string) (Connection, error) {
	var c Connection
	info, err := os.Stat(path)
	if err != nil {
		return c, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return c, fmt.Errorf("%s can be read by others (mode %04o), and has a secret: chmod 600 it, or make a new cluster if they have", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s is not a connection file: %w", path, err)
	}
	if len(c.URLs) == 0 {
		return c, fmt.Errorf("%s is not a connection file: it has no urls", path)
	}
	return c, nil
}

// Dial connects. The connection comes back by itself after the server was away, for
// as long as it takes.
func (c Connection) Dial(name string, opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), // the courier sends again what matters
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(5 * time.Second),
		nats.CustomInboxPrefix(InboxPrefix(c.Role)),
	}
	if c.CA != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, fmt.Errorf("%v: the certificate of its authority cannot be read", c)
		}
		oldest := uint16(tls.VersionTLS13)
		if c.Site() {
			oldest = tls.VersionTLS12
		}
		all = append(all, nats.Secure(&tls.Config{RootCAs: pool, MinVersion: oldest}))
	}
	if err := c.private(); err != nil {
		return nil, err
	}
	if c.Key != "" {
		pair, err := nkeys.FromSeed([]byte(c.Key))
		if err != nil {
			return nil, fmt.Errorf("%v: its key cannot be read", c) // and is not shown
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, err
		}
		all = append(all, nats.Nkey(public, pair.Sign))
	}
	if c.Creds != "" {
		all = append(all, nats.UserCredentialBytes([]byte(c.Creds)))
	}
	if c.User != "" {
		all = append(all, nats.UserInfo(c.User, c.Password))
	}
	conn, err := nats.Connect(strings.Join(c.URLs, ","), append(all, opts...)...)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("%v: %w: it does not know this key or user, which is of another cluster or has been replaced", c, ErrRefused)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return nil, fmt.Errorf("%v: %w: what answers there is not this cluster: %w", c, ErrRefused, err)
	}
	return nil, &awayError{fmt.Errorf("%v: %w", c, err)}
}

// private refuses what would send secrets and tasks over a network for all to read.
func (c Connection) private() error {
	if c.CA != "" || c.Insecure {
		return nil
	}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return fmt.Errorf("%q is not the URL of a NATS server; write for example tls://nats.site:4222", text)
		}
		ip := net.ParseIP(u.Hostname())
		if u.Scheme != "tls" && u.Scheme != "wss" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%s is on another machine and would be used without TLS, for everybody on the network to read and to change; write tls:// if its servers have it, or allow it with --insecure", text)
		}
	}
	return nil
}

// ErrAway says that nobody answers where the cluster should be.
var ErrAway = errors.New("the cluster does not answer")

// awayError says that nobody answered, or not to the end.
type awayError struct{ error }

func (e *awayError) Unwrap() error        { return e.error }
func (e *awayError) Is(target error) bool { return target == ErrAway }

// DialWithin is Dial that goes on trying for a while when nobody answers: the controller may
// be about to start again.
func (c Connection) DialWithin(ctx context.Context, patience time.Duration, name string, opts ...nats.Option) (*nats.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := c.Dial(name, opts...)
		if !errors.As(err, new(*awayError)) {
			return conn, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// ErrRefused says that the cluster does not let this process in.
var ErrRefused = errors.New("the cluster refuses this connection")

// Close closes a connection and waits for its end.
func Close(conn *nats.Conn) {
	closed := make(chan struct{})
	conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if conn.IsClosed() {
		return
	}
	conn.Close()
	<-closed
}

// InboxPrefix begins the subjects on which a role gets replies, out of reach of the others.
func InboxPrefix(role string) string { return "_INBOX_" + role }

// FromClient reports whether a request is a client's, by where the reply goes. The server
// lets others have messages delivered to any subject, but not with such a reply.
func FromClient(reply string) bool { return strings.HasPrefix(reply, InboxPrefix(Client)+".") }

// root is the folder of all clusters of this user.
func root() (string, error) {
	if dir := os.Getenv("PARADE_STATE"); dir != "" {
		return filepath.Join(dir, "clusters"), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "parade", "clusters"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where clusters keep their state: %w; set PARADE_STATE", err)
	}
	return filepath.Join(home, ".local", "state", "parade", "clusters"), nil
}

// Folder is where a cluster's state is; it need not exist.
func Folder(cluster string) (string, error) {
	if err := queue.Valid(cluster); err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	dir, err := root()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, cluster), nil
}

// File is the connection file of a role in a cluster's folder.
func File(folder, role string) string { return filepath.Join(folder, role+".json") }

// Names returns the clusters that have a folder here, sorted.
func Names() ([]string, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && queue.Valid(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
