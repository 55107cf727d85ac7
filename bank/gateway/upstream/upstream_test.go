package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bank/gateway/upstream"
)

func client(t *testing.T, base string, try, all time.Duration) (*upstream.Client, *atomic.Int32) {
	t.Helper()
	parsed, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	retries := &atomic.Int32{}
	return upstream.New(upstream.Options{
		Name: "ledger", Base: parsed, TryTimeout: try, Timeout: all, Retried: func(string, error) { retries.Add(1) },
	}), retries
}

// flaky breaks the first n connections off in its own way and then answers.
func flaky(t *testing.T, n int32, breakOff func(w http.ResponseWriter)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	seen := &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if seen.Add(1) <= n {
			breakOff(w)
			return
		}
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusCreated)
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server, seen
}

func hangUp(w http.ResponseWriter) {
	connection, _, _ := http.NewResponseController(w).Hijack()
	connection.(*net.TCPConn).SetLinger(0) // a reset, as from a pod that was killed
	connection.Close()
}

func halfAnAnswer(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	w.Write([]byte("half"))
	http.NewResponseController(w).Flush()
	hangUp(w)
}

func TestRepeatsACallWhoseConnectionBroke(t *testing.T) {
	for name, breakOff := range map[string]func(http.ResponseWriter){"before the answer": hangUp, "within the answer": halfAnAnswer} {
		t.Run(name, func(t *testing.T) {
			server, seen := flaky(t, 2, breakOff)
			c, retries := client(t, server.URL, time.Second, 5*time.Second)
			answer, err := c.Call(context.Background(), upstream.Request{
				Method: "POST", Path: "/transfers", Header: http.Header{"X-Sent": {"yes"}}, Body: []byte(`{"id":"1"}`),
			})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != 201 || string(answer.Held) != `{"id":"1"}` || answer.Rest != nil || answer.Header.Get("X-Seen") != "yes" {
				t.Errorf("got %+v", answer)
			}
			if seen.Load() != 3 || retries.Load() != 2 {
				t.Errorf("seen %d, retries %d", seen.Load(), retries.Load())
			}
		})
	}
}

func TestWaitsForAServiceThatIsNotThereYet(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := socket.Addr().String()
	socket.Close()
	c, _ := client(t, "http://"+address, time.Second, 5*time.Second)
	var server http.Server
	var group sync.WaitGroup
	group.Add(1)
	time.AfterFunc(150*time.Millisecond, func() {
		defer group.Done()
		if socket, err := net.Listen("tcp", address); err == nil {
			go server.Serve(socket)
		}
	})
	answer, err := c.Call(context.Background(), upstream.Request{Method: "GET", Path: "/"})
	group.Wait()
	defer server.Close()
	if err != nil || answer.Status != 404 {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestGivesUpWhenTheTimeIsUpAndSaysWhatHappened(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + socket.Addr().String()
	socket.Close()
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	broken, _ := flaky(t, 1000, hangUp)

	for _, c := range []struct {
		name, base        string
		refused, timedOut bool
	}{
		{"refused", address, true, false},
		{"hanging", hanging.URL, false, true},
		{"broken", broken.URL, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, _ := client(t, c.base, 100*time.Millisecond, 400*time.Millisecond)
			begun := time.Now()
			_, err := caller.Call(context.Background(), upstream.Request{Method: "GET", Path: "/"})
			var failure *upstream.Error
			if !errors.As(err, &failure) {
				t.Fatalf("got %v", err)
			}
			if failure.Refused != c.refused || failure.TimedOut != c.timedOut || failure.Tries < 2 {
				t.Errorf("got %+v", failure)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestAnAnswerIsAnAnswerWhateverItsStatus(t *testing.T) {
	server, seen := flaky(t, 1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	c, _ := client(t, server.URL, time.Second, 5*time.Second)
	answer, err := c.Call(context.Background(), upstream.Request{Method: "GET", Path: "/"})
	if err != nil || answer.Status != 503 || seen.Load() != 1 {
		t.Errorf("got %+v, %v after %d", answer, err, seen.Load())
	}
}

func TestALongAnswerIsPassedOnAsItComes(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(long[:len(long)-1])
		time.Sleep(150 * time.Millisecond) // longer than one try may take until its answer begins
		w.Write(long[len(long)-1:])
	}))
	defer server.Close()
	c, _ := client(t, server.URL, 100*time.Millisecond, 5*time.Second)
	answer, err := c.Call(context.Background(), upstream.Request{Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Rest == nil {
		t.Fatal("held whole")
	}
	rest, err := io.ReadAll(answer.Rest)
	answer.Rest.Close()
	if err != nil || !bytes.Equal(append(answer.Held, rest...), long) {
		t.Errorf("got %d bytes, %v", len(answer.Held)+len(rest), err)
	}
}

func TestStopsWhenTheClientHangsUp(t *testing.T) {
	server, seen := flaky(t, 1000, hangUp)
	c, _ := client(t, server.URL, time.Second, time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := c.Call(ctx, upstream.Request{Method: "GET", Path: "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	after := seen.Load()
	time.Sleep(100 * time.Millisecond)
	if seen.Load() != after {
		t.Error("goes on trying")
	}
}
