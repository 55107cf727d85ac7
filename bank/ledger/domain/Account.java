package bank.ledger.domain;

import bank.ledger.json.Json;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An account as it stands.
 *
 * @param balance in minor units of the currency; what the bank owes the holder. The sum of the account's postings
 * @param allowOverdraft whether the balance may fall below zero, as that of the bank's own cash account does
 * @param postings how many there are; also the sequence number of the last one
 */
public record Account(String id, String currency, boolean allowOverdraft, long balance, long postings, Instant openedAt) {
    /** What a client says to open an account. */
    public record Opening(String id, String currency, boolean allowOverdraft) {
        /** Parses the body of `PUT /accounts/ID`. */
        public static Opening parse(String id, Json body) throws Refusal {
            Fields fields = Fields.of(body, "currency", "allowOverdraft");
            return new Opening(Names.id("the account's id", id), Names.currency(fields.text("currency")), fields.bool("allowOverdraft", false));
        }
    }

    /** Parses an account's id. */
    public static String parseId(String id) throws Refusal {
        return Names.id("the account's id", id);
    }

    /** The account as clients see it. */
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("id", id);
        json.put("currency", currency);
        json.put("allowOverdraft", allowOverdraft);
        json.put("balance", balance);
        json.put("openedAt", openedAt);
        return json;
    }
}
