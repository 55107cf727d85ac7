package main

import (
	"errors"
	"log"
	"net"
	"sync"
	"time"
)

// gate is one open forward: a listener and the connections that came through it.
type gate struct {
	forward  Forward
	listener net.Listener
	dial     func() (net.Conn, error)

	mutex  sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // both ends of each

	failing bool // the last dial failed; guarded by mutex
}

func newGate(forward Forward, listener net.Listener, dial func() (net.Conn, error)) *gate {
	g := &gate{forward: forward, listener: listener, dial: dial, conns: make(map[net.Conn]struct{})}
	go g.accept()
	return g
}

// acceptPause is the wait after a failed accept. The cause is then a lack of descriptors or memory, which
// passes when connections end; trying without a pause would take a core.
const acceptPause = 50 * time.Millisecond

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Printf("%s: accepting a connection: %v", g.forward.Name, err)
			time.Sleep(acceptPause)
			continue
		}
		go g.serve(conn)
	}
}

func (g *gate) serve(client net.Conn) {
	if !g.hold(client) {
		return
	}
	defer g.release(client)
	target, err := g.dial()
	g.noteDial(err)
	if err != nil {
		reset(client)
		return
	}
	if !g.hold(target) {
		return
	}
	defer g.release(target)
	// Only TCP and Unix streams are listened on and dialled.
	join(client.(streamConn), target.(streamConn))
}

// hold notes a connection, so that close can end it. It resets the connection and returns false when the gate
// has been closed meanwhile.
func (g *gate) hold(conn net.Conn) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed {
		reset(conn)
		return false
	}
	g.conns[conn] = struct{}{}
	return true
}

func (g *gate) release(conn net.Conn) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.conns, conn)
}

// noteDial logs when dialling begins to fail and when it works again, not each of a thousand failures.
func (g *gate) noteDial(err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if (err != nil) == g.failing {
		return
	}
	g.failing = err != nil
	if err != nil {
		log.Printf("%s: %v", g.forward.Name, err)
	} else {
		log.Printf("%s: connecting works again", g.forward.Name)
	}
}

// close frees the listening address and resets the connections that came through it.
func (g *gate) close() {
	g.listener.Close()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.closed = true
	for conn := range g.conns {
		reset(conn)
	}
}
