// Package api is the bank's public HTTP interface: who may call what, how often and how much, and which service answers.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bank/common/metrics"
	"bank/common/problem"
	"bank/common/requestid"
	"bank/gateway/keys"
	"bank/gateway/limit"
	"bank/gateway/upstream"
)

// Title is how the bank introduces itself: `GET /version` shows it.
const Title = "The reference bank"

// KeyHeader carries the caller's key.
const KeyHeader = "X-API-Key"

// CallerHeader tells the sidecar the caller's name, for its log.
const CallerHeader = "Bank-Caller"

// The longest transfer, with every field at its bound and escaped, is below 4 KiB.
const maxBodyBytes = 16 << 10

// Options of New.
type Options struct {
	// Ring gives the keys that are valid now.
	Ring       func() *keys.Ring
	Limiter    *limit.Limiter
	Ledger     *upstream.Client
	Statements *upstream.Client
	Registry   *metrics.Registry
	Log        *slog.Logger
}

type gateway struct {
	Options
	routes   []route
	requests *metrics.Counter
	seconds  *metrics.Histogram
}

// New makes the handler of the public interface.
func New(options Options) http.Handler {
	g := &gateway{
		Options: options,
		routes: []route{
			{method: "POST", pattern: "/v1/transfers", scope: keys.WriteTransfers, service: options.Ledger, target: "/transfers"},
			{method: "GET", pattern: "/v1/transfers/{id}", scope: keys.ReadTransfers, service: options.Ledger, target: "/transfers/{id}"},
			{method: "PUT", pattern: "/v1/accounts/{id}", scope: keys.WriteAccounts, service: options.Ledger, target: "/accounts/{id}"},
			{method: "GET", pattern: "/v1/accounts/{id}", scope: keys.ReadAccounts, service: options.Ledger, target: "/accounts/{id}"},
			{method: "GET", pattern: "/v1/accounts/{id}/postings", scope: keys.ReadAccounts, service: options.Ledger, target: "/accounts/{id}/postings"},
			{method: "GET", pattern: "/v1/accounts/{id}/statement", scope: keys.ReadAccounts, service: options.Statements, target: "/accounts/{id}/statement"},
			{method: "GET", pattern: "/v1/invariants", scope: keys.Audit, service: options.Ledger, target: "/invariants"},
			{method: "GET", pattern: "/version"},
		},
		requests: options.Registry.Counter("gateway_requests_total", "Requests answered, by route, method and status.", "route", "method", "status"),
		seconds: options.Registry.Histogram("gateway_request_duration_seconds",
			"Seconds from a request's header to its answer's last byte.", metrics.SecondsBuckets, "route", "method"),
	}
	return requestid.Middleware(g)
}

