package journal_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parade-go/parade/internal/journal"
)

func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "run.journal")
	for _, subject := range []string{"sub-01", "sub-02"} { // two programs, one after the other
		j, err := journal.Open(path, "example 1", func(r journal.Record) error {
			fmt.Printf("%s: found %s\n", subject, r.Data)
			return nil
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := j.Append(fmt.Appendf(nil, `{"subject":%q,"exit":0}`, subject)); err != nil {
			fmt.Println(err)
		}
		if err := j.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output: sub-02: found {"subject":"sub-01","exit":0}
}
