package bank.ledger.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class MetricsTest {
    @Test
    void countersAreSortedAndEscaped() {
        Metrics metrics = new Metrics();
        Metrics.Counter counter = metrics.counter("requests_total", "Line one\nback\\slash", "path", "code");
        counter.increment("b", "200");
        counter.increment("a\"\\\n", "200");
        counter.increment("b", "200");
        assertEquals("# HELP requests_total Line one\\nback\\\\slash\n# TYPE requests_total counter\n"
            + "requests_total{path=\"a\\\"\\\\\\n\",code=\"200\"} 1\nrequests_total{path=\"b\",code=\"200\"} 2\n", metrics.text());
    }

    @Test
    void aCounterWithoutLabelsIsThereFromTheStart() {
        Metrics metrics = new Metrics();
        metrics.counter("x_total", "X.");
        assertTrue(metrics.text().endsWith("\nx_total 0\n"));
    }

    @Test
    void bucketsAreCumulativeAndInclusive() {
        Metrics metrics = new Metrics();
        Metrics.Histogram histogram = metrics.seconds("request_seconds", "S.", "method");
        histogram.observeNanos(1_000_000, "GET");
        histogram.observeNanos(1_000_001, "GET");
        histogram.observeNanos(20_000_000_000L, "GET");
        String text = metrics.text();
        assertTrue(text.contains("request_seconds_bucket{method=\"GET\",le=\"0.001\"} 1\n"), text);
        assertTrue(text.contains("request_seconds_bucket{method=\"GET\",le=\"0.0025\"} 2\n"), text);
        assertTrue(text.contains("request_seconds_bucket{method=\"GET\",le=\"10\"} 2\n"), text);
        assertTrue(text.contains("request_seconds_bucket{method=\"GET\",le=\"+Inf\"} 3\n"), text);
        assertTrue(text.contains("request_seconds_sum{method=\"GET\"} 20.002000001"), text);
        assertTrue(text.contains("request_seconds_count{method=\"GET\"} 3\n"), text);
    }

    @Test
    void aGaugeIsReadAtEachScrape() {
        Metrics metrics = new Metrics();
        double[] value = {1};
        metrics.gauge("g", "G.", () -> value[0]);
        value[0] = 2.5;
        assertTrue(metrics.text().endsWith("\ng 2.5\n"));
    }

    @Test
    void wrongDeclarationsThrow() {
        Metrics metrics = new Metrics();
        metrics.counter("x_total", "");
        assertThrows(IllegalArgumentException.class, () -> metrics.counter("x_total", ""));
        assertThrows(IllegalArgumentException.class, () -> metrics.counter("1x", ""));
        assertThrows(IllegalArgumentException.class, () -> metrics.counter("y", "", "a-b"));
        assertThrows(IllegalArgumentException.class, () -> metrics.seconds("z", "", "le"));
        assertThrows(IllegalArgumentException.class, () -> metrics.counter("w", "", "a").increment());
    }
}
