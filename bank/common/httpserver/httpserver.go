// Package httpserver serves HTTP so that a rolling update costs no request: at a signal the process turns unready, serves
// on while the news travels, asks its clients to connect elsewhere, and only then closes its listeners.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"bank/common/health"
)

// Listener is one address with what it serves.
type Listener struct {
	Address string
	Handler http.Handler
}

// Options of Run.
type Options struct {
	// Public listeners stop first.
	Public []Listener
	// Admin listeners answer probes and scrapes until the end.
	Admin  []Listener
	Health *health.Health
	// Drain is for how long requests are served after the signal as before it.
	Drain time.Duration
	// Grace is for how long requests that are under way may then take to end.
	Grace time.Duration
	// Log gets a line at start and at each step to the end.
	Log *slog.Logger
	// Started, where not nil, is told the addresses, public ones first. For tests that listen at port 0.
	Started func([]net.Addr)
}

// Run serves until ctx is done, and returns nil after an orderly end. An error is a listener that could not open or
// broke, or requests that were cut off because they did not end within Grace.
func Run(ctx context.Context, options Options) error {
	listeners := append(append([]Listener{}, options.Public...), options.Admin...)
	sockets := make([]net.Listener, 0, len(listeners))
	for _, listener := range listeners {
		socket, err := net.Listen("tcp", listener.Address)
		if err != nil {
			for _, open := range sockets {
				open.Close()
			}
			return fmt.Errorf("cannot listen at %s: %w", listener.Address, err)
		}
		sockets = append(sockets, socket)
	}

	broken := make(chan error, len(listeners))
	servers := make([]*http.Server, len(listeners))
	addresses := make([]net.Addr, len(listeners))
	for i, listener := range listeners {
		servers[i] = &http.Server{
			Handler:           closeWhileDraining(options.Health, listener.Handler),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       15 * time.Second,
			WriteTimeout:      60 * time.Second,
			// Longer than a usual client's or proxy's 60 s, so that the client is who closes.
			IdleTimeout:    75 * time.Second,
			MaxHeaderBytes: 16 << 10,
			ErrorLog:       slog.NewLogLogger(options.Log.Handler(), slog.LevelWarn),
		}
		addresses[i] = sockets[i].Addr()
		go func() {
			if err := servers[i].Serve(sockets[i]); !errors.Is(err, http.ErrServerClosed) {
				broken <- fmt.Errorf("stopped serving %s: %w", listener.Address, err)
			}
		}()
	}
	options.Health.Serving()
	options.Log.Info("serving", "addresses", fmt.Sprint(addresses))
	if options.Started != nil {
		options.Started(addresses)
	}

	var failure error
	select {
	case <-ctx.Done():
		options.Health.Drain()
		options.Log.Info("draining", "seconds", options.Drain.Seconds())
		select {
		case <-time.After(options.Drain):
		case failure = <-broken:
		}
	case failure = <-broken:
		options.Health.Drain()
	}

	grace, cancel := context.WithTimeout(context.Background(), options.Grace)
	defer cancel()
	for i, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			server.Close()
			failure = errors.Join(failure, fmt.Errorf("requests at %s were cut off after %s: %w", listeners[i].Address, options.Grace, err))
		}
	}
	options.Log.Info("stopped")
	return failure
}

// A client that keeps its connection would go on sending here; told so, it connects anew, to another pod.
func closeWhileDraining(h *health.Health, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
