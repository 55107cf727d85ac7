package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"sync"
	"syscall"
)

// Portal holds the open forwards and those that wait for their address.
type Portal struct {
	namespaces map[Side]*Namespace

	mutex    sync.Mutex
	revision string
	forwards []Forward        // as configured, in the file's order
	gates    map[string]*gate // by name
	failures map[string]error // by name, of those that don't listen
}

// NewPortal makes a portal between the namespace of the process and that of the node.
func NewPortal(node *Namespace) *Portal {
	return &Portal{
		namespaces: map[Side]*Namespace{Host: hostNamespace(), Node: node},
		gates:      make(map[string]*gate),
		failures:   make(map[string]error),
	}
}

// Apply puts a configuration in force. A forward that is in both the old one and the new one, unchanged, keeps
// its listener and its connections; one that was removed or changed loses both.
func (p *Portal) Apply(config Config) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	wanted := make(map[string]Forward, len(config.Forwards))
	for _, forward := range config.Forwards {
		wanted[forward.Name] = forward
	}
	// All that goes is closed before anything is opened, so that two forwards may swap their addresses.
	for name, gate := range p.gates {
		if forward, ok := wanted[name]; !ok || forward != gate.forward {
			gate.close()
			delete(p.gates, name)
		}
	}
	p.revision = config.Revision
	p.forwards = config.Forwards
	p.failures = make(map[string]error)
	p.openMissing()
}

// Retry tries to open the forwards that don't listen. It returns whether any of them does now.
func (p *Portal) Retry() (opened bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	before := len(p.gates)
	p.openMissing()
	return len(p.gates) != before
}

func (p *Portal) openMissing() {
	for _, forward := range p.forwards {
		if p.gates[forward.Name] != nil {
			continue
		}
		gate, err := p.open(forward)
		if err != nil {
			if p.failures[forward.Name] == nil {
				log.Printf("%s: not listening: %v", forward.Name, err)
			}
			p.failures[forward.Name] = err
			continue
		}
		delete(p.failures, forward.Name)
		p.gates[forward.Name] = gate
	}
}

func (p *Portal) open(forward Forward) (*gate, error) {
	if err := forward.check(); err != nil {
		return nil, err
	}
	var listener net.Listener
	var err error
	p.namespaces[forward.Listen.Side].Do(func() { listener, err = listen(forward.Listen) })
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another process; trying again each second: %w", forward.Listen.Address, err)
	}
	if err != nil {
		return nil, err
	}
	target := p.namespaces[forward.Dial.Side]
	return newGate(forward, listener, func() (net.Conn, error) { return dial(target, forward.Dial) }), nil
}

// Close ends all forwards and their connections.
func (p *Portal) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for name, gate := range p.gates {
		gate.close()
		delete(p.gates, name)
	}
}

// Status tells of each forward whether it listens.
func (p *Portal) Status() Status {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	status := Status{Revision: p.revision, Forwards: make([]ForwardStatus, 0, len(p.forwards))}
	for _, forward := range p.forwards {
		line := ForwardStatus{Name: forward.Name, Address: forward.Listen.Address}
		if gate := p.gates[forward.Name]; gate != nil {
			line.Listening = true
			line.Address = gate.listener.Addr().String() // the real port, where 0 was asked for
		} else if err := p.failures[forward.Name]; err != nil {
			line.Error = err.Error()
		}
		status.Forwards = append(status.Forwards, line)
	}
	return status
}
