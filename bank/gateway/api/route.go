package api

import (
	"regexp"
	"slices"
	"strings"

	"bank/gateway/keys"
	"bank/gateway/upstream"
)

// route is one path of the interface. Without a service, the gateway answers itself, and to anybody.
type route struct {
	method  string
	pattern string // `{id}` stands for the name of an account or a transfer
	scope   keys.Scope
	service *upstream.Client
	target  string
}

// The names that the ledger gives out. Nothing else reaches a service's path: no `..`, no `%2F`.
var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// match finds the route; or, where only the method is wrong, the methods that are right.
func match(routes []route, method, path string) (found *route, id string, allowed []string) {
	for i := range routes {
		candidate, fits := matchPattern(routes[i].pattern, path)
		if !fits {
			continue
		}
		if routes[i].method == method {
			return &routes[i], candidate, nil
		}
		allowed = append(allowed, routes[i].method)
	}
	slices.Sort(allowed)
	return nil, "", allowed
}

func matchPattern(pattern, path string) (id string, fits bool) {
	expected, actual := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(expected) != len(actual) {
		return "", false
	}
	for i, part := range expected {
		if part == "{id}" && validID.MatchString(actual[i]) {
			id = actual[i]
		} else if part != actual[i] {
			return "", false
		}
	}
	return id, true
}
