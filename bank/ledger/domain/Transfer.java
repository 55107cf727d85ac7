package bank.ledger.domain;

import bank.ledger.domain.Refusal.Code;
import bank.ledger.json.Json;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/** A transfer that was made. It never changes. */
public record Transfer(Order order, Instant postedAt) {
    /**
     * What a client asks for.
     *
     * @param id the client's own name for the transfer: however often the order comes, it is carried out once
     * @param debit the account that the money leaves
     * @param credit the account that it goes to
     * @param amount in minor units of the currency, above zero
     */
    public record Order(String id, String debit, String credit, long amount, String currency, String reference) {
        /** Parses the body of `POST /transfers`. */
        public static Order parse(Json body) throws Refusal {
            Fields fields = Fields.of(body, "id", "debit", "credit", "amount", "currency", "reference");
            Order order = new Order(Names.id("id", fields.text("id")), Names.id("debit", fields.text("debit")),
                Names.id("credit", fields.text("credit")), fields.integer("amount"), Names.currency(fields.text("currency")),
                Names.reference(fields.text("reference", "")));
            if (order.amount <= 0) {
                throw new Refusal(Code.INVALID_REQUEST, "amount must be above zero");
            }
            if (order.debit.equals(order.credit)) {
                throw new Refusal(Code.INVALID_REQUEST, "debit and credit must be different accounts");
            }
            return order;
        }
    }

    /** Parses a transfer's id. */
    public static String parseId(String id) throws Refusal {
        return Names.id("the transfer's id", id);
    }

    /**
     * This transfer, if the order is the one that made it.
     *
     * @throws Refusal when the order has the same id but says something else
     */
    public Transfer repeatedBy(Order repeated) throws Refusal {
        if (!order.equals(repeated)) {
            throw new Refusal(Code.TRANSFER_EXISTS, "the transfer " + order.id + " was made already, with other contents");
        }
        return this;
    }

    /** The transfer as clients see it. */
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("id", order.id);
        json.put("debit", order.debit);
        json.put("credit", order.credit);
        json.put("amount", order.amount);
        json.put("currency", order.currency);
        json.put("reference", order.reference);
        json.put("postedAt", postedAt);
        return json;
    }
}
