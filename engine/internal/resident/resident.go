// Package resident keeps what a server counts as resident to what it uses.
//
// All servers run from one binary of 160 MB. Starting touches nearly all of it (package initialisers, tables, read-ahead), and the
// pages stay mapped in each of six processes, although they are the same pages of the page cache: the sum of their resident
// sizes says 600 MB more than there is, and the kernel takes the pages for used ones. Unmapping them lets each page come
// back, without reading the disk, when it is needed.
package resident

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// When a start is over, and how often what has been touched since is let go again.
const (
	settled = 15 * time.Second
	period  = 10 * time.Minute
)

// Keep lets go of the program's own code and constants after the start and now and then. It never returns.
func Keep() {
	for pause := settled; ; pause = period {
		time.Sleep(pause)
		release()
	}
}

// release unmaps what can be had again from the program's file. Failing costs nothing but the memory.
func release() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, span := range readOnlySpans(maps, program) {
		// madvise(2): pages of a file mapping that was never written to are read from the file again.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, span.start, span.end-span.start, unix.MADV_DONTNEED)
	}
}

type span struct{ start, end uintptr }

// readOnlySpans are the mappings of a file that the process can't write to; see proc_pid_maps(5). What it can write to may
// differ from the file and is left alone.
func readOnlySpans(maps io.Reader, file string) []span {
	var found []span
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[5] != file || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, ok := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if !ok || err != nil || err2 != nil || end <= start {
			continue
		}
		found = append(found, span{uintptr(start), uintptr(end)})
	}
	return found
}
