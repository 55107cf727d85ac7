// Package settings reads a service's configuration from environment variables, and names all that is wrong at once.
package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// Reader reads settings; what is wrong is kept until Err.
type Reader struct {
	lookup   func(string) (string, bool)
	problems []error
}

// NewReader reads by lookup, for a program os.LookupEnv.
func NewReader(lookup func(string) (string, bool)) *Reader {
	return &Reader{lookup: lookup}
}

// Err is nil, or every problem met so far, one to a line.
func (r *Reader) Err() error {
	return errors.Join(r.problems...)
}

func (r *Reader) problem(name, format string, arguments ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, arguments...)))
}

// Text must be set and not empty.
func (r *Reader) Text(name string) string {
	value, set := r.lookup(name)
	if !set || value == "" {
		r.problem(name, "must be set")
	}
	return value
}

// TextOr is the value, or the default where it is not set.
func (r *Reader) TextOr(name, otherwise string) string {
	if value, set := r.lookup(name); set && value != "" {
		return value
	}
	return otherwise
}

// Address is a `host:port` to listen at.
func (r *Reader) Address(name, otherwise string) string {
	value := r.TextOr(name, otherwise)
	if _, port, err := net.SplitHostPort(value); err != nil {
		r.problem(name, "%q is not host:port", value)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		r.problem(name, "%q is not a port", port)
	}
	return value
}

// URL must be set, of http or https, with a host and no path, query or user.
func (r *Reader) URL(name string) *url.URL {
	value := r.Text(name)
	if value == "" {
		return nil
	}
	parsed, err := url.Parse(value)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		r.problem(name, "%q is not an http or https URL", value)
		return nil
	}
	if (parsed.Path != "" && parsed.Path != "/") || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
		r.problem(name, "%q must be a scheme, a host and a port alone", value)
		return nil
	}
	return &url.URL{Scheme: parsed.Scheme, Host: parsed.Host}
}

// Duration is Go's form, `1.5s` or `200ms`, from least to most.
func (r *Reader) Duration(name string, otherwise, least, most time.Duration) time.Duration {
	text, set := r.lookup(name)
	if !set || text == "" {
		return otherwise
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		r.problem(name, "%q is not a duration such as 1.5s", text)
		return otherwise
	}
	if value < least || value > most {
		r.problem(name, "%s is not from %s to %s", text, least, most)
	}
	return value
}

// Integer is from least to most.
func (r *Reader) Integer(name string, otherwise, least, most int) int {
	text, set := r.lookup(name)
	if !set || text == "" {
		return otherwise
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		r.problem(name, "%q is not a whole number", text)
		return otherwise
	}
	if value < least || value > most {
		r.problem(name, "%d is not from %d to %d", value, least, most)
	}
	return value
}
