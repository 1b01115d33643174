//go:build !unix

package shm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
)

var errUnsupported = fmt.Errorf("no shared memory on %s: %w", runtime.GOOS, errors.ErrUnsupported)

func create(string, int) (*os.File, error)           { return nil, errUnsupported }
func mapFile(*os.File, int, Mode) ([]byte, error)    { return nil, errUnsupported }
func unmap([]byte) error                             { return errUnsupported }
func reserve([]byte) error                           { return errUnsupported }
func seal(*os.File) error                            { return errUnsupported }
func explain(err error) error                        { return err }
func sendFile(*net.UnixConn, *os.File, uint64) error { return errUnsupported }

func receiveFile(*net.UnixConn) (*os.File, uint64, error) { return nil, 0, errUnsupported }
