package main

import (
	"strings"
	"testing"
)

const passing = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.003s\n"}
{"Action":"pass","Package":"p","Elapsed":0.003}
`

func TestTally(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in, want string
		ci, ok         bool
	}{
		{name: "all passed", in: passing, ok: true, ci: true, want: "ok  \tp\t0.003s\n1 passed, 0 failed, 0 skipped\n"},
		{name: "nothing tested", in: `{"Action":"skip","Package":"p"}` + "\n", want: "0 passed, 0 failed, 0 skipped\n"},
		{
			name: "a test failed",
			in: passing + `{"Action":"run","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Test":"TestB","Output":"    b_test.go:1: no\n"}
{"Action":"output","Package":"q","Test":"TestB","Output":"--- FAIL: TestB (0.00s)\n"}
{"Action":"fail","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Output":"FAIL\tq\t0.01s\n"}
{"Action":"fail","Package":"q"}
`,
			want: "ok  \tp\t0.003s\n    b_test.go:1: no\n--- FAIL: TestB (0.00s)\nFAIL\tq\t0.01s\n1 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a test process died",
			in: passing + `{"Action":"run","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Test":"TestB","Output":"fatal error: out of memory\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq\t0.01s\n"}
{"Action":"fail","Package":"q"}
`,
			want: "ok  \tp\t0.003s\nFAIL\tq\t0.01s\nfatal error: out of memory\n--- FAIL: TestB (did not end)\n1 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a build failed",
			in: passing + `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
`,
			want: "ok  \tp\t0.003s\nq.go:1: undefined: x\nFAIL\tq [build failed]\n1 passed, 0 failed, 0 skipped\n",
		},
		{name: "a skip", in: passing + skipped, ok: true, want: "ok  \tp\t0.003s\n1 passed, 0 failed, 1 skipped\n"},
		{
			name: "a skip in CI", in: passing + skipped, ci: true,
			want: "ok  \tp\t0.003s\n    b_test.go:1: no MPI\n" +
				"skipped tests are failures here, since CI=true: install what they need in scripts/setup.sh\n1 passed, 0 failed, 1 skipped\n",
		},
		{name: "text of the go command", in: "go: no such module\n", want: "go: no such module\n0 passed, 0 failed, 0 skipped\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			ok, err := tally(strings.NewReader(tc.in), &out, tc.ci)
			if err != nil || ok != tc.ok || out.String() != tc.want {
				t.Errorf("got %v, %v:\n%s\nwant %v:\n%s", ok, err, out.String(), tc.ok, tc.want)
			}
		})
	}
}

const skipped = `{"Action":"run","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Test":"TestB","Output":"    b_test.go:1: no MPI\n"}
{"Action":"skip","Package":"q","Test":"TestB"}
{"Action":"pass","Package":"q"}
`
