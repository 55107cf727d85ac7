// Package metrics counts what a service does and tells it in the Prometheus text format, version 0.0.4.
//
// Metrics are declared once, at start; a wrong declaration is a mistake in the program and panics there.
package metrics

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// ContentType is what a scraper expects of version 0.0.4 of the text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// SecondsBuckets are upper bounds for the duration of a request, from a cache hit to a time-out.
var SecondsBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// Registry holds the metrics of one process.
type Registry struct {
	mutex    sync.Mutex
	families map[string]family
}

type family interface {
	write(w *bufio.Writer)
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	return &Registry{families: map[string]family{}}
}

// Counter declares a number that only rises. By custom its name ends in `_total`.
func (r *Registry) Counter(name, help string, labels ...string) *Counter {
	counter := &Counter{head: head{name, help, "counter", labels}, values: map[string]*sample{}}
	if len(labels) == 0 {
		counter.values[""] = &sample{}
	}
	r.add(counter.head, counter)
	return counter
}

// Gauge declares a number that is asked for at each scrape.
func (r *Registry) Gauge(name, help string, read func() float64) {
	gauge := &gauge{head: head{name, help, "gauge", nil}, read: read}
	r.add(gauge.head, gauge)
}

// Histogram declares a distribution. Buckets are upper bounds in rising order; +Inf is added.
func (r *Registry) Histogram(name, help string, buckets []float64, labels ...string) *Histogram {
	for i := 1; i < len(buckets); i++ {
		if buckets[i] <= buckets[i-1] {
			panic("metrics: buckets of " + name + " do not rise")
		}
	}
	for _, label := range labels {
		if label == "le" {
			panic("metrics: a histogram's label cannot be named le: " + name)
		}
	}
	histogram := &Histogram{head: head{name, help, "histogram", labels}, buckets: buckets, values: map[string]*distribution{}}
	r.add(histogram.head, histogram)
	return histogram
}

func (r *Registry) add(head head, f family) {
	if !metricName.MatchString(head.name) {
		panic("metrics: not a metric's name: " + head.name)
	}
	for _, label := range head.labels {
		if !labelName.MatchString(label) || strings.HasPrefix(label, "__") {
			panic("metrics: not a label's name: " + label)
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, taken := r.families[head.name]; taken {
		panic("metrics: declared twice: " + head.name)
	}
	r.families[head.name] = f
}

// Write puts all metrics on w, sorted by name and labels.
func (r *Registry) Write(w io.Writer) error {
	r.mutex.Lock()
	names := make([]string, 0, len(r.families))
	for name := range r.families {
		names = append(names, name)
	}
	sort.Strings(names)
	families := make([]family, len(names))
	for i, name := range names {
		families[i] = r.families[name]
	}
	r.mutex.Unlock()

	buffered := bufio.NewWriter(w)
	for _, f := range families {
		f.write(buffered)
	}
	return buffered.Flush()
}

// ServeHTTP answers a scrape.
func (r *Registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", ContentType)
	_ = r.Write(w) // the scraper hung up: there is nobody to tell
}

type head struct {
	name, help, kind string
	labels           []string
}

func (h head) writeHead(w *bufio.Writer) {
	w.WriteString("# HELP " + h.name + " " + escapeHelp.Replace(h.help) + "\n")
	w.WriteString("# TYPE " + h.name + " " + h.kind + "\n")
}

// labelText is the inner of `{...}`; it also is the key of a series.
func (h head) labelText(values []string) string {
	if len(values) != len(h.labels) {
		panic("metrics: " + h.name + " has " + strconv.Itoa(len(h.labels)) + " labels, got " + strconv.Itoa(len(values)))
	}
	parts := make([]string, len(values))
	for i, value := range values {
		parts[i] = h.labels[i] + `="` + escapeLabel.Replace(strings.ToValidUTF8(value, "\uFFFD")) + `"`
	}
	return strings.Join(parts, ",")
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func writeSample(w *bufio.Writer, name, labels, value string) {
	w.WriteString(name)
	if labels != "" {
		w.WriteString("{" + labels + "}")
	}
	w.WriteString(" " + value + "\n")
}

func formatFloat(value float64) string {
	switch {
	case math.IsInf(value, 1):
		return "+Inf"
	case math.IsInf(value, -1):
		return "-Inf"
	case math.IsNaN(value):
		return "NaN"
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func sortedKeys[V any](values map[string]V) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
