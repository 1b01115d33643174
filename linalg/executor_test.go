package linalg_test

import (
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/linalg"
	_ "github.com/parade-go/parade/process"
	"gonum.org/v1/gonum/mat"
)

var (
	svd     = parade.Func("linalg_test.svd", linalg.SVD[*mat.Dense])
	eigen   = parade.Func("linalg_test.eigen", linalg.Eigen[*mat.Dense])
	threads = parade.Func("linalg_test.threads", func(int) (int, error) {
		b, err := linalg.Backend()
		return b.Threads, err
	})
)

// executors are those of this system.
func executors() []string {
	if runtime.GOOS == "windows" {
		return []string{"serial", "threads:2", "threads:5"}
	}
	return []string{"serial", "threads:2", "threads:5", "processes:2"}
}

// TestExecutors holds the results of each executor against a plain loop's.
func TestExecutors(t *testing.T) {
	if os.Getenv(linalg.EnvThreads) != "" {
		return // then the last bits may differ
	}
	rng := rand.New(rand.NewPCG(4, 4))
	var matrices []*mat.Dense
	for range 6 {
		matrices = append(matrices, random(rng, 90, 80))
	}
	var factors []linalg.SVDFactors
	for _, a := range matrices {
		factors = append(factors, must[linalg.SVDFactors](t)(linalg.SVD(a)))
	}
	squares := []*mat.Dense{random(rng, 30, 30), mat.NewDense(2, 2, []float64{0, -1, 1, 0}), new(mat.Dense)}
	var eigens []linalg.EigenFactors
	for _, a := range squares {
		eigens = append(eigens, must[linalg.EigenFactors](t)(linalg.Eigen(a)))
	}
	for _, name := range executors() {
		ex := must[parade.Executor](t)(parade.Open(t.Context(), name))
		defer ex.Close()
		got := must[[]linalg.SVDFactors](t)(parade.Map(t.Context(), ex, svd, matrices))
		if !reflect.DeepEqual(factors, got) {
			t.Errorf("%s: not the bits of the plain loop", name)
		}
		if !reflect.DeepEqual(eigens, must[[]linalg.EigenFactors](t)(parade.Map(t.Context(), ex, eigen, squares))) {
			t.Errorf("%s: not the eigenvectors of the plain loop", name)
		}
	}
}

// TestThreadsOfWorkers asks for all cores, and sees that workers share them.
func TestThreadsOfWorkers(t *testing.T) {
	b := must[linalg.BackendInfo](t)(linalg.Backend())
	if b.Name == "gonum" || b.Name == "LAPACK" {
		return // their threads are not set
	}
	asked := os.Getenv(linalg.EnvThreads) == "0"
	for _, name := range executors() {
		ex := must[parade.Executor](t)(parade.Open(t.Context(), name))
		defer ex.Close()
		info := ex.Info()
		want := 1
		if asked {
			want = info.Threads
		}
		for _, got := range must[[]int](t)(parade.Map(t.Context(), ex, threads, make([]int, 8))) {
			if got != want {
				t.Errorf("%s on %d cores: %d threads, want %d", name, info.Cores, got, want)
			}
		}
		if again := must[linalg.BackendInfo](t)(linalg.Backend()); again.Threads != b.Threads {
			t.Errorf("after %s: %d threads, before %d", name, again.Threads, b.Threads)
		}
	}
}
