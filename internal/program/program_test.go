package program_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"github.com/parade-go/parade/internal/program"
)

func ExampleSum() {
	sum, err := program.Sum()
	fmt.Println(len(sum), err)
	// Output: 64 <nil>
}

func TestSumIsOfTheFile(t *testing.T) {
	t.Parallel()
	f, err := program.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	if sum, err := program.Sum(); err != nil || sum != fmt.Sprintf("%x", h.Sum(nil)) {
		t.Errorf("the sum is %s, %v; that of the file %x", sum, err, h.Sum(nil))
	}
}
