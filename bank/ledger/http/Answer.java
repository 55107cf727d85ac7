package bank.ledger.http;

import bank.ledger.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a request is answered with.
 *
 * @param route the pattern that the path fitted, for metrics
 * @param headers beyond Content-Type
 */
public record Answer(String route, int status, String contentType, Map<String, String> headers, byte[] body) {
    static Answer json(String route, int status, Map<String, ?> body) {
        return text(route, status, "application/json", JsonWriter.write(body) + "\n");
    }

    static Answer text(String route, int status, String contentType, String body) {
        return new Answer(route, status, contentType, Map.of(), body.getBytes(StandardCharsets.UTF_8));
    }

    /** Problem details, RFC 9457. */
    static Answer problem(String route, int status, String word, String title, String detail, String requestId) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("type", "/problems/" + word);
        body.put("title", title);
        body.put("status", status);
        body.put("detail", detail);
        body.put("requestId", requestId);
        return text(route, status, "application/problem+json", JsonWriter.write(body) + "\n");
    }

    Answer with(String header, String value) {
        Map<String, String> more = new LinkedHashMap<>(headers);
        more.put(header, value);
        return new Answer(route, status, contentType, more, body);
    }
}
