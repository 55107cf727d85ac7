package problem_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"bank/common/problem"
	"bank/common/requestid"
)

func TestWritesProblemDetailsWithTheRequestsId(t *testing.T) {
	handler := requestid.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.Details{
			Status: 429, Code: "too-many-requests", Title: "Too many requests", Detail: "say \"please\"", RetryAfter: 1200 * time.Millisecond,
		})
	}))
	request := httptest.NewRequest("GET", "/", nil)
	request.Header.Set(requestid.Header, "r-1")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)

	if recorder.Code != 429 {
		t.Errorf("status %d", recorder.Code)
	}
	if got := recorder.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("type %q", got)
	}
	if got := recorder.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q: part of a second must count as a whole one", got)
	}
	var got map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "/problems/too-many-requests", "title": "Too many requests", "status": 429.0, "detail": "say \"please\"", "requestId": "r-1",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %v, want %v", key, got[key], value)
		}
	}
}
