package metrics

import (
	"runtime"
	"time"
)

// AddProcess declares what is worth knowing of any Go process.
func AddProcess(registry *Registry, started time.Time) {
	start := float64(started.UnixMilli()) / 1000
	registry.Gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", func() float64 { return start })
	registry.Gauge("go_goroutines", "Goroutines that exist now.", func() float64 { return float64(runtime.NumGoroutine()) })
	registry.Gauge("go_memstats_heap_inuse_bytes", "Bytes in heap spans that are in use.", func() float64 {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return float64(memory.HeapInuse)
	})
}
