package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/host"
	"github.com/parade-go/parade/internal/program"
)

var errWrongProgram = errors.New("the program is not what its record says")

// fetch returns the path of a client's program on this machine. It comes from the
// cache, or the client's own file if that is here, or the cluster's store.
func (e *engine) fetch(p queue.Program) (string, error) {
	if !isHash(p.Hash) {
		return "", fmt.Errorf("%w: its hash is %q", errWrongProgram, p.Hash)
	}
	path := filepath.Join(e.cfg.Cache, p.Hash)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		used(path)
		return path, nil // only this user can have put it there, after a check
	}
	if p.Host == host.Name() {
		if sum, err := program.Sum(); err == nil && sum == p.Hash {
			if f, err := program.Open(); err == nil {
				return path, e.keep(path, p.Hash, f)
			}
		}
		if f, err := os.Open(p.Path); err == nil {
			err := e.keep(path, p.Hash, f)
			if err == nil || !errors.Is(err, errWrongProgram) {
				return path, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(e.ctx, 2*time.Minute)
	defer cancel()
	programs, err := e.js.ObjectStore(ctx, queue.Programs)
	if err != nil {
		return "", err
	}
	for {
		object, err := programs.Get(ctx, p.Hash)
		if err == nil {
			return path, e.keep(path, p.Hash, object)
		}
		if !errors.Is(err, jetstream.ErrObjectNotFound) {
			return "", err
		}
		select { // the client may still be at it
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("the client did not store its program: %w", err)
		}
	}
}

// keep copies a program into the cache, checks it, and closes from.
func (e *engine) keep(path, want string, from io.ReadCloser) (err error) {
	defer from.Close()
	f, err := os.CreateTemp(e.cfg.Cache, incoming+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), from)
	if err == nil {
		err = f.Chmod(0o700)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%w: its SHA-256 is %s and should be %s", errWrongProgram, got, want)
	}
	return os.Rename(f.Name(), path)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
