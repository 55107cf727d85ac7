package bank.ledger.http;

import bank.ledger.domain.Refusal;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** The part of a URL after the question mark. */
final class Query {
    private Query() {}

    /** Parameters by name. One that comes twice is refused: which of the two counts would be a guess. */
    static Map<String, String> parse(String rawQuery) throws Refusal {
        Map<String, String> parameters = new LinkedHashMap<>();
        if (rawQuery == null || rawQuery.isEmpty()) {
            return parameters;
        }
        for (String part : rawQuery.split("&", -1)) {
            int equals = part.indexOf('=');
            if (equals < 1) {
                throw new Refusal(Refusal.Code.INVALID_REQUEST, "the query must be of the form name=value&name=value");
            }
            String name = decode(part.substring(0, equals));
            if (parameters.put(name, decode(part.substring(equals + 1))) != null) {
                throw new Refusal(Refusal.Code.INVALID_REQUEST, "a query parameter comes twice");
            }
        }
        return parameters;
    }

    private static String decode(String text) throws Refusal {
        try {
            // A plus is meant as such in a time's offset; forms, where it means a space, are not sent here.
            return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException wrong) {
            throw new Refusal(Refusal.Code.INVALID_REQUEST, "the query has a wrong percent-escape");
        }
    }
}
