package metrics

import (
	"bufio"
	"sort"
	"strconv"
	"sync"
)

// Histogram is a distribution for each combination of label values.
type Histogram struct {
	head
	buckets []float64
	mutex   sync.Mutex
	values  map[string]*distribution
}

type distribution struct {
	counts []uint64 // one for each bucket, and one for +Inf; not yet summed up
	sum    float64
}

// Observe counts one value; durations are in seconds.
func (h *Histogram) Observe(value float64, labelValues ...string) {
	key := h.labelText(labelValues)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	seen, known := h.values[key]
	if !known {
		seen = &distribution{counts: make([]uint64, len(h.buckets)+1)}
		h.values[key] = seen
	}
	seen.counts[sort.SearchFloat64s(h.buckets, value)]++
	seen.sum += value
}

func (h *Histogram) write(w *bufio.Writer) {
	h.writeHead(w)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for _, key := range sortedKeys(h.values) {
		seen := h.values[key]
		before := key
		if before != "" {
			before += ","
		}
		var cumulative uint64
		for i, count := range seen.counts {
			bound := "+Inf"
			if i < len(h.buckets) {
				bound = formatFloat(h.buckets[i])
			}
			cumulative += count
			writeSample(w, h.name+"_bucket", before+`le="`+bound+`"`, strconv.FormatUint(cumulative, 10))
		}
		writeSample(w, h.name+"_sum", key, formatFloat(seen.sum))
		writeSample(w, h.name+"_count", key, strconv.FormatUint(cumulative, 10))
	}
}
