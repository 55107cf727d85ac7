package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// listen opens the listener of an endpoint that check has accepted. It must be called inside the
// endpoint's namespace.
func listen(endpoint Endpoint) (net.Listener, error) {
	if endpoint.Network == "unix" {
		return listenUnix(endpoint.Address)
	}
	// Naming the family keeps Go from asking which families there are: it asks once for the whole process,
	// and the answer may differ between the namespaces.
	config := net.ListenConfig{KeepAlive: keepAlive}
	return config.Listen(context.Background(), tcpFamily(endpoint.Address), endpoint.Address)
}

func tcpFamily(address string) string {
	if netip.MustParseAddrPort(address).Addr().Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// listenUnix replaces a socket file that a killed process left behind, and never one that somebody serves.
func listenUnix(path string) (net.Listener, error) {
	listener, err := listenPrivately(path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return listener, err
	}
	probe, probeErr := net.DialTimeout("unix", path, time.Second)
	if probeErr == nil {
		probe.Close()
		return nil, err
	}
	if !errors.Is(probeErr, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w (and connecting to it: %w)", err, probeErr)
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return listenPrivately(path)
}

// listenPrivately makes a socket file that only its owner may connect to. portal sets its umask at its start.
func listenPrivately(path string) (net.Listener, error) {
	return net.Listen("unix", path)
}
