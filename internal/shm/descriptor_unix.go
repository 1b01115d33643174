//go:build unix

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const tagSize = 8

var errNoDescriptor = errors.New("a message without a descriptor; does anything else write to this socket?")

func sendFile(conn *net.UnixConn, f *os.File, tag uint64) error {
	message := binary.LittleEndian.AppendUint64(nil, tag)
	var sent int
	err := withDescriptor(f, func(fd int) (err error) {
		sent, _, err = conn.WriteMsgUnix(message, unix.UnixRights(fd), nil)
		return err
	})
	if err == nil && sent < tagSize {
		// The descriptor has gone with the first byte.
		_, err = conn.Write(message[sent:])
	}
	if err != nil {
		return fmt.Errorf("shm: send file: %w", explain(err))
	}
	return nil
}

func receiveFile(conn *net.UnixConn) (*os.File, uint64, error) {
	var message [tagSize]byte
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, flags, _, err := conn.ReadMsgUnix(message[:], oob)
	fds, parseErr := descriptors(oob[:oobn])
	switch {
	case errors.Is(err, io.EOF):
		return nil, 0, io.EOF
	case err != nil:
	case parseErr != nil:
		err = parseErr
	case flags&unix.MSG_CTRUNC != 0 && len(fds) == 0:
		// The kernel drops what it can't put into the descriptor table.
		err = unix.EMFILE
	case len(fds) != 1:
		err = errNoDescriptor
	case n < tagSize:
		if _, err = io.ReadFull(conn, message[n:]); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, 0, fmt.Errorf("shm: receive file: %w", explain(err))
	}
	tag := binary.LittleEndian.Uint64(message[:])
	return os.NewFile(uintptr(fds[0]), "shm:"+strconv.FormatUint(tag, 10)), tag, nil
}

// descriptors returns all that a control message carries, so that none leaks.
// The net package has made them close-on-exec.
func descriptors(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var all []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return all, err
		}
		all = append(all, fds...)
	}
	return all, nil
}
