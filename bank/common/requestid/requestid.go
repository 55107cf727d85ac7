// Package requestid gives each request a name that follows it through all services and their logs.
package requestid

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
)

// Header carries the id from service to service and back to the client.
const Header = "X-Request-Id"

// What goes into logs must not be able to forge a line or grow without bound.
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// New makes an id of 128 random bits.
func New() string {
	var bits [16]byte
	if _, err := rand.Read(bits[:]); err != nil {
		panic(err) // documented never to happen
	}
	return hex.EncodeToString(bits[:])
}

// Of is the request's id: the client's where it is well formed, else a new one.
func Of(r *http.Request) string {
	if values := r.Header.Values(Header); len(values) == 1 && wellFormed.MatchString(values[0]) {
		return values[0]
	}
	return New()
}

type key struct{}

// Middleware settles the id of each request, puts it into the context and answers with it.
func Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := Of(r)
		r.Header.Set(Header, id)
		w.Header().Set(Header, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, id)))
	})
}

// From is the id that Middleware put into the context, or "".
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
