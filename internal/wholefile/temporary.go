package wholefile

import (
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parade-go/parade/internal/host"
)

// Prefix begins the names of files that are not whole yet. The dot hides them from
// patterns such as *.nii.gz.
const Prefix = ".parade-"

// maxName is the longest name of a file that all common file systems take.
const maxName = 255

// Beside puts a prefix before the name of a file, of which it keeps the end, so that
// programs that go by a name's ending are content.
func Beside(path, prefix string) string {
	dir, base := filepath.Split(path)
	if over := len(prefix) + len(base) - maxName; over > 0 {
		base = strings.ToValidUTF8(base[min(over, len(base)):], "")
	}
	return dir + prefix + base
}

// Temporary gives a name of this process's own for a file until it is whole: in the
// folder of path, as only there a file can be renamed in one step.
func Temporary(path string) string {
	return Beside(path, Prefix+owner()+"-"+strconv.FormatUint(temporaries.Add(1), 36)+"-")
}

var temporaries atomic.Uint64

// owner is this process on this host.
var owner = sync.OnceValue(func() string { return thisHost() + "-" + strconv.FormatInt(int64(os.Getpid()), 36) })

var thisHost = sync.OnceValue(func() string {
	h := fnv.New32a()
	io.WriteString(h, host.Name())
	return strconv.FormatUint(uint64(h.Sum32()), 36)
})

// swept are the folders in which this process has looked for what others have left.
var swept sync.Map

// Sweep removes from a folder what has a name of Temporary and was left by processes of
// this host that are gone, killed with SIGKILL or by a power cut. A process does that
// once for each folder.
func Sweep(dir string) {
	if _, done := swept.LoadOrStore(dir, true); done {
		return
	}
	left, err := filepath.Glob(filepath.Join(escapePattern(dir), Prefix+thisHost()+"-*"))
	if err != nil {
		return
	}
	for _, name := range left {
		parts := strings.SplitN(filepath.Base(name), "-", 4)
		if len(parts) < 4 {
			continue
		}
		if pid, err := strconv.ParseInt(parts[2], 36, 32); err == nil && !running(int(pid)) {
			_ = os.RemoveAll(name)
		}
	}
}

// escapePattern makes a folder's name safe for filepath.Glob.
func escapePattern(name string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(name)
}
