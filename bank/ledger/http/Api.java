package bank.ledger.http;

import bank.ledger.domain.Account;
import bank.ledger.domain.Ledger;
import bank.ledger.domain.Ledger.Invariants;
import bank.ledger.domain.Ledger.Outcome;
import bank.ledger.domain.Ledger.Postings;
import bank.ledger.domain.Ledger.Unavailable;
import bank.ledger.domain.Page;
import bank.ledger.domain.Posting;
import bank.ledger.domain.Refusal;
import bank.ledger.domain.Refusal.Code;
import bank.ledger.domain.Transfer;
import bank.ledger.json.Json;
import bank.ledger.json.JsonException;
import bank.ledger.json.JsonReader;
import bank.ledger.log.Log;
import bank.ledger.metrics.Metrics;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** The ledger's HTTP interface, without the sockets: a request in, an answer out. */
public final class Api {
    /** How the ledger introduces itself: `GET /version` shows it. */
    public static final String TITLE = "General ledger";

    /** A request as it came. */
    public record Request(String method, String path, String rawQuery, byte[] body, String requestId) {}

    private final Ledger ledger;
    private final Supplier<Optional<String>> unready;
    private final Metrics metrics;
    private final Log log;

    /**
     * @param unready why no requests should come, or empty
     */
    public Api(Ledger ledger, Supplier<Optional<String>> unready, Metrics metrics, Log log) {
        this.ledger = ledger;
        this.unready = unready;
        this.metrics = metrics;
        this.log = log;
    }

    /** Answers one request; whatever goes wrong is an answer too. */
    public Answer answer(Request request) {
        String[] parts = request.path.split("/", -1);
        String route = route(parts);
        try {
            return dispatch(request, route, parts);
        } catch (Refusal refusal) {
            Code code = refusal.code();
            return Answer.problem(route, code.status, code.word, code.title, refusal.getMessage(), request.requestId);
        } catch (Unavailable unavailable) {
            log.warn("no answer from the database", "requestId", request.requestId, "error", unavailable);
            return Answer.problem(route, 503, "database-unavailable", "The database does not answer",
                "It is not known whether the request was carried out. Send it again: a transfer is made only once for its id.", request.requestId)
                .with("Retry-After", "1");
        } catch (RuntimeException | StackOverflowError mistake) {
            log.error("a mistake in the program", "requestId", request.requestId, "route", route, "error", mistake);
            return Answer.problem(route, 500, "internal", "A mistake in the ledger", "It was logged under the request's id.", request.requestId);
        }
    }

    /** The pattern that a path fits, or "none". */
    private static String route(String[] parts) {
        String first = parts.length > 1 ? parts[1] : "";
        switch (parts.length) {
            case 2:
                return Set.of("transfers", "invariants", "livez", "readyz", "metrics", "version").contains(first) ? "/" + first : "none";
            case 3:
                return Set.of("accounts", "transfers").contains(first) ? "/" + first + "/{id}" : "none";
            case 4:
                return first.equals("accounts") && Set.of("postings", "balance").contains(parts[3]) ? "/accounts/{id}/" + parts[3] : "none";
            default:
                return "none";
        }
    }

    private Answer dispatch(Request request, String route, String[] parts) throws Refusal, Unavailable {
        switch (request.method + " " + route) {
            case "POST /transfers": {
                Outcome<Transfer> outcome = ledger.transfer(Transfer.Order.parse(body(request)));
                return Answer.json(route, outcome.created() ? 201 : 200, outcome.value().toJson());
            }
            case "GET /transfers/{id}":
                return Answer.json(route, 200, ledger.transfer(Transfer.parseId(parts[2])).toJson());
            case "PUT /accounts/{id}": {
                Outcome<Account> outcome = ledger.open(Account.Opening.parse(parts[2], body(request)));
                return Answer.json(route, outcome.created() ? 201 : 200, outcome.value().toJson());
            }
            case "GET /accounts/{id}":
                return Answer.json(route, 200, ledger.account(Account.parseId(parts[2])).toJson());
            case "GET /accounts/{id}/balance":
                return balance(request, route, Account.parseId(parts[2]));
            case "GET /accounts/{id}/postings":
                return postings(request, route, Account.parseId(parts[2]));
            case "GET /invariants":
                return invariants(route);
            case "GET /livez":
                return Answer.json(route, 200, Map.of("live", true));
            case "GET /readyz":
                return ready(route);
            case "GET /metrics":
                return Answer.text(route, 200, Metrics.CONTENT_TYPE, metrics.text());
            case "GET /version":
                return Answer.json(route, 200, ordered("service", "ledger", "title", TITLE));
            default:
                if (route.equals("none")) {
                    return Answer.problem(route, 404, "no-such-path", "No such path", "", request.requestId);
                }
                String allowed = route.equals("/transfers") ? "POST" : route.equals("/accounts/{id}") ? "GET, PUT" : "GET";
                return Answer.problem(route, 405, "method-not-allowed", "Method not allowed", "Here are " + allowed + ".", request.requestId).with("Allow", allowed);
        }
    }

    private Answer balance(Request request, String route, String id) throws Refusal, Unavailable {
        Map<String, String> query = Query.parse(request.rawQuery);
        Page.refuseUnknown(query, Set.of("at"));
        Instant at = Page.time(query, "at").orElseThrow(() -> new Refusal(Code.INVALID_REQUEST, "at is missing: a time of RFC 3339"));
        return Answer.json(route, 200, ordered("account", id, "at", at, "balance", ledger.balanceAt(id, at)));
    }

    private Answer postings(Request request, String route, String id) throws Refusal, Unavailable {
        Postings postings = ledger.postings(id, Page.parse(Query.parse(request.rawQuery)));
        return Answer.json(route, 200, ordered("account", postings.account().toJson(),
            "postings", postings.items().stream().map(Posting::toJson).toList(), "next", postings.next().orElse(null)));
    }

    private Answer invariants(String route) throws Unavailable {
        Invariants invariants = ledger.invariants();
        return Answer.json(route, 200, ordered("hold", invariants.violations().isEmpty(), "sumOfPostings", invariants.sumOfPostings(),
            "accounts", invariants.accounts(), "transfers", invariants.transfers(), "postings", invariants.postings(), "violations", invariants.violations()));
    }

    private Answer ready(String route) {
        return unready.get()
            .map(reason -> Answer.json(route, 503, ordered("ready", false, "reason", reason)))
            .orElseGet(() -> Answer.json(route, 200, Map.of("ready", true)));
    }

    private static Json body(Request request) throws Refusal {
        try {
            return JsonReader.read(request.body);
        } catch (JsonException notJson) {
            throw new Refusal(Code.INVALID_REQUEST, "the body is not JSON: " + notJson.getMessage());
        }
    }

    private static Map<String, Object> ordered(Object... namesAndValues) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            map.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return map;
    }
}
