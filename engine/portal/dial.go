package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// connectTimeout bounds the wait for the far side. A service's address without endpoints is refused at
	// once; one behind a dropped route would otherwise hold the client for Linux's 2 minutes.
	connectTimeout = 10 * time.Second
	// keepAlive finds peers that went away without a word, and so ends their half of a forward.
	keepAlive = 30 * time.Second
)

// dial connects to an endpoint that check has accepted.
//
// Only the socket is made inside the namespace. The waiting happens in the network poller, because
// net.Dialer would wait on the namespace's one thread and let a dead address stall all others.
func dial(namespace *Namespace, endpoint Endpoint) (net.Conn, error) {
	if endpoint.Network == "unix" {
		dialer := net.Dialer{Timeout: connectTimeout}
		return dialer.DialContext(context.Background(), "unix", endpoint.Address)
	}
	address := netip.MustParseAddrPort(endpoint.Address)
	family, target := sockaddr(address)
	var descriptor int
	var err error
	namespace.Do(func() {
		descriptor, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	file := os.NewFile(uintptr(descriptor), "tcp:"+endpoint.Address)
	defer file.Close() // FileConn duplicates it
	if err := connect(file, target); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", endpoint.Address, err)
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlivePeriod(keepAlive)
		_ = tcp.SetKeepAlive(true)
		_ = tcp.SetNoDelay(true)
	}
	return conn, nil
}

func sockaddr(address netip.AddrPort) (family int, target unix.Sockaddr) {
	if ip := address.Addr(); ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(address.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
}

// connect starts the connection of a non-blocking socket and waits in the poller until it stands.
func connect(file *os.File, target unix.Sockaddr) error {
	if err := file.SetWriteDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	started := false
	var result error
	err = raw.Write(func(descriptor uintptr) (done bool) {
		if !started {
			started = true
			result = unix.Connect(int(descriptor), target)
			return result != unix.EINPROGRESS && result != unix.EINTR
		}
		// Writable now, or woken without cause: an unfinished connection has no peer yet.
		code, err := unix.GetsockoptInt(int(descriptor), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = err
			return true
		}
		if code != 0 {
			result = syscall.Errno(code)
			return true
		}
		if _, err := unix.Getpeername(int(descriptor)); err != nil {
			return false
		}
		result = nil
		return true
	})
	if err != nil {
		return err // the deadline
	}
	return result
}
