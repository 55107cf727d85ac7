package metrics_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"bank/common/metrics"
)

func text(t *testing.T, registry *metrics.Registry) string {
	t.Helper()
	var out strings.Builder
	if err := registry.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCountersAreSortedAndEscaped(t *testing.T) {
	registry := metrics.NewRegistry()
	counter := registry.Counter("requests_total", "Line one\nback\\slash", "path", "code")
	counter.Increment("b", "200")
	counter.Increment("a\"\\\n", "200")
	counter.Increment("b", "200")
	want := "# HELP requests_total Line one\\nback\\\\slash\n" +
		"# TYPE requests_total counter\n" +
		"requests_total{path=\"a\\\"\\\\\\n\",code=\"200\"} 1\n" +
		"requests_total{path=\"b\",code=\"200\"} 2\n"
	if got := text(t, registry); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestACounterWithoutLabelsIsThereFromTheStart(t *testing.T) {
	registry := metrics.NewRegistry()
	registry.Counter("x_total", "X.")
	if got := text(t, registry); !strings.HasSuffix(got, "\nx_total 0\n") {
		t.Errorf("got %q", got)
	}
}

func TestHistogramBucketsAreCumulativeAndInclusive(t *testing.T) {
	registry := metrics.NewRegistry()
	histogram := registry.Histogram("seconds", "S.", []float64{0.5, 1}, "method")
	for _, value := range []float64{0.5, 0.75, 1, 2} {
		histogram.Observe(value, "GET")
	}
	want := "# HELP seconds S.\n# TYPE seconds histogram\n" +
		"seconds_bucket{method=\"GET\",le=\"0.5\"} 1\n" +
		"seconds_bucket{method=\"GET\",le=\"1\"} 3\n" +
		"seconds_bucket{method=\"GET\",le=\"+Inf\"} 4\n" +
		"seconds_sum{method=\"GET\"} 4.25\n" +
		"seconds_count{method=\"GET\"} 4\n"
	if got := text(t, registry); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAGaugeIsReadAtEachScrape(t *testing.T) {
	registry := metrics.NewRegistry()
	value := 1.0
	registry.Gauge("g", "G.", func() float64 { return value })
	value = 2.5
	if got := text(t, registry); !strings.HasSuffix(got, "\ng 2.5\n") {
		t.Errorf("got %q", got)
	}
}

func TestCountingFromManyGoroutinesLosesNothing(t *testing.T) {
	registry := metrics.NewRegistry()
	counter := registry.Counter("n_total", "N.", "l")
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 1000 {
				counter.Increment("v")
			}
		}()
	}
	group.Wait()
	if got := text(t, registry); !strings.Contains(got, "n_total{l=\"v\"} 8000\n") {
		t.Errorf("got %q", got)
	}
}

func TestServesTheTextFormat(t *testing.T) {
	recorder := httptest.NewRecorder()
	metrics.NewRegistry().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	if got := recorder.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("got %q", got)
	}
}

func TestWrongDeclarationsPanic(t *testing.T) {
	for name, declare := range map[string]func(*metrics.Registry){
		"name":    func(r *metrics.Registry) { r.Counter("1x", "") },
		"label":   func(r *metrics.Registry) { r.Counter("x", "", "a-b") },
		"twice":   func(r *metrics.Registry) { r.Counter("x", ""); r.Counter("x", "") },
		"le":      func(r *metrics.Registry) { r.Histogram("x", "", []float64{1}, "le") },
		"buckets": func(r *metrics.Registry) { r.Histogram("x", "", []float64{1, 1}) },
		"values":  func(r *metrics.Registry) { r.Counter("x", "", "a").Increment() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			declare(metrics.NewRegistry())
		})
	}
}
