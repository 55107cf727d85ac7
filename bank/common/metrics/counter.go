package metrics

import (
	"bufio"
	"strconv"
	"sync"
)

// Counter is a number for each combination of label values that only rises.
type Counter struct {
	head
	mutex  sync.Mutex
	values map[string]*sample
}

type sample struct{ count uint64 }

// Increment adds one to the series with these label values, in the order in which the labels were declared.
func (c *Counter) Increment(labelValues ...string) {
	key := c.labelText(labelValues)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	value, known := c.values[key]
	if !known {
		value = &sample{}
		c.values[key] = value
	}
	value.count++
}

func (c *Counter) write(w *bufio.Writer) {
	c.writeHead(w)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, key := range sortedKeys(c.values) {
		writeSample(w, c.name, key, strconv.FormatUint(c.values[key].count, 10))
	}
}

type gauge struct {
	head
	read func() float64
}

func (g *gauge) write(w *bufio.Writer) {
	g.writeHead(w)
	writeSample(w, g.name, "", formatFloat(g.read()))
}
