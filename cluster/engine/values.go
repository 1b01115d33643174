package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/journal"
)

// limits bound a folder that engines of this user share.
type limits struct {
	age   time.Duration // what has not been used for so long goes
	bytes int64         // and what was used longest ago, beyond so much
	fresh time.Duration // but not what was used so lately: somebody may be at it
}

var (
	programLimits = limits{age: 7 * 24 * time.Hour, bytes: 8 << 30, fresh: time.Hour}
	valueLimits   = limits{age: 24 * time.Hour, bytes: 4 << 30, fresh: time.Minute}
)

// useful is how often the file of a program that children run is marked as used.
const useful = 10 * time.Minute

// used marks a file of a shared folder as used now.
func used(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// prune removes from a folder what is beyond the limits.
func prune(folder string, l limits) error {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var all []file
	var total int64
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !ours(d.Name()) {
			return nil // others may be removing it
		}
		if info, err := d.Info(); err == nil {
			all = append(all, file{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	slices.SortFunc(all, func(a, b file) int { return a.used.Compare(b.used) })
	now := time.Now()
	for _, f := range all {
		idle := now.Sub(f.used)
		if idle < l.fresh || idle < l.age && total <= l.bytes {
			break // what follows was used later
		}
		if e := os.Remove(f.path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
			continue
		}
		total -= f.size
		if dir := filepath.Dir(f.path); dir != folder {
			_ = os.Remove(dir) // if it is empty
		}
	}
	return err
}

// ours reports whether engines made a file of that name: those of shared folders are called
// by their SHA-256.
func ours(name string) bool {
	return strings.HasPrefix(name, incoming) || isHash(strings.TrimSuffix(name, lockSuffix))
}

func isHash(name string) bool {
	return len(name) == 2*sha256.Size && strings.Trim(name, "0123456789abcdef") == ""
}

// ownFolder makes a folder that nobody else can write to. Below the folder for temporary
// files anybody can have made one of that name.
func ownFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	if err == nil {
		err = os.Chmod(path, 0o700) // only its owner may
	}
	return err
}

// valueFolder is where engines of this user on this machine share large values.
func valueFolder() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("parade-values-%d", os.Getuid()))
}

// value returns a large value of a job, such as a bound argument. The engines of this user
// on this machine fetch it once: one does, and the others find it in a folder.
func (e *engine) value(ctx context.Context, queueID, job string, h queue.Hash) ([]byte, error) {
	fetch := func() ([]byte, error) { return queue.GetValue(ctx, e.js, queueID, job, h) }
	if e.cfg.Values == "" {
		return fetch()
	}
	dir := filepath.Join(e.cfg.Values, queueID)
	path := filepath.Join(dir, h.Key())
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		if data, ok := kept(path, h); ok {
			return data, nil
		}
		lock, taken, err := lockValue(dir, path)
		if err != nil { // no room, or no locks: then each has its own
			e.log.Debug("a large value is not shared with other engines", "error", err)
			return fetch()
		}
		if !taken {
			defer func() {
				_ = os.Remove(lock.Name())
				_ = lock.Close()
			}()
			if data, ok := kept(path, h); ok { // meanwhile
				return data, nil
			}
			data, err := fetch()
			if err == nil && len(data) >= queue.Inline { // others are faster fetched than looked after
				e.share(path, data)
			}
			return data, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late.C: // whoever is at it may be frozen
			return fetch()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// share puts a value into the folder, and keeps that within its limits.
func (e *engine) share(path string, data []byte) {
	err := keepValue(path, data)
	if err == nil && e.kept.Add(int64(len(data))) > valueLimits.bytes/8 {
		e.kept.Store(0)
		err = prune(e.cfg.Values, valueLimits)
	}
	if err != nil {
		e.log.Debug("a large value is not shared with other engines", "error", err)
	}
}

// kept returns a value that is in the folder. One that is damaged is removed.
func kept(path string, h queue.Hash) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	if queue.HashOf(data) != h {
		_ = os.Remove(path)
		return nil, false
	}
	used(path)
	return data, true
}

// lockValue takes the right to fetch a value, or says that somebody has it.
func lockValue(dir, path string) (lock *os.File, taken bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	if lock, err = os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, false, err
	}
	if taken, err = journal.Lock(lock); taken || err != nil {
		_ = lock.Close()
	}
	return lock, taken, err
}

// keepValue puts a value into the folder, whole or not at all.
func keepValue(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), incoming+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// incoming begins the names of files that are not whole yet.
const incoming = ".incoming-"

// lockSuffix ends the name of the file that is locked while a value is fetched.
const lockSuffix = ".lock"

// dropValues removes the values of a queue that has been removed. Those of a client are
// with one of its sessions, which need not be one that this engine has had.
func (e *engine) dropValues(r queue.Record) {
	if e.cfg.Values == "" {
		return
	}
	folders := []string{filepath.Join(e.cfg.Values, r.ID)}
	if r.Kind == queue.Session {
		first := filepath.Join(e.cfg.Values, queue.Owner(r.ID))
		others, _ := filepath.Glob(first + "-*") // an id has nothing that Glob knows
		folders = append(others, first)
	}
	for _, folder := range folders {
		_ = os.RemoveAll(folder)
		e.checked.Range(func(path, _ any) bool {
			if filepath.Dir(path.(string)) == folder {
				e.checked.Delete(path)
			}
			return true
		})
	}
}

// prunePrograms removes programs that nobody has used for long, other than those whose
// children this engine has. Other engines mark theirs as used.
func (e *engine) prunePrograms() {
	e.mu.Lock()
	for _, p := range e.pools {
		select {
		case <-p.ready:
			if p.err == nil {
				used(filepath.Join(e.cfg.Cache, p.program.Hash))
			}
		default: // it has just been looked for
		}
	}
	e.mu.Unlock()
	if err := prune(e.cfg.Cache, programLimits); err != nil {
		e.log.Debug("old programs could not be removed", "error", err)
	}
}

// housekeep marks what is used and removes what is not.
func (e *engine) housekeep() {
	tick := time.NewTicker(useful)
	defer tick.Stop()
	for {
		e.prunePrograms()
		if e.cfg.Values != "" {
			if err := prune(e.cfg.Values, valueLimits); err != nil {
				e.log.Debug("old values could not be removed", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return
		}
	}
}
