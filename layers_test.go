package parade_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/parade-go/parade"

// goPackage is what "go list -json" tells about a package of this module.
type goPackage struct {
	Dir         string
	ImportPath  string
	Name        string
	Doc         string
	GoFiles     []string
	IgnoredFile []string `json:"IgnoredGoFiles"`
	Imports     []string // without those of tests
	Deps        []string // direct and indirect, without those of tests
}

// listPackages lists the packages of this module as built for one system.
func listPackages(t *testing.T, goos string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Name,Doc,GoFiles,IgnoredGoFiles,Imports,Deps", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// within tells whether an import path is one of the trees, or lies in one. The
// trees of this module are given without its name, and "." is its root alone.
func within(importPath string, trees ...string) bool {
	for _, tree := range trees {
		first, _, _ := strings.Cut(tree, "/")
		switch {
		case tree == ".":
			if importPath == module {
				return true
			}
			continue
		case !strings.Contains(first, "."):
			tree = module + "/" + tree
		}
		if importPath == tree || strings.HasPrefix(importPath, tree+"/") {
			return true
		}
	}
	return false
}

func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

var (
	science   = []string{"spike", "unit", "npy", "mt19937", "internal/hdf5", "linalg", "nifti", "smooth"}
	executors = []string{"process", "mpi", "cluster"}
	lowest    = []string{"internal/wire", "internal/shm", "internal/cores", "internal/host", "internal/program", "internal/mmap", "internal/wholefile", "internal/journal"}
)

const (
	nats       = "github.com/nats-io"
	natsServer = "github.com/nats-io/nats-server"
	purego     = "github.com/ebitengine/purego"
)

// layers are the import rules of the design. A rule holds for what a package
// imports directly and indirectly.
var layers = []struct {
	name   string
	of     func(importPath string) bool
	forbid func(dep string) bool
}{
	{
		name:   "science knows no executor and not the root",
		of:     func(p string) bool { return within(p, science...) },
		forbid: func(dep string) bool { return within(dep, ".") || within(dep, executors...) || within(dep, nats) },
	},
	{
		name:   "process imports no other executor",
		of:     func(p string) bool { return within(p, "process") },
		forbid: func(dep string) bool { return within(dep, "mpi", "cluster") },
	},
	{
		name:   "mpi imports no other executor",
		of:     func(p string) bool { return within(p, "mpi") },
		forbid: func(dep string) bool { return within(dep, "process", "cluster") },
	},
	{
		name:   "cluster imports no other executor, but for its engine, which is a process pool fed from a stream",
		of:     func(p string) bool { return within(p, "cluster") && !within(p, "cluster/engine") },
		forbid: func(dep string) bool { return within(dep, "process", "mpi") },
	},
	{
		name:   "the engine imports no executor but processes",
		of:     func(p string) bool { return within(p, "cluster/engine") },
		forbid: func(dep string) bool { return within(dep, "mpi") },
	},
	{
		name:   "the root imports no executor, NATS or purego",
		of:     func(p string) bool { return within(p, ".") },
		forbid: func(dep string) bool { return within(dep, executors...) || within(dep, nats, purego) },
	},
	{
		name:   "only the controller, the command and a tool for tests link the NATS server",
		of:     func(p string) bool { return !within(p, "cluster/controller", "cmd", "internal/natstest") },
		forbid: func(dep string) bool { return within(dep, natsServer) },
	},
	{
		name: "the lowest layer stands on the standard library and x/sys",
		of:   func(p string) bool { return within(p, lowest...) },
		forbid: func(dep string) bool {
			return !standard(dep) && !within(dep, append(lowest, "golang.org/x/sys")...)
		},
	},
	{
		name:   "bench is a module of its own",
		of:     func(p string) bool { return within(p, "bench") },
		forbid: func(string) bool { return true },
	},
}

// The tests here are not parallel: each runs the go command, which uses all cores.

func TestLayers(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range listPackages(t, goos) {
			for _, l := range layers {
				if !l.of(p.ImportPath) {
					continue
				}
				if i := slices.IndexFunc(p.Deps, l.forbid); i >= 0 {
					t.Errorf("%s: %s: but %s depends on %s", goos, l.name, p.ImportPath, p.Deps[i])
				}
			}
		}
	}
}

