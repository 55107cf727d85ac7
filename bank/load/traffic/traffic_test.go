package traffic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bank/load/traffic"
)

type entry struct {
	Sequence int64  `json:"sequence"`
	Transfer string `json:"transfer"`
	Amount   int64  `json:"amount"`
	Balance  int64  `json:"balance"`
}

type order struct {
	ID        string `json:"id"`
	Debit     string `json:"debit"`
	Credit    string `json:"credit"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	Reference string `json:"reference"`
}

// bank is a small one in memory, whose mistakes a test can choose.
type bank struct {
	mutex    sync.Mutex
	accounts map[string][]entry
	// before is called with each transfer and its number; what it returns is done with it.
	before func(number int) (times int, status int)
	number int
	hold   bool
}

func start(t *testing.T, before func(number int) (times, status int)) (*bank, *traffic.Client) {
	t.Helper()
	b := &bank{accounts: map[string][]entry{}, before: before, hold: true}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/accounts/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != "key" {
			w.WriteHeader(401)
			return
		}
		b.accounts[r.PathValue("id")] = nil
		w.WriteHeader(201)
	})
	mux.HandleFunc("POST /v1/transfers", b.transfer)
	mux.HandleFunc("GET /v1/accounts/{id}", func(w http.ResponseWriter, r *http.Request) {
		entries := b.accounts[r.PathValue("id")]
		balance := int64(0)
		if len(entries) > 0 {
			balance = entries[len(entries)-1].Balance
		}
		json.NewEncoder(w).Encode(map[string]any{"balance": balance})
	})
	mux.HandleFunc("GET /v1/accounts/{id}/postings", func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		rest := b.accounts[r.PathValue("id")][after:]
		page, next := rest[:min(7, len(rest))], any(nil)
		if len(rest) > 7 {
			next = page[6].Sequence
		}
		json.NewEncoder(w).Encode(map[string]any{"postings": page, "next": next})
	})
	mux.HandleFunc("GET /v1/invariants", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"hold": b.hold, "sumOfPostings": map[string]int64{"EUR": 0}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	base, _ := url.Parse(server.URL)
	return b, traffic.NewClient(base, "key", 8)
}

func (b *bank) transfer(w http.ResponseWriter, r *http.Request) {
	var wanted order
	json.NewDecoder(r.Body).Decode(&wanted)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.number++
	times, status := b.before(b.number)
	for range times {
		b.post(wanted.Debit, wanted.ID, -wanted.Amount)
		b.post(wanted.Credit, wanted.ID, wanted.Amount)
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(wanted)
}

func (b *bank) post(account, transfer string, amount int64) {
	entries := b.accounts[account]
	balance := amount
	if len(entries) > 0 {
		balance += entries[len(entries)-1].Balance
	}
	b.accounts[account] = append(entries, entry{int64(len(entries) + 1), transfer, amount, balance})
}

func run(t *testing.T, client *traffic.Client, requests int) *traffic.Summary {
	t.Helper()
	summary, err := traffic.Run(context.Background(), client, traffic.Plan{
		Run: "r", Workers: 4, Duration: 10 * time.Second, MaxRequests: requests, Accounts: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func verify(t *testing.T, client *traffic.Client, summary *traffic.Summary) *traffic.Verdict {
	t.Helper()
	verdict, err := traffic.Verify(context.Background(), client, summary)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

func TestAGoodBankHasNoViolations(t *testing.T) {
	_, client := start(t, func(int) (int, int) { return 1, 201 })
	summary := run(t, client, 50)
	if summary.Requests != 50 || summary.Failures != 0 || len(summary.Acknowledged) != 50 || summary.Latency.Max < summary.Latency.P50 {
		t.Errorf("got %+v", summary)
	}
	if verdict := verify(t, client, summary); len(verdict.Violations) != 0 || verdict.Unacknowledged != 0 || verdict.Acknowledged != 50 {
		t.Errorf("got %+v", verdict)
	}
}

func TestFailuresAreCountedByReasonAndNotRepeated(t *testing.T) {
	b, client := start(t, func(number int) (int, int) {
		if number%5 == 0 {
			return 1, 503 // made, but the caller does not hear so
		}
		return 1, 201
	})
	summary := run(t, client, 50)
	if summary.Failures != 10 || summary.Reasons["status 503 "] != 10 || b.number != 50 {
		t.Errorf("got %+v, %d requests", summary, b.number)
	}
	if verdict := verify(t, client, summary); len(verdict.Violations) != 0 || verdict.Unacknowledged != 10 {
		t.Errorf("got %+v", verdict)
	}
}

func TestALostAndADoubledTransferAreFound(t *testing.T) {
	for times, want := range map[int]string{0: "is 0 times in", 2: "is 2 times in"} {
		_, client := start(t, func(number int) (int, int) {
			if number == 17 {
				return times, 201
			}
			return 1, 201
		})
		verdict := verify(t, client, run(t, client, 30))
		if len(verdict.Violations) != 2 || !strings.Contains(verdict.Violations[0], want) {
			t.Errorf("%d times: got %+v", times, verdict)
		}
	}
}

func TestInvariantsThatDoNotHoldAreFound(t *testing.T) {
	b, client := start(t, func(int) (int, int) { return 1, 201 })
	summary := run(t, client, 3)
	b.hold = false
	if verdict := verify(t, client, summary); len(verdict.Violations) != 1 {
		t.Errorf("got %+v", verdict)
	}
}

func TestARunEndsByTimeAndKeepsToItsRate(t *testing.T) {
	_, client := start(t, func(int) (int, int) { return 1, 201 })
	begun := time.Now()
	summary, err := traffic.Run(context.Background(), client, traffic.Plan{
		Run: "r", Workers: 2, Duration: 300 * time.Millisecond, MaxRequests: 1 << 30, Accounts: 2, PerSecond: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 2*time.Second || summary.Requests > 40 || summary.Requests < 1 {
		t.Errorf("%d requests in %s", summary.Requests, took)
	}
}

func TestAWrongKeyEndsTheRunBeforeItBegins(t *testing.T) {
	b, _ := start(t, func(int) (int, int) { return 1, 201 })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
	defer server.Close()
	base, _ := url.Parse(server.URL)
	_, err := traffic.Run(context.Background(), traffic.NewClient(base, "wrong", 1), traffic.Plan{Run: "r", Workers: 1, Duration: time.Second, MaxRequests: 1, Accounts: 2})
	if err == nil || !strings.Contains(err.Error(), "status 401") || b.number != 0 {
		t.Errorf("got %v", err)
	}
}
