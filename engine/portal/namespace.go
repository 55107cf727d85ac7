package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace runs functions inside one network namespace. A socket belongs for its whole life to the
// namespace in which it was made, so that only socket, bind and listen have to happen here, never the waiting.
type Namespace struct {
	work chan func()
}

// hostNamespace runs functions where the process was started.
func hostNamespace() *Namespace { return &Namespace{} }

// enterNamespace starts a thread inside the namespace that path (an nsfs file) stands for. The thread, and
// with it the namespace, lives until the process ends.
func enterNamespace(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the network namespace: %w", err)
	}
	defer file.Close()
	inside := &Namespace{work: make(chan func())}
	entered := make(chan error)
	go func() {
		// Never unlocked: a thread inside another namespace must not run other goroutines, and the
		// runtime ends a thread whose goroutine returns while locked.
		runtime.LockOSThread()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			entered <- fmt.Errorf("entering the network namespace %s: %w", path, err)
			return
		}
		entered <- nil
		for f := range inside.work {
			f()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return inside, nil
}

// Do runs f inside the namespace and returns when it has. f must not wait for the network, because all
// of portal's sockets on that side pass through one thread.
func (n *Namespace) Do(f func()) {
	if n.work == nil {
		f()
		return
	}
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		f()
	}
	<-done
}
