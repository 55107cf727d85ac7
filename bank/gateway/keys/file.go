package keys

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// A mounted Secret of some keys is far smaller.
const maxFileBytes = 1 << 20

// File is a keys file that is read again when it changes, so that a key can be taken back without a restart.
type File struct {
	path string
	text string
	ring atomic.Pointer[Ring]
}

// Open reads the file; it must be right.
func Open(path string) (*File, error) {
	file := &File{path: path}
	if _, err := file.reload(); err != nil {
		return nil, err
	}
	return file, nil
}

// Ring is what the file said when it was last right.
func (f *File) Ring() *Ring { return f.ring.Load() }

// Watch looks at the file in each interval until ctx is done. A file that is wrong is logged, and what was valid stays
// so: a slip of the pen must not lock every caller out.
//
// Reading beats watching for events here: Kubernetes changes a mounted Secret by moving a link that the path goes through.
func (f *File) Watch(ctx context.Context, interval time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := f.reload()
		switch {
		case err != nil && err.Error() != complained:
			complained = err.Error()
			log.Error("the keys file is wrong; the keys from before stay valid", "error", complained)
		case err == nil:
			complained = ""
			if changed {
				log.Info("keys read anew", "keys", f.Ring().Len())
			}
		}
	}
}

func (f *File) reload() (changed bool, err error) {
	if info, err := os.Stat(f.path); err != nil {
		return false, fmt.Errorf("cannot read the keys: %w", err)
	} else if info.Size() > maxFileBytes {
		return false, fmt.Errorf("%s has %d bytes, more than %d", f.path, info.Size(), maxFileBytes)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return false, fmt.Errorf("cannot read the keys: %w", err)
	}
	if f.ring.Load() != nil && string(text) == f.text {
		return false, nil
	}
	ring, err := Parse(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.path, err)
	}
	f.text = string(text)
	f.ring.Store(ring)
	return true, nil
}
