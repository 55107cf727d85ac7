package proxy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"bank/common/metrics"
	"bank/common/requestid"
	"bank/common/sidecar/proxy"
)

// lines is where the log goes; a request's line comes after its answer.
type lines struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *lines) one(t *testing.T) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.mutex.Lock()
		line, err := l.text.ReadBytes('\n')
		l.mutex.Unlock()
		if err == nil {
			entry := map[string]any{}
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			return entry
		}
	}
	t.Fatal("no line in the log")
	return nil
}

func start(t *testing.T, upstream string) (public string, registry *metrics.Registry, log *lines) {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	registry, log = metrics.NewRegistry(), &lines{}
	server := httptest.NewServer(proxy.New(proxy.Options{
		Upstream: target, AnswerTimeout: 200 * time.Millisecond, Registry: registry, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}))
	t.Cleanup(server.Close)
	return server.URL, registry, log
}

func service(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestHandsOnTheRequestAndTheAnswer(t *testing.T) {
	var got *http.Request
	var body string
	public, registry, log := start(t, service(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		w.Header().Set(requestid.Header, r.Header.Get(requestid.Header))
		w.Header().Set(proxy.CallerHeader, "dev")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "made")
	}))
	request, _ := http.NewRequest("POST", public+"/v1/transfers?a=b", strings.NewReader("{}"))
	request.Header.Set(requestid.Header, "r-1")
	request.Header.Set("X-Forwarded-For", "6.6.6.6")
	request.Header.Set(proxy.CallerHeader, "root")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()

	if got.URL.String() != "/v1/transfers?a=b" || body != "{}" || got.Header.Get(requestid.Header) != "r-1" {
		t.Errorf("the service got %s %q with id %q", got.URL, body, got.Header.Get(requestid.Header))
	}
	if forwarded := got.Header.Get("X-Forwarded-For"); forwarded != "127.0.0.1" {
		t.Errorf("X-Forwarded-For %q: the client's claim must not count", forwarded)
	}
	if claimed := got.Header.Get(proxy.CallerHeader); claimed != "" {
		t.Errorf("the client could claim to be %q", claimed)
	}
	if answer.StatusCode != 201 || string(text) != "made" {
		t.Errorf("answer %d %q", answer.StatusCode, text)
	}
	if ids := answer.Header.Values(requestid.Header); len(ids) != 1 || ids[0] != "r-1" {
		t.Errorf("ids in the answer: %q", ids)
	}
	if caller := answer.Header.Get(proxy.CallerHeader); caller != "" {
		t.Errorf("the caller's name goes out: %q", caller)
	}
	entry := log.one(t)
	for key, want := range map[string]any{"requestId": "r-1", "method": "POST", "path": "/v1/transfers", "status": 201.0, "bytes": 4.0, "caller": "dev"} {
		if entry[key] != want {
			t.Errorf("log: %s is %v, want %v", key, entry[key], want)
		}
	}
	var text2 strings.Builder
	registry.Write(&text2)
	for _, want := range []string{
		`sidecar_requests_total{method="POST",status="201"} 1`, `sidecar_request_duration_seconds_count{method="POST"} 1`, `sidecar_requests_under_way 0`,
	} {
		if !strings.Contains(text2.String(), want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, text2.String())
		}
	}
}

func TestTellsWhatIsWrongWithTheService(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "http://" + closed.Addr().String()
	closed.Close()
	release := make(chan struct{})
	defer close(release)
	hanging := service(t, func(http.ResponseWriter, *http.Request) { <-release })
	breaking := service(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, _ := http.NewResponseController(w).Hijack()
		connection.Close()
	})
	for upstream, want := range map[string]struct {
		status int
		kind   string
	}{
		refusing: {503, "/problems/service-starting"},
		hanging:  {504, "/problems/service-timeout"},
		breaking: {502, "/problems/service-failed"},
	} {
		public, _, log := start(t, upstream)
		answer, err := http.Post(public, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		json.NewDecoder(answer.Body).Decode(&body)
		answer.Body.Close()
		if answer.StatusCode != want.status || body["type"] != want.kind {
			t.Errorf("got %d %v, want %v", answer.StatusCode, body, want)
		}
		if entry := log.one(t); entry["error"] == nil || entry["status"] != float64(want.status) {
			t.Errorf("log: %v", entry)
		}
	}
}

func TestAnAnswerThatBreaksOffIsNotMadeToLookWhole(t *testing.T) {
	public, _, log := start(t, service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	answer, err := http.Get(public)
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	if err == nil {
		t.Error("the client saw a whole answer")
	}
	log.one(t) // the reason, from the reverse proxy
	if entry := log.one(t); entry["msg"] != "answer cut off" || entry["bytes"] != 4.0 {
		t.Errorf("log: %v", entry)
	}
}
