package bank.ledger;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The service's configuration, from environment variables. */
record Settings(InetSocketAddress listen, String databaseUrl, String databaseUser, Path databasePasswordFile, int databaseConnections, Duration drain, Duration grace) {
    private static final Pattern ADDRESS = Pattern.compile("([^:]*|\\[[0-9a-fA-F:]+]):([0-9]{1,5})");
    private static final Pattern DURATION = Pattern.compile("([0-9]{1,6})(ms|s)");

    /** Wrong settings, one to a line. */
    static final class Wrong extends Exception {
        private static final long serialVersionUID = 1L;

        Wrong(List<String> problems) {
            super("wrong settings:\n" + String.join("\n", problems));
        }
    }

    /** Reads the settings, and names all that is wrong at once. */
    static Settings read(Map<String, String> env) throws Wrong {
        List<String> problems = new ArrayList<>();
        Settings settings = new Settings(
            address(env, "LEDGER_LISTEN", "0.0.0.0:8080", problems),
            databaseUrl(env, problems),
            text(env, "LEDGER_DATABASE_USER", problems),
            Path.of(text(env, "LEDGER_DATABASE_PASSWORD_FILE", problems)),
            // Two pods, and a third during an update, stay below the database's max_connections.
            integer(env, "LEDGER_DATABASE_CONNECTIONS", 8, 1, 100, problems),
            duration(env, "LEDGER_DRAIN", "3s", problems),
            duration(env, "LEDGER_GRACE", "4s", problems));
        if (!problems.isEmpty()) {
            throw new Wrong(problems);
        }
        return settings;
    }

    private static String text(Map<String, String> env, String name, List<String> problems) {
        String value = env.getOrDefault(name, "");
        if (value.isEmpty()) {
            problems.add(name + ": must be set");
        }
        return value;
    }

    private static String databaseUrl(Map<String, String> env, List<String> problems) {
        String url = text(env, "LEDGER_DATABASE_URL", problems);
        if (!url.isEmpty() && !url.startsWith("jdbc:postgresql://")) {
            problems.add("LEDGER_DATABASE_URL: must be of the form jdbc:postgresql://host:port/database");
        }
        return url;
    }

    private static InetSocketAddress address(Map<String, String> env, String name, String otherwise, List<String> problems) {
        Matcher matcher = ADDRESS.matcher(env.getOrDefault(name, otherwise));
        if (matcher.matches() && Integer.parseInt(matcher.group(2)) <= 65535) {
            int port = Integer.parseInt(matcher.group(2));
            return matcher.group(1).isEmpty() ? new InetSocketAddress(port) : new InetSocketAddress(matcher.group(1), port);
        }
        problems.add(name + ": must be host:port");
        return new InetSocketAddress(0);
    }

    private static int integer(Map<String, String> env, String name, int otherwise, int least, int most, List<String> problems) {
        String text = env.getOrDefault(name, Integer.toString(otherwise));
        try {
            int value = Integer.parseInt(text);
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException wrong) {
            // told below
        }
        problems.add(name + ": must be a whole number from " + least + " to " + most);
        return otherwise;
    }

    private static Duration duration(Map<String, String> env, String name, String otherwise, List<String> problems) {
        Matcher matcher = DURATION.matcher(env.getOrDefault(name, otherwise));
        if (matcher.matches()) {
            long value = Long.parseLong(matcher.group(1));
            Duration duration = matcher.group(2).equals("ms") ? Duration.ofMillis(value) : Duration.ofSeconds(value);
            if (duration.compareTo(Duration.ofMinutes(1)) <= 0) {
                return duration;
            }
        }
        problems.add(name + ": must be a duration such as 3s or 500ms, at most 60s");
        return Duration.ZERO;
    }
}
