package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bank/common/health"
)

func ask(h *health.Health, path string) (int, string) {
	mux := http.NewServeMux()
	h.Routes(mux)
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestReadinessFollowsTheLifeOfTheProcess(t *testing.T) {
	var failure error
	h := health.New(func(context.Context) error { return failure })
	steps := []struct {
		do     func()
		status int
		text   string
	}{
		{func() {}, 503, "starting"},
		{h.Serving, 200, "true"},
		{func() { failure = errors.New("the disk is away") }, 503, "the disk is away"},
		{func() { failure = nil }, 200, "true"},
		{h.Drain, 503, "shutting down"},
	}
	for _, step := range steps {
		step.do()
		status, text := ask(h, "/readyz")
		if status != step.status || !strings.Contains(text, step.text) {
			t.Errorf("got %d %q, want %d with %q", status, text, step.status, step.text)
		}
		if status, _ := ask(h, "/livez"); status != 200 {
			t.Errorf("not live while %q", step.text)
		}
	}
}

func TestACheckThatHangsMakesItUnready(t *testing.T) {
	h := health.New(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	h.Serving()
	if status, _ := ask(h, "/readyz"); status != 503 {
		t.Errorf("got %d", status)
	}
}
