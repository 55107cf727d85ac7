// Package proxy stands at a pod's public port: it names, measures and logs each request, and hands it to the service
// beside it in the pod.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"bank/common/metrics"
	"bank/common/problem"
	"bank/common/requestid"
)

// CallerHeader is how the service tells the sidecar who the request was from. It goes into the log, never to the client.
const CallerHeader = "Bank-Caller"

// clientClosedRequest is logged where the client hung up before it had an answer. No client ever sees it.
const clientClosedRequest = 499

// Options of New.
type Options struct {
	Upstream *url.URL
	// AnswerTimeout is for how long the service may take until its answer's header.
	AnswerTimeout time.Duration
	Registry      *metrics.Registry
	Log           *slog.Logger
}

// New makes the handler of the public port.
func New(options Options) http.Handler {
	requests := options.Registry.Counter("sidecar_requests_total", "Requests answered, by method and status.", "method", "status")
	seconds := options.Registry.Histogram("sidecar_request_duration_seconds",
		"Seconds from a request's header to its answer's last byte.", metrics.SecondsBuckets, "method")
	var underWay atomic.Int64
	options.Registry.Gauge("sidecar_requests_under_way", "Requests that are being answered now.",
		func() float64 { return float64(underWay.Load()) })

	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(options.Upstream)
			r.SetXForwarded() // what the client claims to have forwarded is gone by now
			r.Out.Header.Del(CallerHeader)
		},
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   128,
			IdleConnTimeout:       30 * time.Second, // shorter than the service's own 75 s, so that this side closes
			ResponseHeaderTimeout: options.AnswerTimeout,
			DisableCompression:    true, // bytes go through as they are
		},
		ModifyResponse: func(answer *http.Response) error {
			if caller := answer.Header.Get(CallerHeader); caller != "" {
				if seen, ok := answer.Request.Context().Value(recordKey{}).(*record); ok {
					seen.caller = caller
				}
			}
			answer.Header.Del(CallerHeader)
			answer.Header.Del(requestid.Header) // set already, and the same
			return nil
		},
		ErrorHandler: answerFailure,
		ErrorLog:     slog.NewLogLogger(options.Log.Handler(), slog.LevelWarn),
	}

	return requestid.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		underWay.Add(1)
		seen := &record{ResponseWriter: w}
		defer func() {
			underWay.Add(-1)
			cut := recover() // ReverseProxy's way to break off an answer that the service broke off
			status, took, method := seen.status, time.Since(begun), knownMethod(r.Method)
			if status == 0 {
				status = http.StatusOK
				if cut != nil || r.Context().Err() != nil {
					status = clientClosedRequest
				}
			}
			requests.Increment(method, strconv.Itoa(status))
			seconds.Observe(took.Seconds(), method)
			attributes := []any{
				"requestId", requestid.From(r.Context()), "method", r.Method, "path", r.URL.Path, "status", status,
				"bytes", seen.bytes, "seconds", took.Seconds(), "remote", r.RemoteAddr, "userAgent", r.UserAgent(), "caller", seen.caller,
			}
			if seen.failure != nil {
				attributes = append(attributes, "error", seen.failure.Error())
			}
			if cut != nil {
				options.Log.Warn("answer cut off", attributes...)
				panic(cut)
			}
			options.Log.Info("request", attributes...)
		}()
		reverse.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), recordKey{}, seen)))
	}))
}

func answerFailure(w http.ResponseWriter, r *http.Request, err error) {
	if seen, ok := w.(*record); ok {
		seen.failure = err
	}
	if r.Context().Err() != nil {
		return // the client hung up
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		problem.Write(w, r, problem.Details{Status: http.StatusServiceUnavailable, Code: "service-starting", Title: "The service is not up",
			Detail: "Nothing was done; try again.", RetryAfter: time.Second})
	case errors.As(err, &timeout) && timeout.Timeout():
		problem.Write(w, r, problem.Details{Status: http.StatusGatewayTimeout, Code: "service-timeout", Title: "The service took too long",
			Detail: "It is not known whether the request was carried out. Send it again: a transfer is made only once for its id."})
	default:
		problem.Write(w, r, problem.Details{Status: http.StatusBadGateway, Code: "service-failed", Title: "The service broke off",
			Detail: "It is not known whether the request was carried out. Send it again: a transfer is made only once for its id."})
	}
}

// A client can make up methods without end; a metric's series must not follow.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

type recordKey struct{}

// record is a ResponseWriter that remembers what went through it.
type record struct {
	http.ResponseWriter
	status  int
	bytes   int64
	caller  string
	failure error
}

func (r *record) WriteHeader(status int) {
	if r.status == 0 && status >= 200 { // 1xx answers come before the one that counts
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *record) Write(bytes []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	written, err := r.ResponseWriter.Write(bytes)
	r.bytes += int64(written)
	return written, err
}

// Unwrap lets http.ResponseController flush through.
func (r *record) Unwrap() http.ResponseWriter { return r.ResponseWriter }
