//go:build !linux

package main

import "errors"

func freeMemory() (int64, error) { return 0, errors.ErrUnsupported }

func computing() (float64, error) { return 0, errors.ErrUnsupported }
