package bank.ledger.domain;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import bank.ledger.domain.Refusal.Code;
import bank.ledger.json.JsonException;
import bank.ledger.json.JsonReader;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ParsingTest {
    private static final String GOOD = "{\"id\":\"t1\",\"debit\":\"alice\",\"credit\":\"bob\",\"amount\":12,\"currency\":\"EUR\",\"reference\":\"rent\"}";

    private static Transfer.Order order(String body) throws Refusal, JsonException {
        return Transfer.Order.parse(JsonReader.read(body));
    }

    private static void refused(String body, String part) {
        Refusal refusal = assertThrows(Refusal.class, () -> order(body), body);
        assertEquals(Code.INVALID_REQUEST, refusal.code());
        assertTrue(refusal.getMessage().contains(part), refusal.getMessage());
    }

    @Test
    void anOrder() throws Exception {
        assertEquals(new Transfer.Order("t1", "alice", "bob", 12, "EUR", "rent"), order(GOOD));
        assertEquals("", order(GOOD.replace(",\"reference\":\"rent\"", "")).reference());
    }

    @Test
    void anOrderThatCouldBeMisunderstoodIsRefused() {
        refused("[]", "must be a JSON object");
        refused(GOOD.replace("12", "0"), "above zero");
        refused(GOOD.replace("12", "-1"), "above zero");
        refused(GOOD.replace("12", "1.0"), "without fraction");
        refused(GOOD.replace("12", "1e2"), "without fraction");
        refused(GOOD.replace("12", "9223372036854775808"), "64-bit");
        refused(GOOD.replace("12", "\"12\""), "amount must be a number");
        refused(GOOD.replace("EUR", "eur"), "ISO 4217");
        refused(GOOD.replace("EUR", "QQQ"), "ISO 4217");
        refused(GOOD.replace("bob", "alice"), "different accounts");
        refused(GOOD.replace("bob", "../bob"), "credit must be");
        refused(GOOD.replace("t1", ""), "id must be");
        refused(GOOD.replace("t1", "x".repeat(65)), "id must be");
        refused(GOOD.replace("rent", "x".repeat(141)), "at most 140");
        refused(GOOD.replace("rent", "a\\u0000b"), "control characters");
        refused(GOOD.replace("rent", "a\\nb"), "control characters");
        refused(GOOD.replace("reference", "referense"), "unknown member referense");
        refused(GOOD.replace("\"id\":\"t1\",", ""), "id is missing");
    }

    @Test
    void theSameOrderAgainIsNoOtherOrder() throws Exception {
        Transfer made = new Transfer(order(GOOD), Instant.EPOCH);
        assertEquals(made, made.repeatedBy(order(GOOD)));
        for (String other : new String[] {GOOD.replace("12", "13"), GOOD.replace("bob", "carol"), GOOD.replace("rent", "food"), GOOD.replace("EUR", "USD")}) {
            assertEquals(Code.TRANSFER_EXISTS, assertThrows(Refusal.class, () -> made.repeatedBy(order(other))).code());
        }
    }

    @Test
    void anOpening() throws Exception {
        assertEquals(new Account.Opening("alice", "EUR", false), Account.Opening.parse("alice", JsonReader.read("{\"currency\":\"EUR\"}")));
        assertEquals(new Account.Opening("cash", "EUR", true), Account.Opening.parse("cash", JsonReader.read("{\"currency\":\"EUR\",\"allowOverdraft\":true}")));
        assertThrows(Refusal.class, () -> Account.Opening.parse("cash", JsonReader.read("{\"currency\":\"EUR\",\"allowOverdraft\":\"yes\"}")));
        assertThrows(Refusal.class, () -> Account.Opening.parse("a b", JsonReader.read("{\"currency\":\"EUR\"}")));
    }

    @Test
    void aPage() throws Exception {
        assertEquals(new Page(0, 100, Optional.empty(), Optional.empty()), Page.parse(Map.of()));
        assertEquals(new Page(5, 2, Optional.of(Instant.parse("2026-01-01T00:00:00Z")), Optional.of(Instant.parse("2026-01-31T23:00:00Z"))),
            Page.parse(Map.of("after", "5", "limit", "2", "from", "2026-01-01T00:00:00Z", "until", "2026-02-01T00:00:00+01:00")));
        for (Map<String, String> wrong : java.util.List.of(Map.of("limit", "0"), Map.of("limit", "1001"), Map.of("after", "-1"), Map.of("after", "x"),
            Map.of("from", "2026-01-01"), Map.of("from", "+999999-01-01T00:00:00Z"), Map.of("form", "2026-01-01T00:00:00Z"))) {
            assertThrows(Refusal.class, () -> Page.parse(wrong), wrong.toString());
        }
    }
}
