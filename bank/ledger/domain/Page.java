package bank.ledger.domain;

import bank.ledger.domain.Refusal.Code;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which postings of an account are wanted. Postings are numbered without gaps in the order in which they were made, so
 * the number of the last one seen is a cursor that neither skips nor repeats, whatever is posted meanwhile.
 *
 * @param after the sequence number after which to begin
 * @param limit how many at most
 * @param from postings at or after this time
 * @param until postings before this time
 */
public record Page(long after, int limit, Optional<Instant> from, Optional<Instant> until) {
    public static final int DEFAULT_LIMIT = 100;
    public static final int MAX_LIMIT = 1000;

    /** Parses the query of `GET /accounts/ID/postings`. */
    public static Page parse(Map<String, String> query) throws Refusal {
        refuseUnknown(query, Set.of("after", "limit", "from", "until"));
        return new Page(integer(query, "after", 0, 0, Long.MAX_VALUE), (int) integer(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
            time(query, "from"), time(query, "until"));
    }

    /** Refuses a query with a parameter that is not known: it may be a misspelling of one that is. */
    public static void refuseUnknown(Map<String, String> query, Set<String> known) throws Refusal {
        for (String name : query.keySet()) {
            if (!known.contains(name)) {
                throw new Refusal(Code.INVALID_REQUEST, "unknown query parameter; known are " + String.join(", ", known.stream().sorted().toList()));
            }
        }
    }

    /** A time of RFC 3339, where the query has one. */
    public static Optional<Instant> time(Map<String, String> query, String name) throws Refusal {
        if (!query.containsKey(name)) {
            return Optional.empty();
        }
        try {
            Instant time = java.time.OffsetDateTime.parse(query.get(name)).toInstant();
            // PostgreSQL's own range ends elsewhere, and no bank has postings outside this one.
            if (time.isBefore(Instant.parse("1900-01-01T00:00:00Z")) || !time.isBefore(Instant.parse("3000-01-01T00:00:00Z"))) {
                throw new Refusal(Code.INVALID_REQUEST, name + " must be from the year 1900 to 2999");
            }
            return Optional.of(time);
        } catch (DateTimeParseException wrong) {
            throw new Refusal(Code.INVALID_REQUEST, name + " must be a time of RFC 3339 such as 2026-01-31T00:00:00Z");
        }
    }

    private static long integer(Map<String, String> query, String name, long otherwise, long least, long most) throws Refusal {
        if (!query.containsKey(name)) {
            return otherwise;
        }
        try {
            long value = Long.parseLong(query.get(name));
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException wrong) {
            // told below
        }
        throw new Refusal(Code.INVALID_REQUEST, name + " must be a whole number from " + least + " to " + most);
    }
}
