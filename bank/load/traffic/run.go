package traffic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const currency = "EUR"

// Plan is what a run does. Every run has its own accounts and ids.
type Plan struct {
	// Run names the run.
	Run string
	// Workers send one request after the other, each.
	Workers int
	// Duration and MaxRequests bound the run, whichever comes first.
	Duration    time.Duration
	MaxRequests int
	// Accounts is between how many the money moves, at least 2: few of them means that transfers wait for each other.
	Accounts int
	// PerSecond bounds all workers together; 0 for as fast as the bank answers.
	PerSecond int
}

// Acknowledged is a transfer that the bank said it made.
type Acknowledged struct {
	ID     string `json:"id"`
	Debit  string `json:"debit"`
	Credit string `json:"credit"`
	Amount int64  `json:"amount"`
}

// Latency is in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Summary is what happened.
type Summary struct {
	Run       string         `json:"run"`
	StartedAt time.Time      `json:"startedAt"`
	Seconds   float64        `json:"seconds"`
	Requests  int            `json:"requests"`
	Failures  int            `json:"failures"`
	Reasons   map[string]int `json:"reasons"`
	// LongestGap is the longest time, in seconds, in which the bank acknowledged nothing.
	LongestGap   float64        `json:"longestGap"`
	Latency      Latency        `json:"latency"`
	Accounts     []string       `json:"accounts,omitempty"`
	Acknowledged []Acknowledged `json:"acknowledged,omitempty"`
}

// Run opens the accounts and makes transfers until the plan's bounds or ctx end it. Nothing is repeated: a transfer that
// fails is a failure. An error means that the run could not begin.
func Run(ctx context.Context, client *Client, plan Plan) (*Summary, error) {
	accounts := make([]string, plan.Accounts)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("%s-%d", plan.Run, i)
		if err := client.openAccount(ctx, accounts[i]); err != nil {
			return nil, fmt.Errorf("cannot open the account %s: %w", accounts[i], err)
		}
	}
	seen := &observations{summary: Summary{
		Run: plan.Run, StartedAt: time.Now().UTC(), Reasons: map[string]int{}, Accounts: accounts, Acknowledged: []Acknowledged{},
	}}
	begun := time.Now()
	seen.lastAcknowledged = begun
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		end := time.NewTimer(plan.Duration)
		defer end.Stop()
		for number := 1; number <= plan.MaxRequests; number++ {
			if plan.PerSecond > 0 {
				due := begun.Add(time.Duration(number-1) * time.Second / time.Duration(plan.PerSecond))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return
				}
			}
			select {
			case numbers <- number:
			case <-end.C:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range plan.Workers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				order := plan.order(accounts, number)
				// A transfer that was begun is waited for, however the run ends: its outcome must be known.
				sent := time.Now()
				err := client.make(context.WithoutCancel(ctx), order)
				seen.note(order, time.Since(sent), err)
			}
		}()
	}
	workers.Wait()
	return seen.finish(time.Since(begun)), nil
}

func (p Plan) order(accounts []string, number int) transfer {
	debit := rand.IntN(len(accounts))
	credit := (debit + 1 + rand.IntN(len(accounts)-1)) % len(accounts)
	return transfer{
		ID: fmt.Sprintf("%s-t%d", p.Run, number), Debit: accounts[debit], Credit: accounts[credit],
		Amount: 1 + rand.Int64N(10_000), Currency: currency, Reference: "load",
	}
}

type observations struct {
	mutex            sync.Mutex
	summary          Summary
	latencies        []float64
	lastAcknowledged time.Time
}

func (o *observations) note(order transfer, took time.Duration, err error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.summary.Requests++
	if err != nil {
		o.summary.Failures++
		o.summary.Reasons[reason(err)]++
		return
	}
	o.latencies = append(o.latencies, took.Seconds())
	o.gapUntil(time.Now())
	o.summary.Acknowledged = append(o.summary.Acknowledged, Acknowledged{order.ID, order.Debit, order.Credit, order.Amount})
}

func (o *observations) gapUntil(now time.Time) {
	o.summary.LongestGap = max(o.summary.LongestGap, now.Sub(o.lastAcknowledged).Seconds())
	o.lastAcknowledged = now
}

func (o *observations) finish(took time.Duration) *Summary {
	o.gapUntil(time.Now())
	o.summary.Seconds = took.Seconds()
	slices.Sort(o.latencies)
	if n := len(o.latencies); n > 0 {
		at := func(share float64) float64 { return o.latencies[min(int(share*float64(n)), n-1)] }
		o.summary.Latency = Latency{P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: o.latencies[n-1]}
	}
	return &o.summary
}
