package main

import (
	"io"
	"net"
)

// halfCloser is what TCP and Unix stream connections have in common beyond net.Conn.
type halfCloser interface {
	CloseWrite() error
}

// join copies both directions until both have ended, and closes both connections.
//
// The end of one direction is handed on as the end of that direction only: a client that has sent its whole
// request may still read the answer. An error in either is handed on as a reset, because a reader that
// was given a clean end would take the part that it has for the whole.
func join(a, b net.Conn) {
	broken := make(chan bool, 2)
	copyHalf := func(to, from net.Conn) {
		// io.Copy moves the bytes inside the kernel (splice), and waits for the slower side.
		_, err := io.Copy(to, from)
		if err == nil {
			err = closeWrite(to)
		}
		if err != nil {
			reset(a)
			reset(b)
		}
		broken <- err != nil
	}
	go copyHalf(a, b)
	copyHalf(b, a)
	<-broken
	<-broken
	a.Close()
	b.Close()
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(halfCloser); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}

// reset closes the connection so that the peer sees an error, not an end. A Unix socket has no such thing:
// its peer sees the end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
