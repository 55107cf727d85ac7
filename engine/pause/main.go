// Package main is the first process of a pod's sandbox. It holds the pod's namespaces open, reaps the orphans
// that a shared PID namespace hands to PID 1, and ends when it is told to.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// One place is enough: reap collects every child that has ended by then, however many signals were merged.
	children := make(chan os.Signal, 1)
	stop := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	reap() // a child may have ended before the handler stood
	for {
		select {
		case <-children:
			reap()
		case <-stop:
			return
		}
	}
}

// reap collects every child that has ended, and returns when none is left to collect now.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 {
			return
		}
	}
}