// ServeHTTP counts the request and answers it.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	found, id, allowed := match(g.routes, r.Method, r.URL.Path)
	pattern, method := "none", "none"
	if found != nil {
		pattern, method = found.pattern, found.method
	}
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		g.requests.Increment(pattern, method, strconv.Itoa(seen.status))
		g.seconds.Observe(time.Since(begun).Seconds(), pattern, method)
	}()
	w = seen
	w.Header().Set("Cache-Control", "no-store") // balances are nobody's to keep
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case found != nil && found.service == nil:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"service": "gateway", "title": Title})
	case found != nil:
		g.serve(w, r, found, id)
	case len(allowed) > 0:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem.Write(w, r, problem.Details{Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Title: "Method not allowed",
			Detail: "Here are " + strings.Join(allowed, ", ") + "."})
	default:
		problem.Write(w, r, problem.Details{Status: http.StatusNotFound, Code: "no-such-path", Title: "No such path"})
	}
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request, route *route, id string) {
	key, ok := g.authorize(w, r, route)
	if !ok {
		return
	}
	w.Header().Set(CallerHeader, key.Name)
	if wait, ok := g.Limiter.Take(key.Name, time.Now()); !ok {
		problem.Write(w, r, problem.Details{Status: http.StatusTooManyRequests, Code: "too-many-requests", Title: "Too many requests", RetryAfter: wait})
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	answer, err := route.service.Call(r.Context(), upstream.Request{
		Method: r.Method, Path: strings.Replace(route.target, "{id}", id, 1), RawQuery: r.URL.RawQuery, Header: passedOn(r), Body: body,
	})
	if err != nil {
		g.answerFailure(w, r, err)
		return
	}
	g.answer(w, r, answer)
}

func (g *gateway) authorize(w http.ResponseWriter, r *http.Request, route *route) (keys.Key, bool) {
	presented := r.Header.Values(KeyHeader)
	if len(presented) == 1 {
		if key, ok := g.Ring().Find(presented[0]); ok {
			if key.Allows(route.scope) {
				return key, true
			}
			w.Header().Set(CallerHeader, key.Name)
			problem.Write(w, r, problem.Details{Status: http.StatusForbidden, Code: "scope-missing", Title: "Not allowed with this key",
				Detail: fmt.Sprintf("The key %s lacks the scope %s.", key.Name, route.scope)})
			return keys.Key{}, false
		}
	}
	w.Header().Set("WWW-Authenticate", `ApiKey header="`+KeyHeader+`"`)
	problem.Write(w, r, problem.Details{Status: http.StatusUnauthorized, Code: "key-missing", Title: "No valid key",
		Detail: "Send one valid key in the header " + KeyHeader + "."})
	return keys.Key{}, false
}

// readBody takes the whole body, since a call may have to be repeated.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem.Write(w, r, problem.Details{Status: http.StatusRequestEntityTooLarge, Code: "body-too-large", Title: "The body is too large",
			Detail: fmt.Sprintf("At most %d bytes.", maxBodyBytes)})
		return nil, false
	case err != nil:
		problem.Write(w, r, problem.Details{Status: http.StatusBadRequest, Code: "body-incomplete", Title: "The body did not come whole"})
		return nil, false
	case len(body) > 0:
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			problem.Write(w, r, problem.Details{Status: http.StatusUnsupportedMediaType, Code: "not-json", Title: "Send JSON",
				Detail: "The header Content-Type must be application/json."})
			return nil, false
		}
	}
	return body, true
}

// Only these headers go to a service: a key must not leave the gateway.
func passedOn(r *http.Request) http.Header {
	header := http.Header{requestid.Header: {requestid.From(r.Context())}}
	for _, name := range []string{"Accept", "Content-Type"} {
		if values := r.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	return header
}

func (g *gateway) answer(w http.ResponseWriter, r *http.Request, answer *upstream.Answer) {
	for _, name := range []string{"Content-Type", "Content-Disposition", "Location", "Retry-After"} {
		if values := answer.Header.Values(name); len(values) > 0 {
			w.Header()[name] = values
		}
	}
	if answer.Rest == nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer.Held)))
	}
	w.WriteHeader(answer.Status)
	if _, err := w.Write(answer.Held); err != nil || answer.Rest == nil {
		if answer.Rest != nil {
			answer.Rest.Close()
		}
		return
	}
	_, err := io.Copy(w, answer.Rest)
	answer.Rest.Close()
	if err != nil {
		g.Log.Warn("answer cut off", "requestId", requestid.From(r.Context()), "error", err.Error())
		panic(http.ErrAbortHandler) // half a statement must not look like a whole one
	}
}

func (g *gateway) answerFailure(w http.ResponseWriter, r *http.Request, err error) {
	var failure *upstream.Error
	if !errors.As(err, &failure) {
		return // the client hung up
	}
	g.Log.Error("no answer from a service", "requestId", requestid.From(r.Context()), "upstream", failure.Service, "tries", failure.Tries, "error", failure.Cause.Error())
	unsure := "It is not known whether the request was carried out. Send it again: a transfer is made only once for its id."
	switch {
	case failure.Refused:
		problem.Write(w, r, problem.Details{Status: http.StatusServiceUnavailable, Code: "service-unavailable", Title: "A service is not up",
			Detail: failure.Service + " cannot be reached. Nothing was done; try again.", RetryAfter: time.Second})
	case failure.TimedOut:
		problem.Write(w, r, problem.Details{Status: http.StatusGatewayTimeout, Code: "service-timeout", Title: "A service took too long",
			Detail: failure.Service + " did not answer in time. " + unsure})
	default:
		problem.Write(w, r, problem.Details{Status: http.StatusBadGateway, Code: "service-failed", Title: "A service broke off",
			Detail: failure.Service + " broke the connection. " + unsure})
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.MaxBytesReader close the connection after a body that is too large.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
