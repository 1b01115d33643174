package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// marked is how often files that jobs may still map are marked as used, so that nobody
// removes them as old.
const marked = 20 * time.Second

// named returns the values that the tasks of a job find by name. Large ones are in files
// that the engines of this user on this machine share, which children map when a task asks,
// so that a call costs nothing for values that its tasks do not ask for.
func (e *engine) named(ctx context.Context, m queue.Message) ([]parade.ValueData, error) {
	all := make([]parade.ValueData, len(m.Values))
	for i, v := range m.Values {
		all[i] = parade.ValueData{Name: v.Name, Type: v.Type, Shape: v.Shape, Size: v.Size}
		file := ""
		if v.Size >= queue.Inline && e.cfg.Values != "" {
			file = filepath.Join(e.cfg.Values, m.Home, v.Hash.Key())
			if _, known := e.checked.Load(file); known && isOfSize(file, v.Size) {
				used(file)
				all[i].File = file
				continue
			}
		}
		data, err := e.value(ctx, m.Home, v.Job, v.Hash)
		if err != nil {
			return nil, fmt.Errorf("the value %q: %w", v.Name, err)
		}
		if file != "" && isOfSize(file, v.Size) { // it could be shared
			e.checked.Store(file, true)
			all[i].File = file
			continue
		}
		all[i].Data = data
	}
	return all, nil
}

func isOfSize(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// keepResults stores the results of a call that stay in the cluster, and puts where they are
// into the answer. It returns false when nobody wants them any more.
func (e *engine) keepResults(h *held, home string, a parade.Answer) bool {
	err := a.Keep(func(result []byte) (parade.Kept, error) {
		hash := queue.HashOf(result)
		return parade.Kept{Hash: hash, Size: int64(len(result))}, e.put(h, home, hash, result)
	})
	return err == nil
}
