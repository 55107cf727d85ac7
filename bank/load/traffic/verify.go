package traffic

import (
	"context"
	"fmt"
	"net/http"
)

// Verdict is what the ledger says about a run.
type Verdict struct {
	Run          string `json:"run"`
	Acknowledged int    `json:"acknowledged"`
	// Unacknowledged transfers were made although the caller never heard so: allowed, since it may send them again.
	Unacknowledged int              `json:"unacknowledged"`
	SumOfPostings  map[string]int64 `json:"sumOfPostings"`
	// Violations are what must not be: transfers lost, made twice or made otherwise, and sums that are not zero.
	Violations []string `json:"violations"`
}

// Beyond some, further violations tell nothing new.
const maxViolations = 50

type side struct {
	account, transfer string
	amount            int64
}

// Verify reads the accounts of a run in the ledger and compares them with what was acknowledged. An error means that the
// ledger could not be read.
func Verify(ctx context.Context, client *Client, summary *Summary) (*Verdict, error) {
	verdict := &Verdict{Run: summary.Run, Acknowledged: len(summary.Acknowledged), Violations: []string{}}
	found := map[side]int{}
	transfers := map[string]bool{}
	for _, account := range summary.Accounts {
		postings, err := client.postings(ctx, account)
		if err != nil {
			return nil, fmt.Errorf("cannot read the postings of %s: %w", account, err)
		}
		balance := int64(0)
		for i, p := range postings {
			balance += p.Amount
			if p.Sequence != int64(i+1) || p.Balance != balance {
				verdict.violation("posting %d of %s is not the sum of those up to it", p.Sequence, account)
			}
			found[side{account, p.Transfer, p.Amount}]++
			transfers[p.Transfer] = true
		}
		var stands struct {
			Balance int64 `json:"balance"`
		}
		if err := client.call(ctx, http.MethodGet, "/v1/accounts/"+account, nil, &stands); err != nil {
			return nil, fmt.Errorf("cannot read the account %s: %w", account, err)
		}
		if stands.Balance != balance {
			verdict.violation("the balance of %s is %d, its postings sum to %d", account, stands.Balance, balance)
		}
	}
	for _, made := range summary.Acknowledged {
		for _, wanted := range []side{{made.Debit, made.ID, -made.Amount}, {made.Credit, made.ID, made.Amount}} {
			if found[wanted] != 1 {
				verdict.violation("the transfer %s is %d times in %s", made.ID, found[wanted], wanted.account)
			}
		}
		delete(transfers, made.ID)
	}
	verdict.Unacknowledged = len(transfers)

	var invariants struct {
		Hold          bool             `json:"hold"`
		SumOfPostings map[string]int64 `json:"sumOfPostings"`
		Violations    []string         `json:"violations"`
	}
	if err := client.call(ctx, http.MethodGet, "/v1/invariants", nil, &invariants); err != nil {
		return nil, fmt.Errorf("cannot read the invariants: %w", err)
	}
	verdict.SumOfPostings = invariants.SumOfPostings
	if !invariants.Hold {
		verdict.violation("the ledger's invariants do not hold: %v", invariants.Violations)
	}
	return verdict, nil
}

func (v *Verdict) violation(format string, arguments ...any) {
	if len(v.Violations) < maxViolations {
		v.Violations = append(v.Violations, fmt.Sprintf(format, arguments...))
	}
}
