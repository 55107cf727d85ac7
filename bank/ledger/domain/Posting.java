package bank.ledger.domain;

import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/** A line of an account: one side of a transfer. */
public record Posting(long sequence, String transfer, String counterparty, long amount, long balance, String reference, Instant postedAt) {
    /** The posting as clients see it. */
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("sequence", sequence);
        json.put("transfer", transfer);
        json.put("counterparty", counterparty);
        json.put("amount", amount);
        json.put("balance", balance);
        json.put("reference", reference);
        json.put("postedAt", postedAt);
        return json;
    }
}
