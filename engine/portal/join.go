package main

import (
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// streamConn is what TCP and Unix stream connections have in common.
type streamConn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// join copies both directions until both have ended, and closes both connections.
//
// The end of one direction is handed on as the end of that direction only: a client that has sent its whole
// request may still read the answer. An error in either is handed on as a reset, because a reader that
// was given a clean end would take the part that it has for the whole.
func join(a, b streamConn) {
	var both sync.WaitGroup
	copyHalf := func(to, from streamConn) {
		err := copyStream(to, from)
		if err == nil {
			err = to.CloseWrite()
		}
		if err != nil {
			reset(a)
			reset(b)
		}
	}
	both.Go(func() { copyHalf(a, b) })
	copyHalf(b, a)
	both.Wait()
	a.Close()
	b.Close()
}

// bufferSize is a compromise: 64 KiB is where larger reads stop paying on loopback, and the most that a stalled
// connection holds for each direction.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// copyStream copies until the end of from. A nil error means that the end was reached.
//
// io.Copy would do, but for the price of idleness: splice holds two pipes, four descriptors, for each connection
// as long as it lives, and without it io.Copy holds two buffers. Most connections are idle most of the time, so
// here a buffer is taken only when there is something to read.
func copyStream(to io.Writer, from syscall.Conn) error {
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var buffer *[bufferSize]byte
		var count int
		var readErr error
		err := raw.Read(func(descriptor uintptr) (done bool) {
			buffer = buffers.Get().(*[bufferSize]byte)
			for {
				count, readErr = unix.Read(int(descriptor), buffer[:])
				if readErr != unix.EINTR {
					break
				}
			}
			if readErr == unix.EAGAIN {
				buffers.Put(buffer)
				return false // the poller waits, without a buffer
			}
			return true
		})
		if err != nil {
			return err // closed meanwhile; no buffer was left out
		}
		if readErr == nil && count > 0 {
			_, readErr = to.Write(buffer[:count])
		}
		buffers.Put(buffer)
		if readErr != nil || count == 0 {
			return readErr
		}
	}
}

// reset closes the connection so that the peer sees an error, not an end. A Unix socket has no such thing:
// its peer sees the end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
