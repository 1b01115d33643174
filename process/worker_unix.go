//go:build unix

package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/shm"
)

// workerVariable tells a child that it is one. Its value is the worker's name.
const workerVariable = "PARADE_WORKER"

// The descriptors that a child inherits.
const (
	frameFD   = 3 // socket: frames
	segmentFD = 4 // socket: descriptors of shared memory
	statusFD  = 5 // memory: which task is running
	stdoutFD  = 6 // file: what a task prints, if that is captured
	stderrFD  = 7
)

// workerName is set in a child, before anything else can run.
var workerName = func() string {
	name, ok := os.LookupEnv(workerVariable)
	if !ok {
		return ""
	}
	// What a task starts must neither believe it is a worker nor hold the
	// sockets open.
	_ = os.Unsetenv(workerVariable)
	for _, fd := range []int{frameFD, segmentFD, statusFD, stdoutFD, stderrFD} {
		syscall.CloseOnExec(fd)
	}
	go watchParent()
	return name
}()

// watchParent ends a child whose parent goes away while main has not come to
// parade.Open yet. From the first frame on, the one who serves will notice.
func watchParent() {
	fd, err := syscall.Dup(frameFD)
	if err != nil {
		return
	}
	syscall.CloseOnExec(fd)
	_ = syscall.SetNonblock(fd, true)
	f := os.NewFile(uintptr(fd), "parent")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			return false
		}
		if n == 0 {
			endGroup()
		}
		return true
	})
}

// endGroup ends this process and what its tasks have started.
func endGroup() {
	if syscall.Getpgrp() == os.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL)
	}
	os.Exit(0)
}

var serving atomic.Bool

// serve turns a child into a worker. In a task of that worker, which may call
// parade.Open itself, it does nothing.
func serve() {
	if workerName == "" || serving.Swap(true) {
		return
	}
	err := serveWorker()
	if err != nil {
		fmt.Fprintf(os.Stderr, "worker cannot serve: %v\n", err)
		os.Exit(1)
	}
	endGroup() // the parent has gone, or wants us to
}

func serveWorker() error {
	frames, err := inheritedSocket(frameFD, "frames")
	if err != nil {
		return err
	}
	segments, err := inheritedSocket(segmentFD, "segments")
	if err != nil {
		return err
	}
	page, err := shm.Map(os.NewFile(statusFD, "status"), parade.StatusSize, shm.Shared)
	if err != nil {
		return err
	}
	// That the parent is gone is how every worker ends: no error.
	_ = parade.ServeWorker(parade.WorkerEnd{
		Name:    workerName + " (pid " + strconv.Itoa(os.Getpid()) + ")",
		Status:  parade.StatusAt(page.Bytes()),
		Reader:  frames,
		Write:   func(chunks [][]byte) error { return writeChunks(frames, chunks) },
		Segment: received(segments),
		Logs:    func(h slog.Handler) { slog.SetDefault(slog.New(h)) },
		Capture: &capture{streams: [2]stream{{fd: 1, file: stdoutFD}, {fd: 2, file: stderrFD}}},
	})
	return nil
}

// received maps the segments that arrive on conn. One may have been sent for a
// batch that was then not run, so the next to arrive need not be the one asked
// for.
func received(conn *net.UnixConn) func(tag uint64, size int) ([]byte, func(), error) {
	waiting := map[uint64]*os.File{}
	return func(tag uint64, size int) ([]byte, func(), error) {
		for waiting[tag] == nil {
			f, got, err := shm.ReceiveFile(conn)
			if err != nil {
				return nil, nil, err
			}
			waiting[got] = f
		}
		f := waiting[tag]
		delete(waiting, tag)
		defer f.Close()
		m, err := shm.Map(f, size, shm.CopyOnWrite)
		if err != nil {
			return nil, nil, err
		}
		return m.Bytes(), func() { _ = m.Retire() }, nil
	}
}

func inheritedSocket(fd int, name string) (*net.UnixConn, error) {
	return socket(os.NewFile(uintptr(fd), name))
}

// socket makes a connection of a socket's file, which it closes.
func socket(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", f.Name(), err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("socket %s is not a Unix socket", f.Name())
	}
	return u, nil
}

func writeChunks(c *net.UnixConn, chunks [][]byte) error {
	if len(chunks) == 1 {
		_, err := c.Write(chunks[0])
		return err
	}
	buffers := net.Buffers(chunks)
	_, err := buffers.WriteTo(c)
	return err
}
