package bank.ledger.metrics;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.DoubleSupplier;
import java.util.regex.Pattern;

/**
 * Counts what the service does and tells it in the Prometheus text format, version 0.0.4. Metrics are declared once, at
 * start; a wrong declaration is a mistake in the program and throws there.
 */
public final class Metrics {
    /** What a scraper expects of version 0.0.4 of the text format. */
    public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private static final Pattern METRIC = Pattern.compile("[a-zA-Z_:][a-zA-Z0-9_:]*");
    private static final Pattern LABEL = Pattern.compile("(?!__)[a-zA-Z_][a-zA-Z0-9_]*");

    private final TreeMap<String, Family> families = new TreeMap<>();

    /** Declares a number that only rises. By custom its name ends in `_total`. */
    public Counter counter(String name, String help, String... labels) {
        return add(new Counter(new Head(name, help, "counter", labels)));
    }

    /** Declares a number that is asked for at each scrape. */
    public void gauge(String name, String help, DoubleSupplier read) {
        add(new Gauge(new Head(name, help, "gauge", new String[0]), read));
    }

    /** Declares a distribution of seconds, from a cache hit to a time-out. */
    public Histogram seconds(String name, String help, String... labels) {
        return add(new Histogram(new Head(name, help, "histogram", labels)));
    }

    private synchronized <F extends Family> F add(F family) {
        if (families.putIfAbsent(family.head.name, family) != null) {
            throw new IllegalArgumentException("declared twice: " + family.head.name);
        }
        return family;
    }

    /** All metrics, sorted by name. */
    public String text() {
        List<Family> sorted;
        synchronized (this) {
            sorted = new ArrayList<>(families.values());
        }
        StringBuilder out = new StringBuilder();
        for (Family family : sorted) {
            out.append("# HELP ").append(family.head.name).append(' ').append(escape(family.head.help, false)).append('\n');
            out.append("# TYPE ").append(family.head.name).append(' ').append(family.head.kind).append('\n');
            family.write(out);
        }
        return out.toString();
    }

    private static String escape(String text, boolean quotes) {
        String escaped = text.replace("\\", "\\\\").replace("\n", "\\n");
        return quotes ? escaped.replace("\"", "\\\"") : escaped;
    }

    private static String number(double value) {
        if (Double.isInfinite(value)) {
            return value > 0 ? "+Inf" : "-Inf";
        }
        return value == Math.rint(value) && Math.abs(value) < 1e15 ? Long.toString((long) value) : Double.toString(value);
    }

    private record Head(String name, String help, String kind, String[] labels) {
        Head {
            if (!METRIC.matcher(name).matches()) {
                throw new IllegalArgumentException("not a metric's name: " + name);
            }
            for (String label : labels) {
                if (!LABEL.matcher(label).matches() || (kind.equals("histogram") && label.equals("le"))) {
                    throw new IllegalArgumentException("not a label's name: " + label);
                }
            }
        }

        /** The inner of `{...}`; it also is the key of a series. */
        String series(String... values) {
            if (values.length != labels.length) {
                throw new IllegalArgumentException(name + " has " + labels.length + " labels, got " + values.length);
            }
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < labels.length; i++) {
                text.append(i == 0 ? "" : ",").append(labels[i]).append("=\"").append(escape(values[i], true)).append('"');
            }
            return text.toString();
        }
    }

    private static void sample(StringBuilder out, String name, String series, String value) {
        out.append(name);
        if (!series.isEmpty()) {
            out.append('{').append(series).append('}');
        }
        out.append(' ').append(value).append('\n');
    }

    private abstract static sealed class Family permits Counter, Gauge, Histogram {
        final Head head;

        Family(Head head) {
            this.head = head;
        }

        abstract void write(StringBuilder out);
    }

    /** A number for each combination of label values that only rises. */
    public static final class Counter extends Family {
        private final Map<String, Long> values = new TreeMap<>();

        private Counter(Head head) {
            super(head);
            if (head.labels.length == 0) {
                values.put("", 0L);
            }
        }

        /** Adds one to the series with these label values, in the order in which the labels were declared. */
        public void increment(String... labelValues) {
            String series = head.series(labelValues);
            synchronized (this) {
                values.merge(series, 1L, Long::sum);
            }
        }

        @Override
        synchronized void write(StringBuilder out) {
            values.forEach((series, value) -> sample(out, head.name, series, value.toString()));
        }
    }

    private static final class Gauge extends Family {
        private final DoubleSupplier read;

        Gauge(Head head, DoubleSupplier read) {
            super(head);
            this.read = read;
        }

        @Override
        void write(StringBuilder out) {
            sample(out, head.name, "", number(read.getAsDouble()));
        }
    }

    /** A distribution of seconds for each combination of label values. */
    public static final class Histogram extends Family {
        private static final double[] BOUNDS = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

        private final Map<String, Distribution> values = new LinkedHashMap<>();

        private Histogram(Head head) {
            super(head);
        }

        private static final class Distribution {
            final long[] counts = new long[BOUNDS.length + 1]; // the last for +Inf; not yet summed up
            double sum;
        }

        /** Counts one duration in nanoseconds, as System.nanoTime gives them. */
        public void observeNanos(long nanos, String... labelValues) {
            double seconds = nanos / 1e9;
            String series = head.series(labelValues);
            int bucket = 0;
            while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]) {
                bucket++;
            }
            synchronized (this) {
                Distribution seen = values.computeIfAbsent(series, key -> new Distribution());
                seen.counts[bucket]++;
                seen.sum += seconds;
            }
        }

        @Override
        synchronized void write(StringBuilder out) {
            new TreeMap<>(values).forEach((series, seen) -> {
                String before = series.isEmpty() ? "" : series + ",";
                long cumulative = 0;
                for (int i = 0; i < seen.counts.length; i++) {
                    cumulative += seen.counts[i];
                    String bound = i < BOUNDS.length ? number(BOUNDS[i]) : "+Inf";
                    sample(out, head.name + "_bucket", before + "le=\"" + bound + "\"", Long.toString(cumulative));
                }
                sample(out, head.name + "_sum", series, number(seen.sum));
                sample(out, head.name + "_count", series, Long.toString(cumulative));
            });
        }
    }
}
