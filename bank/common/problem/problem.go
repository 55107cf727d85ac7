// Package problem answers errors as RFC 9457 problem details.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"bank/common/requestid"
)

// ContentType is RFC 9457, section 3.
const ContentType = "application/problem+json"

// Details is one error. Code becomes the last part of its type; it is what a program tells errors apart by.
type Details struct {
	Status int
	Code   string
	Title  string
	Detail string
	// RetryAfter, where not 0, is when the client may try again. Sent in whole seconds, rounded up.
	RetryAfter time.Duration
}

type body struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// Write answers the request with the problem.
func Write(w http.ResponseWriter, r *http.Request, details Details) {
	text, err := json.Marshal(body{
		Type:      "/problems/" + details.Code,
		Title:     details.Title,
		Status:    details.Status,
		Detail:    details.Detail,
		RequestID: requestid.From(r.Context()),
	})
	if err != nil {
		panic(err) // strings and an int
	}
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	if details.RetryAfter > 0 {
		seconds := (details.RetryAfter + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	w.WriteHeader(details.Status)
	_, _ = w.Write(text) // the client hung up: there is nobody to tell
}
