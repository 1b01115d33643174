package access_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parade-go/parade/cluster/internal/access"
)

func Example() {
	c := access.Connection{Cluster: "lab", Role: access.Client, URLs: []string{"tls://127.0.0.1:4222"}, Key: "SUA..."}
	fmt.Println(c)
	// Output: cluster lab as client at [tls://127.0.0.1:4222]
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "client.json")
	want := access.Connection{Cluster: "lab", Role: access.Client, URLs: []string{"tls://127.0.0.1:1"}, CA: "pem", Key: "seed"}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := access.Load(path)
	if err != nil || got.Key != want.Key || got.CA != want.CA || got.URLs[0] != want.URLs[0] {
		t.Errorf("%+v, %v", got, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := access.Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no JSON": "hello", "no urls": `{"cluster":"lab"}`} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := access.Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Setenv("PARADE_STATE", t.TempDir())
	folder, err := access.Folder("lab")
	if err != nil {
		t.Fatal(err)
	}
	if names, err := access.Names(); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if names, err := access.Names(); err != nil || len(names) != 1 || names[0] != "lab" {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := access.Folder("../lab"); err == nil {
		t.Error("a cluster named ../lab is accepted")
	}
}
