// Package upstream calls a service behind the gateway so that a pod that goes away costs no request: every call can be
// repeated without harm, and one that found nobody, or lost its connection before the answer was whole, is.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

// An answer up to this size is read whole before any of it goes to the client, so that the call can still be repeated
// when the connection breaks. What is longer (a statement of some ten thousand lines) is passed on as it comes.
const heldBytes = 1 << 20

// Options of New.
type Options struct {
	// Name of the service, for errors.
	Name string
	Base *url.URL
	// TryTimeout bounds one try, up to when its answer is held or begins to be passed on.
	TryTimeout time.Duration
	// Timeout bounds all tries together.
	Timeout time.Duration
	// Retried, where not nil, is told of each failed try that is followed by another.
	Retried func(service string, err error)
}

// Client calls one service.
type Client struct {
	options Options
	http    *http.Client
}

// New makes a client with connections of its own.
func New(options Options) *Client {
	return &Client{options: options, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 64,
			// Connections are made anew now and then, so that new pods get their share of the requests.
			IdleConnTimeout:    20 * time.Second,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Request is a call that may be repeated: a read, or a write that the service carries out once however often it comes.
type Request struct {
	Method   string
	Path     string
	RawQuery string
	Header   http.Header
	Body     []byte
}

// Answer is the service's.
type Answer struct {
	Status int
	Header http.Header
	// Held is the body, or its beginning where Rest is not nil.
	Held []byte
	// Rest is what follows; the caller closes it.
	Rest io.ReadCloser
}

// Error tells that no try brought an answer.
type Error struct {
	Service string
	Tries   int
	// Refused tells that no try reached the service: nothing was done.
	Refused bool
	// TimedOut tells that the time was up.
	TimedOut bool
	Cause    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s did not answer in %d tries: %s", e.Service, e.Tries, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// Call calls the service, again and again until there is an answer or the time is up. An error is an *Error, or the
// context's own when it was done.
func (c *Client) Call(ctx context.Context, request Request) (*Answer, error) {
	inTime, cancel := context.WithTimeout(ctx, c.options.Timeout)
	refused := true
	for try := 1; ; try++ {
		answer, err := c.try(inTime, cancel, request)
		if err == nil {
			return answer, nil // Rest, where there is one, cancels when it is closed
		}
		if ctx.Err() != nil {
			cancel()
			return nil, ctx.Err()
		}
		refused = refused && isRefusal(err)
		if !c.sleep(inTime, pause(try)) {
			cancel()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &Error{Service: c.options.Name, Tries: try, Refused: refused, TimedOut: isTimeout(err), Cause: err}
		}
		if c.options.Retried != nil {
			c.options.Retried(c.options.Name, err)
		}
	}
}

// pause grows from 10 ms to 0.5 s, with half of it by chance so that callers do not come back in step.
func pause(try int) time.Duration {
	longest := min(20*time.Millisecond<<min(try-1, 10), 500*time.Millisecond)
	return longest/2 + rand.N(longest/2+1)
}

// sleep is false at once where the time would be up before another try.
func (c *Client) sleep(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errTryTimeout = errors.New("no answer in time")

func (c *Client) try(all context.Context, cancelAll context.CancelFunc, request Request) (*Answer, error) {
	ctx, cancel := context.WithCancelCause(all)
	timer := time.AfterFunc(c.options.TryTimeout, func() { cancel(errTryTimeout) })
	fail := func(err error) (*Answer, error) {
		timer.Stop()
		if cause := context.Cause(ctx); cause != nil && all.Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}

	target := *c.options.Base
	target.Path, target.RawQuery = request.Path, request.RawQuery
	outgoing, err := http.NewRequestWithContext(ctx, request.Method, target.String(), bytes.NewReader(request.Body))
	if err != nil {
		return fail(err)
	}
	outgoing.Header = request.Header.Clone()
	answer, err := c.http.Do(outgoing)
	if err != nil {
		return fail(err)
	}
	held, err := io.ReadAll(io.LimitReader(answer.Body, heldBytes+1))
	if err != nil {
		answer.Body.Close()
		return fail(fmt.Errorf("the answer broke off: %w", err))
	}
	result := &Answer{Status: answer.StatusCode, Header: answer.Header, Held: held}
	if len(held) <= heldBytes {
		answer.Body.Close()
		timer.Stop()
		cancel(nil)
		cancelAll()
		return result, nil
	}
	if !timer.Stop() {
		answer.Body.Close()
		return fail(errTryTimeout)
	}
	result.Rest = &rest{answer.Body, func() { cancel(nil); cancelAll() }}
	return result, nil
}

type rest struct {
	io.ReadCloser
	done func()
}

func (r *rest) Close() error {
	defer r.done()
	return r.ReadCloser.Close()
}

// A connection that never came about carried nothing.
func isRefusal(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, errTryTimeout) || errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}
