package shm

import (
	"net"
	"os"
)

// SendFile hands a file's descriptor to the process at the other end of conn,
// with a tag by which that knows what it is. The descriptor stays open here.
// Nothing but such messages may travel on conn in this direction.
func SendFile(conn *net.UnixConn, f *os.File, tag uint64) error {
	return sendFile(conn, f, tag)
}

// ReceiveFile takes the next file and its tag from conn. The file belongs to the
// caller and is not passed on to programs that the caller starts. At the end of
// the stream the error is [io.EOF].
func ReceiveFile(conn *net.UnixConn) (*os.File, uint64, error) {
	return receiveFile(conn)
}
