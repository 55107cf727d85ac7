// Package health answers a Kubernetes kubelet: /livez, whether restarting would help, and /readyz, whether to send requests.
package health

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"
)

// A probe of the kubelet waits for 1 s unless the manifest says otherwise.
const checkTimeout = 800 * time.Millisecond

// Check is nil while what it looks at is in order, else the reason.
type Check func(ctx context.Context) error

// Health is one process's own view of itself.
type Health struct {
	serving  atomic.Bool
	draining atomic.Bool
	ready    Check
}

// New makes a health that is ready while serving, not draining, and ready is nil or returns nil.
func New(ready Check) *Health {
	return &Health{ready: ready}
}

// Serving says that the listeners are open.
func (h *Health) Serving() { h.serving.Store(true) }

// Drain says that no new requests should come; those that do are served still.
func (h *Health) Drain() { h.draining.Store(true) }

// Draining tells whether Drain was called.
func (h *Health) Draining() bool { return h.draining.Load() }

// Reason is "" when requests may come, else why not.
func (h *Health) Reason(ctx context.Context) string {
	if h.draining.Load() {
		return "shutting down"
	}
	if !h.serving.Load() {
		return "starting"
	}
	if h.ready != nil {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		if err := h.ready(ctx); err != nil {
			return err.Error()
		}
	}
	return ""
}

// Routes adds GET /livez and /readyz.
func (h *Health) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]any{"live": true}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if reason := h.Reason(r.Context()); reason != "" {
			answer(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reason": reason})
			return
		}
		answer(w, http.StatusOK, map[string]any{"ready": true})
	})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the kubelet hung up: there is nobody to tell
}
