package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
)

// Side says in which network namespace a socket is made.
type Side string

const (
	// Host is the namespace that portal was started in.
	Host Side = "host"
	// Node is the namespace given by --netns.
	Node Side = "node"
)

// Endpoint is an address in one of the two namespaces.
type Endpoint struct {
	Side    Side   `json:"side"`
	Network string `json:"network"` // "tcp" or "unix"
	Address string `json:"address"` // a literal IP address and a port, or an absolute path
}

// Forward joins the connections that arrive at Listen to new connections to Dial.
type Forward struct {
	Name   string   `json:"name"`
	Listen Endpoint `json:"listen"`
	Dial   Endpoint `json:"dial"`
}

// Config is the configuration file.
type Config struct {
	// Revision is echoed in the status file, so that the writer can tell whether its last change is in force.
	Revision string    `json:"revision"`
	Forwards []Forward `json:"forwards"`
}

// readConfig reads and parses the file. An error concerns the whole file; a forward that can't be
// opened as it is written is told by [Forward.check], so that it doesn't take the others with it.
func readConfig(path string) (Config, error) {
	var config Config
	text, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // a misspelt field must not become a silent default
	if err := decoder.Decode(&config); err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return config, fmt.Errorf("%s: there is text after the JSON object", path)
	}
	seen := make(map[string]bool, len(config.Forwards))
	for i, forward := range config.Forwards {
		if forward.Name == "" {
			return config, fmt.Errorf("%s: forwards[%d] has no name", path, i)
		}
		if seen[forward.Name] {
			return config, fmt.Errorf("%s: two forwards are named %q", path, forward.Name)
		}
		seen[forward.Name] = true
	}
	return config, nil
}

// check tells why the forward can't be opened as it is written; nil when it can.
func (f Forward) check() error {
	if err := f.Listen.check(); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := f.Dial.check(); err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	if f.Listen.Side == Host && f.Listen.Network == "tcp" {
		// A portal opens a cluster to this machine's user. It must never open it to the machine's network.
		if address := netip.MustParseAddrPort(f.Listen.Address); !address.Addr().IsLoopback() {
			return fmt.Errorf("listen: %s is not a loopback address: on the host only 127.0.0.0/8 and ::1 are allowed", f.Listen.Address)
		}
	}
	if f.Dial.Network == "tcp" && netip.MustParseAddrPort(f.Dial.Address).Port() == 0 {
		return fmt.Errorf("dial: %s has port 0", f.Dial.Address)
	}
	return nil
}

func (e Endpoint) check() error {
	if e.Side != Host && e.Side != Node {
		return fmt.Errorf("side %q is neither \"host\" nor \"node\"", e.Side)
	}
	switch e.Network {
	case "tcp":
		// Names are refused: the resolver runs on threads of its own, in the host's namespace.
		if _, err := netip.ParseAddrPort(e.Address); err != nil {
			return fmt.Errorf("address %q is not a literal IP address and port: %w", e.Address, err)
		}
	case "unix":
		if !filepath.IsAbs(e.Address) {
			return fmt.Errorf("address %q is not an absolute path", e.Address)
		}
	default:
		return fmt.Errorf("network %q is neither \"tcp\" nor \"unix\"", e.Network)
	}
	return nil
}
