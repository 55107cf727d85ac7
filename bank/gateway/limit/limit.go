// Package limit holds each caller to a rate, by a token bucket: a burst at once, then so many each second.
package limit

import (
	"math"
	"sync"
	"time"
)

// Limiter holds one bucket for each caller.
type Limiter struct {
	perSecond, burst float64
	mutex            sync.Mutex
	buckets          map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// New makes a limiter: perSecond tokens flow into a bucket that holds burst, and starts full. Both are positive.
//
// Callers must be from a closed set, such as the names of the keys: a bucket is kept for good.
func New(perSecond, burst int) *Limiter {
	return &Limiter{perSecond: float64(perSecond), burst: float64(burst), buckets: map[string]*bucket{}}
}

// Take takes one token of the caller's. Where there is none, wait is how long it takes until there is.
func (l *Limiter) Take(caller string, now time.Time) (wait time.Duration, ok bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	b, known := l.buckets[caller]
	if !known {
		b = &bucket{tokens: l.burst, at: now}
		l.buckets[caller] = b
	}
	if elapsed := now.Sub(b.at); elapsed > 0 { // a clock set back gives nothing and takes nothing
		b.tokens = math.Min(l.burst, b.tokens+elapsed.Seconds()*l.perSecond)
		b.at = now
	}
	if b.tokens < 1 {
		return time.Duration(math.Ceil((1 - b.tokens) / l.perSecond * float64(time.Second))), false
	}
	b.tokens--
	return 0, true
}
