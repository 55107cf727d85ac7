package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bank/common/metrics"
	"bank/common/requestid"
	"bank/gateway/api"
	"bank/gateway/keys"
	"bank/gateway/limit"
	"bank/gateway/upstream"
)

// bank is a gateway with a service behind it that tells what it was asked.
type bank struct {
	url      string
	registry *metrics.Registry
}

func start(t *testing.T, burst int, service http.HandlerFunc) bank {
	t.Helper()
	behind := httptest.NewServer(service)
	t.Cleanup(behind.Close)
	return startBefore(t, burst, behind.URL)
}

func startBefore(t *testing.T, burst int, behind string) bank {
	t.Helper()
	base, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	line := func(name, key, scopes string) string {
		sum := sha256.Sum256([]byte(key))
		return name + " " + hex.EncodeToString(sum[:]) + " " + scopes + "\n"
	}
	ring, err := keys.Parse(line("all", "all-key", "accounts:read,accounts:write,transfers:read,transfers:write,audit:read") + line("reader", "read-key", "accounts:read"))
	if err != nil {
		t.Fatal(err)
	}
	client := upstream.New(upstream.Options{Name: "ledger", Base: base, TryTimeout: 100 * time.Millisecond, Timeout: 300 * time.Millisecond})
	registry := metrics.NewRegistry()
	server := httptest.NewServer(api.New(api.Options{
		Ring: func() *keys.Ring { return ring }, Limiter: limit.New(1, burst), Ledger: client, Statements: client,
		Registry: registry, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
	t.Cleanup(server.Close)
	return bank{server.URL, registry}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b bank) ask(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(text)}
}

func (a answer) wants(t *testing.T, status int, code string) {
	t.Helper()
	var body struct {
		Type      string `json:"type"`
		Status    int    `json:"status"`
		RequestID string `json:"requestId"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	if a.status != status || body.Status != status || body.Type != "/problems/"+code {
		t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
	if id := a.header.Get(requestid.Header); id == "" || id != body.RequestID {
		t.Errorf("request id %q in the header, %q in the body", id, body.RequestID)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Server", "secret/1.0")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "url": r.URL.String(), "body": string(body), "header": r.Header})
}

func TestEachRouteReachesItsService(t *testing.T) {
	b := start(t, 100, echo)
	for _, c := range []struct{ method, path, body, url string }{
		{"POST", "/v1/transfers", `{"id":"1"}`, "/transfers"},
		{"GET", "/v1/transfers/t:1.a_b", "", "/transfers/t:1.a_b"},
		{"PUT", "/v1/accounts/alice", `{}`, "/accounts/alice"},
		{"GET", "/v1/accounts/alice", "", "/accounts/alice"},
		{"GET", "/v1/accounts/alice/postings?after=3&limit=2", "", "/accounts/alice/postings?after=3&limit=2"},
		{"GET", "/v1/accounts/alice/statement?format=csv", "", "/accounts/alice/statement?format=csv"},
		{"GET", "/v1/invariants", "", "/invariants"},
	} {
		got := b.ask(t, c.method, c.path, c.body, api.KeyHeader, "all-key", "Content-Type", "application/json", requestid.Header, "r-7", "Cookie", "a=b")
		var seen struct {
			Method, URL, Body string
			Header            http.Header
		}
		if err := json.Unmarshal([]byte(got.body), &seen); err != nil {
			t.Fatalf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
		if got.status != 201 || seen.Method != c.method || seen.URL != c.url || seen.Body != c.body {
			t.Errorf("%s %s: the service saw %+v, answer %d", c.method, c.path, seen, got.status)
		}
		if seen.Header.Get(requestid.Header) != "r-7" || got.header.Get(requestid.Header) != "r-7" {
			t.Errorf("the request's id got lost")
		}
		if seen.Header.Get(api.KeyHeader) != "" || seen.Header.Get("Cookie") != "" {
			t.Errorf("the key or a cookie reached the service: %v", seen.Header)
		}
		if got.header.Get("Server") != "" || got.header.Get("Cache-Control") != "no-store" || got.header.Get(api.CallerHeader) != "all" {
			t.Errorf("headers of the answer: %v", got.header)
		}
	}
}

func TestWhoMayNotCallDoesNotReachAService(t *testing.T) {
	b := start(t, 100, func(http.ResponseWriter, *http.Request) { t.Error("reached the service") })
	b.ask(t, "GET", "/v1/accounts/alice", "").wants(t, 401, "key-missing")
	b.ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "wrong").wants(t, 401, "key-missing")
	b.ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "all-key", api.KeyHeader, "all-key").wants(t, 401, "key-missing")
	b.ask(t, "POST", "/v1/transfers", "{}", api.KeyHeader, "read-key").wants(t, 403, "scope-missing")
	b.ask(t, "PUT", "/v1/accounts/alice", "{}", api.KeyHeader, "read-key").wants(t, 403, "scope-missing")
}

func TestWhatIsNotARouteDoesNotReachAService(t *testing.T) {
	b := start(t, 100, func(http.ResponseWriter, *http.Request) { t.Error("reached the service") })
	for _, path := range []string{"/", "/v1", "/v1/accounts", "/v1/accounts/", "/v1/accounts/..", "/v1/accounts/a%2Fb", "/v1/accounts/a/../b", "/v1/accounts/%20", "/metrics", "/v1/accounts/" + strings.Repeat("a", 65)} {
		b.ask(t, "GET", path, "", api.KeyHeader, "all-key").wants(t, 404, "no-such-path")
	}
	got := b.ask(t, "DELETE", "/v1/accounts/alice", "", api.KeyHeader, "all-key")
	got.wants(t, 405, "method-not-allowed")
	if allow := got.header.Get("Allow"); allow != "GET, PUT" {
		t.Errorf("Allow: %q", allow)
	}
}

func TestLimits(t *testing.T) {
	b := start(t, 4, echo)
	json := []string{api.KeyHeader, "all-key", "Content-Type", "application/json"}
	if got := b.ask(t, "POST", "/v1/transfers", strings.Repeat(" ", 16<<10), json...); got.status != 201 {
		t.Errorf("a body of just 16 KiB: %d", got.status)
	}
	b.ask(t, "POST", "/v1/transfers", strings.Repeat(" ", 16<<10+1), json...).wants(t, 413, "body-too-large")
	b.ask(t, "POST", "/v1/transfers", "{}", api.KeyHeader, "all-key", "Content-Type", "text/plain").wants(t, 415, "not-json")
	if got := b.ask(t, "POST", "/v1/transfers", "{}", api.KeyHeader, "all-key", "Content-Type", "application/json; charset=utf-8"); got.status != 201 {
		t.Errorf("JSON with a charset: %d", got.status)
	}
	got := b.ask(t, "POST", "/v1/transfers", "{}", json...)
	got.wants(t, 429, "too-many-requests")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	if got := b.ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "read-key"); got.status != 201 {
		t.Errorf("another caller is limited too: %d", got.status)
	}
}

func TestTellsWhatIsWrongWithAService(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	got := startBefore(t, 100, gone.URL).ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "all-key")
	got.wants(t, 503, "service-unavailable")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	start(t, 100, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).
		ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "all-key").wants(t, 504, "service-timeout")
	start(t, 100, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).
		ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "all-key").wants(t, 502, "service-failed")
}

func TestTheVersionIsForEverybody(t *testing.T) {
	got := start(t, 1, echo).ask(t, "GET", "/version", "")
	if got.status != 200 || !strings.Contains(got.body, api.Title) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestCountsByRoute(t *testing.T) {
	b := start(t, 100, echo)
	b.ask(t, "GET", "/v1/accounts/alice", "", api.KeyHeader, "all-key")
	b.ask(t, "GET", "/v1/accounts/bob", "", api.KeyHeader, "all-key")
	b.ask(t, "BREW", "/pot", "")
	var text strings.Builder
	b.registry.Write(&text)
	for _, want := range []string{
		`gateway_requests_total{route="/v1/accounts/{id}",method="GET",status="201"} 2`,
		`gateway_requests_total{route="none",method="none",status="404"} 1`,
		`gateway_request_duration_seconds_count{route="/v1/accounts/{id}",method="GET"} 2`,
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, text.String())
		}
	}
}
