package requestid_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"bank/common/requestid"
)

func idAfterMiddleware(t *testing.T, sent ...string) string {
	t.Helper()
	var inside string
	handler := requestid.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inside = requestid.From(r.Context())
		if passedOn := r.Header.Get(requestid.Header); passedOn != inside {
			t.Errorf("passes on %q, but the id is %q", passedOn, inside)
		}
	}))
	request := httptest.NewRequest("GET", "/", nil)
	for _, value := range sent {
		request.Header.Add(requestid.Header, value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if answered := recorder.Header().Get(requestid.Header); answered != inside {
		t.Errorf("answers %q, but the id is %q", answered, inside)
	}
	return inside
}

func TestKeepsAWellFormedId(t *testing.T) {
	for _, id := range []string{"a", "Order-1.2_3", strings.Repeat("x", 64)} {
		if got := idAfterMiddleware(t, id); got != id {
			t.Errorf("got %q, want %q", got, id)
		}
	}
}

func TestReplacesAnythingElse(t *testing.T) {
	made := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for name, sent := range map[string][]string{
		"none": nil, "empty": {""}, "long": {strings.Repeat("x", 65)}, "line break": {"a\nb"}, "quote": {`a"`}, "two": {"a", "b"},
	} {
		if got := idAfterMiddleware(t, sent...); !made.MatchString(got) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestNewIdsDiffer(t *testing.T) {
	if requestid.New() == requestid.New() {
		t.Error("the same id twice")
	}
}
