// Package program finds the file of the program that is running.
//
//	f, err := program.Open()
//	sum, err := program.Sum() // the same in every process of one build
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

// start is when this program was there for sure.
var start = time.Now()

// Sum is the SHA-256 of the running program, in hexadecimal.
func Sum() (string, error) { return sum() }

var sum = sync.OnceValues(func() (string, error) {
	f, err := Open()
	if err != nil {
		return "", fmt.Errorf("this program's file cannot be read, which is to tell builds apart: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("this program's file cannot be read, which is to tell builds apart: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// Open opens the file of the running program.
func Open() (*os.File, error) {
	if runtime.GOOS == "linux" {
		// It is the program that runs, even if its file has been replaced.
		if f, err := os.Open("/proc/self/exe"); err == nil {
			return f, nil
		}
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.ModTime().After(start) {
		err = fmt.Errorf("%s was replaced after the program had started; start it again", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
