package bank.ledger.log;

import bank.ledger.json.JsonWriter;
import java.io.PrintStream;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes one JSON object to a line. */
public final class Log {
    private final PrintStream out;

    public Log(PrintStream out) {
        this.out = out;
    }

    /** Something that is as it should be. Fields are names and values in turn, as {@link JsonWriter} takes them. */
    public void info(String message, Object... fields) {
        write("INFO", message, fields);
    }

    /** Something that a person should know of, if it goes on. */
    public void warn(String message, Object... fields) {
        write("WARN", message, fields);
    }

    /** Something that should not be. */
    public void error(String message, Object... fields) {
        write("ERROR", message, fields);
    }

    private void write(String level, String message, Object... fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("time", Instant.now().truncatedTo(ChronoUnit.MICROS));
        line.put("level", level);
        line.put("msg", message);
        line.put("service", "ledger");
        for (int i = 0; i < fields.length; i += 2) {
            Object value = fields[i + 1];
            line.put((String) fields[i], value instanceof Throwable error ? describe(error) : value);
        }
        String text = JsonWriter.write(line) + "\n";
        synchronized (out) { // whole lines, whatever the thread
            out.print(text);
            out.flush();
        }
    }

    /** The error with its causes on one line, and where the first one was thrown. */
    private static String describe(Throwable error) {
        StringBuilder text = new StringBuilder();
        int depth = 0;
        for (Throwable cause = error; cause != null && depth < 8; cause = cause.getCause(), depth++) {
            text.append(depth == 0 ? "" : "; because of ").append(cause);
        }
        if (error.getStackTrace().length > 0) {
            text.append(" at ").append(error.getStackTrace()[0]);
        }
        return text.toString();
    }
}
