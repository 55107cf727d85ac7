package limit_test

import (
	"testing"
	"time"

	"bank/gateway/limit"
)

func TestABurstThenARate(t *testing.T) {
	limiter, now := limit.New(10, 3), time.Unix(0, 0)
	for i := range 3 {
		if _, ok := limiter.Take("a", now); !ok {
			t.Fatalf("refused %d of a burst of 3", i+1)
		}
	}
	wait, ok := limiter.Take("a", now)
	if ok || wait != 100*time.Millisecond {
		t.Fatalf("after the burst: %t, wait %s", ok, wait)
	}
	if _, ok := limiter.Take("a", now.Add(wait-time.Millisecond)); ok {
		t.Error("let through too early")
	}
	if _, ok := limiter.Take("a", now.Add(wait)); !ok {
		t.Error("refused after the wait that it told")
	}
	if _, ok := limiter.Take("b", now); !ok {
		t.Error("one caller uses up another's")
	}
}

func TestAQuietBucketHoldsNoMoreThanTheBurst(t *testing.T) {
	limiter, now := limit.New(10, 2), time.Unix(0, 0)
	limiter.Take("a", now)
	now = now.Add(time.Hour)
	let := 0
	for range 10 {
		if _, ok := limiter.Take("a", now); ok {
			let++
		}
	}
	if let != 2 {
		t.Errorf("let %d through at once, not 2", let)
	}
}

func TestAClockSetBackGivesNothing(t *testing.T) {
	limiter, now := limit.New(1, 1), time.Unix(1000, 0)
	limiter.Take("a", now)
	if _, ok := limiter.Take("a", now.Add(-time.Hour)); ok {
		t.Error("let through by a clock set back")
	}
	if _, ok := limiter.Take("a", now.Add(time.Second)); !ok {
		t.Error("refused after a second in all")
	}
}
