package bank.ledger.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import bank.ledger.domain.Ledger;
import bank.ledger.json.Json;
import bank.ledger.json.JsonReader;
import bank.ledger.log.Log;
import bank.ledger.metrics.Metrics;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ApiTest {
    private final MemoryLedger ledger = new MemoryLedger();
    private final ByteArrayOutputStream logged = new ByteArrayOutputStream();
    private Optional<String> unready = Optional.empty();
    private final Api api = new Api(ledger, () -> unready, new Metrics(), new Log(new PrintStream(logged, true, StandardCharsets.UTF_8)));

    @BeforeEach
    void twoAccounts() {
        ask(201, "PUT", "/accounts/cash", "{\"currency\":\"EUR\",\"allowOverdraft\":true}");
        ask(201, "PUT", "/accounts/alice", "{\"currency\":\"EUR\"}");
    }

    private Map<String, Json> ask(int status, String method, String target, String body) {
        int question = target.indexOf('?');
        Answer answer = api.answer(new Api.Request(method, question < 0 ? target : target.substring(0, question),
            question < 0 ? null : target.substring(question + 1), body.getBytes(StandardCharsets.UTF_8), "r-1"));
        String text = new String(answer.body(), StandardCharsets.UTF_8);
        assertEquals(status, answer.status(), text);
        try {
            return ((Json.Members) JsonReader.read(answer.body())).members();
        } catch (Exception notJson) {
            throw new AssertionError(text, notJson);
        }
    }

    private void refused(int status, String word, String method, String target, String body) {
        Map<String, Json> problem = ask(status, method, target, body);
        assertEquals(new Json.Text("/problems/" + word), problem.get("type"));
        assertEquals(new Json.Text("r-1"), problem.get("requestId"));
        assertEquals(new Json.Number(Integer.toString(status)), problem.get("status"));
    }

    private static String order(String id, long amount) {
        return "{\"id\":\"" + id + "\",\"debit\":\"cash\",\"credit\":\"alice\",\"amount\":" + amount + ",\"currency\":\"EUR\"}";
    }

    @Test
    void aTransferIsMadeOnceForItsId() {
        Map<String, Json> made = ask(201, "POST", "/transfers", order("t1", 5));
        assertEquals(made, ask(200, "POST", "/transfers", order("t1", 5)));
        assertEquals(made, ask(200, "GET", "/transfers/t1", ""));
        refused(409, "transfer-exists", "POST", "/transfers", order("t1", 6));
        assertEquals(new Json.Number("5"), ask(200, "GET", "/accounts/alice", "").get("balance"));
    }

    @Test
    void anAccountIsOpenedOnce() {
        ask(200, "PUT", "/accounts/alice", "{\"currency\":\"EUR\"}");
        refused(409, "account-exists", "PUT", "/accounts/alice", "{\"currency\":\"USD\"}");
    }

    @Test
    void postingsComeInPages() {
        for (int i = 1; i <= 3; i++) {
            ask(201, "POST", "/transfers", order("t" + i, i));
        }
        Map<String, Json> first = ask(200, "GET", "/accounts/alice/postings?limit=2", "");
        assertEquals(2, ((Json.Items) first.get("postings")).items().size());
        assertEquals(new Json.Number("2"), first.get("next"));
        Map<String, Json> second = ask(200, "GET", "/accounts/alice/postings?limit=2&after=2", "");
        assertEquals(1, ((Json.Items) second.get("postings")).items().size());
        assertEquals(new Json.Null(), second.get("next"));
    }

    @Test
    void refusalsTellWhatIsWrong() {
        refused(400, "invalid-request", "POST", "/transfers", "{");
        refused(400, "invalid-request", "POST", "/transfers", order("t1", 0));
        refused(400, "invalid-request", "GET", "/accounts/alice/postings?limit=0", "");
        refused(400, "invalid-request", "GET", "/accounts/alice/postings?limit=1&limit=2", "");
        refused(400, "invalid-request", "GET", "/accounts/alice/postings?limit=%zz", "");
        refused(400, "invalid-request", "GET", "/accounts/alice/balance", "");
        refused(404, "no-such-account", "GET", "/accounts/nobody", "");
        refused(404, "no-such-transfer", "GET", "/transfers/none", "");
        refused(422, "unknown-account", "POST", "/transfers", order("t1", 1).replace("alice", "nobody"));
        refused(422, "insufficient-funds", "POST", "/transfers", order("t1", 1).replace("cash", "x").replace("alice", "cash").replace("\"x\"", "\"alice\""));
        refused(422, "currency-mismatch", "POST", "/transfers", order("t1", 1).replace("EUR", "USD"));
        refused(404, "no-such-path", "GET", "/", "");
        refused(404, "no-such-path", "GET", "/accounts/alice/x", "");
        refused(405, "method-not-allowed", "DELETE", "/accounts/alice", "");
    }

    @Test
    void aTimeMayHaveAnOffset() {
        assertEquals(new Json.Text("2026-01-31T23:00:00Z"), ask(200, "GET", "/accounts/alice/balance?at=2026-02-01T00:00:00+01:00", "").get("at"));
    }

    @Test
    void aDatabaseThatIsAwayIs503AndToBeTriedAgain() {
        ledger.unavailable = new Ledger.Unavailable("away", null);
        refused(503, "database-unavailable", "POST", "/transfers", order("t1", 5));
        assertEquals("1", api.answer(new Api.Request("GET", "/accounts/alice", null, new byte[0], "r")).headers().get("Retry-After"));
    }

    @Test
    void aMistakeIsLoggedAndNotTold() {
        ledger.mistake = new IllegalStateException("the password is hunter2");
        Map<String, Json> problem = ask(500, "GET", "/accounts/alice", "");
        assertFalse(problem.toString().contains("hunter2"), problem.toString());
        assertTrue(logged.toString(StandardCharsets.UTF_8).contains("hunter2"));
        assertTrue(logged.toString(StandardCharsets.UTF_8).contains("\"requestId\":\"r-1\""));
    }

    @Test
    void readinessSaysWhyNotAndLivenessDoesNotCare() {
        ask(200, "GET", "/readyz", "");
        unready = Optional.of("the database does not answer");
        assertEquals(new Json.Text("the database does not answer"), ask(503, "GET", "/readyz", "").get("reason"));
        ask(200, "GET", "/livez", "");
    }

    @Test
    void introducesItself() {
        assertEquals(new Json.Text(Api.TITLE), ask(200, "GET", "/version", "").get("title"));
    }
}
