// Package cluster runs jobs on engines on any number of machines, behind one
// connection. Importing it makes "cluster:NAME" known to [parade.Open]:
//
//	import _ "github.com/parade-go/parade/cluster"
//	import _ "github.com/parade-go/parade/process" // serves in the engines' children
//
//	ex, err := parade.Open(ctx, "cluster:lab")     // as started by "parade cluster start"
//	defer ex.Close()
//	results, err := parade.Map(ctx, ex, fn, inputs)
//
// Engines run this very program: its executable travels once, by content hash, and a
// child of the engine runs main up to parade.Open or parade.Serve, where package process
// takes over; without it there is no connection. Tasks wait in a
// stream of NATS JetStream, which engines pull from; an engine that is lost, or a
// controller that is started again, costs no task and no result.
//
// [Connect] gives a [Client], for what an executor has no call for.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/access"
)

func init() {
	parade.Register("cluster", parade.Driver{Open: func(ctx context.Context, name string) (parade.Executor, error) {
		if err := runnable(); err != nil {
			return nil, err
		}
		if name == "" {
			name = "default"
		}
		conn, err := Find(name)
		if err != nil {
			return nil, err
		}
		c, err := Connect(ctx, conn)
		if err != nil {
			return nil, err
		}
		return &View{client: c, owns: true}, nil
	}})
}

// workerVariable is set in a process that an engine has started, until package process
// has seen it.
const workerVariable = "PARADE_WORKER"

// runnable says why engines could not run this program. Without package process nothing
// serves in their children: each would run all of main, and submit its jobs again.
func runnable() error {
	if worker := os.Getenv(workerVariable); worker != "" {
		return fmt.Errorf("cluster: this process is the worker %s of an engine and must not use a cluster itself; have main come to parade.Open or parade.Serve first, and %s", worker, importProcess)
	}
	return servable(parade.Kinds())
}

const importProcess = `import _ "github.com/parade-go/parade/process"`

func servable(kinds []string) error {
	if !slices.Contains(kinds, "processes") {
		return fmt.Errorf("cluster: nothing in this program could serve in the engines' child processes: %s", importProcess)
	}
	return nil
}

// Connection is what a process needs to reach a cluster. It has a secret. [Load] reads it from a file, whose
// fields are those of the type, in JSON:
//
//	Cluster  string   // the cluster's name
//	Role     string   // RoleClient, RoleEngine or RoleObserver
//	URLs     []string // of the servers, tls://HOST:PORT
//	CA       string   // of the authority that vouches for them, PEM; "" is the system's
//	Key      string   // the secret half of the role's key
//	Replicas int      // of a site's own NATS: on how many of its servers everything is; else 0
//	Creds, User, Password string // what a site's own NATS knows this user by, in place of Key
//	Insecure bool     // a site's own NATS may be without TLS beyond this machine
type Connection = access.Connection

// The roles of connections. A client runs programs on the engines, an engine takes
// their tasks, an observer looks on.
const (
	RoleClient   = access.Client
	RoleEngine   = access.Engine
	RoleObserver = access.Observer
)

// ErrRefused says that the cluster does not let this process in. Its connection file is of another
// cluster, or its key has been replaced.
var ErrRefused = access.ErrRefused

// ErrAway says that nobody answers where the cluster should be: its controller has died, or was
// stopped.
var ErrAway = access.ErrAway

// ErrNoProgram says that no engine can run this program, which is for another operating system or
// another kind of processor than all of theirs.
var ErrNoProgram = errors.New("no engine can run this program")

// Folder is where the state of a cluster of this user is, with its connection files,
// client.json, engine.json and observer.json. It need not exist.
func Folder(name string) (string, error) { return access.Folder(name) }

// Names returns the clusters of this user that have a folder on this machine, sorted.
func Names() ([]string, error) { return access.Names() }

// Load reads a connection file. It refuses one that other users can read.
func Load(path string) (Connection, error) { return access.Load(path) }

// Find returns the client's connection of a cluster of this user, by its name.
func Find(name string) (Connection, error) {
	folder, err := access.Folder(name)
	if err != nil {
		return Connection{}, err
	}
	conn, err := access.Load(access.File(folder, access.Client))
	if errors.Is(err, fs.ErrNotExist) {
		return Connection{}, fmt.Errorf("there is no cluster %q of yours on this machine (\"parade cluster list\" names those that are): start it with \"parade cluster start %s\", or copy its connection file to %s",
			name, name, access.File(folder, access.Client))
	}
	return conn, err
}