// The rules above hold for packages that may not exist yet: this shows that they
// would find an offender.
func TestLayersFindOffenders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, pkg, dep string
		broken         bool
	}{
		{"science on an executor", module + "/spike", module + "/process", true},
		{"science on the root", module + "/nifti/internal/gzip", module, true},
		{"science on science", module + "/smooth", module + "/nifti", false},
		{"a name that starts alike", module + "/spikes", module, false},
		{"the root on the wire", module, module + "/internal/wire", false},
		{"the root on a part of an executor", module, module + "/cluster/engine", true},
		{"the root on NATS", module, "github.com/nats-io/nats.go", true},
		{"executor on executor", module + "/cluster", module + "/process", true},
		{"the controller on processes", module + "/cluster/controller", module + "/process", true},
		{"the engine on processes", module + "/cluster/engine", module + "/process", false},
		{"the engine on another executor", module + "/cluster/engine", module + "/mpi", true},
		{"executor on its own part", module + "/cluster", module + "/cluster/engine", false},
		{"executor on the root", module + "/mpi", module, false},
		{"server in the client", module + "/cluster", natsServer + "/v2/server", true},
		{"server in the controller", module + "/cluster/controller", natsServer + "/v2/server", false},
		{"server in the command", module + "/cmd/parade", natsServer + "/v2/server", false},
		{"shared memory on the root", module + "/internal/shm", module, true},
		{"shared memory on x/sys", module + "/internal/shm", "golang.org/x/sys/unix", false},
		{"the journal on a database", module + "/internal/journal", "go.etcd.io/bbolt", true},
		{"wire on another codec", module + "/internal/wire", "github.com/fxamacker/cbor/v2", true},
		{"a file in bench", module + "/bench/peers", "fmt", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			broken := false
			for _, l := range layers {
				broken = broken || l.of(tc.pkg) && l.forbid(tc.dep)
			}
			if broken != tc.broken {
				t.Errorf("%s on %s: forbidden is %v, want %v", tc.pkg, tc.dep, broken, tc.broken)
			}
		})
	}
}

// What is found in libraries at run time is behind the packages that find it.
func TestOnlyTwoPackagesImportPurego(t *testing.T) {
	for _, p := range listPackages(t, "linux") {
		if !within(p.ImportPath, "linalg", "mpi") && slices.ContainsFunc(p.Imports, func(i string) bool { return within(i, purego) }) {
			t.Errorf("%s imports purego, which is for linalg and mpi", p.ImportPath)
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range listPackages(t, "linux") {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if p.Name == "main" || len(p.GoFiles) == 0 {
			continue
		}
		if !hasExample(t, p.Dir) {
			t.Errorf("%s has no Example function in its tests", p.ImportPath)
		}
		for _, file := range slices.Concat(p.GoFiles, p.IgnoredFile) {
			for _, name := range undocumented(t, filepath.Join(p.Dir, file)) {
				t.Errorf("%s: %s has no comment", p.ImportPath, name)
			}
		}
	}
}

func hasExample(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		return slices.ContainsFunc(parse(t, file).Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Example")
		})
	})
}

// undocumented returns the exported names of a file that have no comment.
func undocumented(t *testing.T, file string) []string {
	t.Helper()
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	var names []string
	for _, d := range parse(t, file).Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			// Everybody knows what these methods do.
			known := d.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap"}, d.Name.Name)
			if d.Name.IsExported() && d.Doc == nil && !known && exportedReceiver(d) {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				names = append(names, undocumentedSpec(d, s)...)
			}
		}
	}
	return names
}

// undocumentedSpec accepts, for constants and variables, a comment on the group or
// at the end of the line.
func undocumentedSpec(d *ast.GenDecl, s ast.Spec) []string {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
			return []string{s.Name.Name}
		}
	case *ast.ValueSpec:
		if s.Doc == nil && s.Comment == nil && d.Doc == nil && ast.IsExported(s.Names[0].Name) {
			return []string{s.Names[0].Name}
		}
	}
	return nil
}

// exportedReceiver tells whether f is a function or a method of an exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	return exportedType(f.Recv.List[0].Type)
}

func exportedType(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.IsExported()
	case *ast.StarExpr:
		return exportedType(e.X)
	case *ast.IndexExpr: // one type parameter
		return exportedType(e.X)
	case *ast.IndexListExpr:
		return exportedType(e.X)
	}
	return false
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
