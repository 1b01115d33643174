//go:build static || !((linux && !android) || darwin) || !(amd64 || arm64)

package linalg

import "errors"

func libraries() []library { return nil }

func open(library, string) (engine, error) { return nil, errors.ErrUnsupported }
