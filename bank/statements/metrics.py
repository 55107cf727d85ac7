"""Counts what the service does and tells it in the Prometheus text format, version 0.0.4."""

import bisect
import threading
import time

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds; from a cache hit to a time-out.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """How many requests were answered, and how long that took."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._started = time.time()
        self._answered: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, tuple[list[int], float]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one answered request. Routes and methods must be from a closed set."""
        with self._lock:
            key = (route, method, status)
            self._answered[key] = self._answered.get(key, 0) + 1
            counts, total = self._durations.get(route, ([0] * (len(BUCKETS) + 1), 0.0))
            counts[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._durations[route] = (counts, total + seconds)

    def text(self) -> str:
        """All metrics, sorted by name and labels."""
        with self._lock:
            lines = [
                "# HELP process_start_time_seconds When the process started, in seconds since 1970.",
                "# TYPE process_start_time_seconds gauge",
                f"process_start_time_seconds {self._started:.3f}",
                f"# HELP {self._prefix}_request_duration_seconds Seconds from a request's header to its answer's last byte.",
                f"# TYPE {self._prefix}_request_duration_seconds histogram",
            ]
            for route, (counts, total) in sorted(self._durations.items()):
                label = f'route="{escape(route)}"'
                cumulative = 0
                for bound, count in zip([*map(_number, BUCKETS), "+Inf"], counts):
                    cumulative += count
                    lines.append(f'{self._prefix}_request_duration_seconds_bucket{{{label},le="{bound}"}} {cumulative}')
                lines.append(f"{self._prefix}_request_duration_seconds_sum{{{label}}} {total!r}")
                lines.append(f"{self._prefix}_request_duration_seconds_count{{{label}}} {cumulative}")
            lines.append(f"# HELP {self._prefix}_requests_total Requests answered, by route, method and status.")
            lines.append(f"# TYPE {self._prefix}_requests_total counter")
            for (route, method, status), count in sorted(self._answered.items()):
                lines.append(f'{self._prefix}_requests_total{{route="{escape(route)}",method="{escape(method)}",status="{status}"}} {count}')
        return "\n".join(lines) + "\n"


def escape(value: str) -> str:
    """A label's value, as the format wants it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
