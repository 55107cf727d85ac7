// Package traffic makes transfers as a bank's customers do, many at a time, and proves afterwards that none of those that
// the bank acknowledged was lost or made twice.
package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// An answer of the bank's is far shorter; a page of postings is the longest.
const maxAnswerBytes = 8 << 20

// Client calls the bank's public interface.
type Client struct {
	base string
	key  string
	http *http.Client
}

// NewClient makes a client that keeps up to connections connections, and repeats nothing.
func NewClient(base *url.URL, key string, connections int) *Client {
	return &Client{base: base.Scheme + "://" + base.Host, key: key, http: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, IdleConnTimeout: 20 * time.Second},
	}}
}

type transfer struct {
	ID        string `json:"id"`
	Debit     string `json:"debit"`
	Credit    string `json:"credit"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	Reference string `json:"reference"`
}

type posting struct {
	Sequence int64  `json:"sequence"`
	Transfer string `json:"transfer"`
	Amount   int64  `json:"amount"`
	Balance  int64  `json:"balance"`
}

// refusedError is an answer of the bank's that is not a success.
type refusedError struct {
	status int
	kind   string
}

func (e *refusedError) Error() string { return fmt.Sprintf("status %d %s", e.status, e.kind) }

// call sends one request and reads the answer into result, which may be nil.
func (c *Client) call(ctx context.Context, method, path string, body, result any) error {
	var text []byte
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = encoded
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusCreated {
		var problem struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(got, &problem) // what is not problem details is told by its status
		return &refusedError{answer.StatusCode, problem.Type}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(got, result); err != nil {
		return fmt.Errorf("the answer to %s %s is not as expected: %w", method, path, err)
	}
	return nil
}

func (c *Client) openAccount(ctx context.Context, id string) error {
	body := map[string]any{"currency": currency, "allowOverdraft": true}
	return c.call(ctx, http.MethodPut, "/v1/accounts/"+id, body, nil)
}

// make makes a transfer; nil means that the bank acknowledged just this one.
func (c *Client) make(ctx context.Context, wanted transfer) error {
	var made transfer
	if err := c.call(ctx, http.MethodPost, "/v1/transfers", wanted, &made); err != nil {
		return err
	}
	if made != wanted {
		return fmt.Errorf("the bank acknowledged another transfer than was sent")
	}
	return nil
}

func (c *Client) postings(ctx context.Context, account string) ([]posting, error) {
	var all []posting
	after := int64(0)
	for {
		var page struct {
			Postings []posting `json:"postings"`
			Next     *int64    `json:"next"`
		}
		path := "/v1/accounts/" + account + "/postings?limit=1000&after=" + strconv.FormatInt(after, 10)
		if err := c.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Postings...)
		if page.Next == nil {
			return all, nil
		}
		if *page.Next <= after {
			return nil, errors.New("the cursor of the postings does not move on")
		}
		after = *page.Next
	}
}

// reason is a failure in few words, so that failures of one kind can be counted together.
func reason(err error) string {
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "time-out"
	}
	return err.Error()
}
