package bank.ledger.json;

import java.util.List;
import java.util.Map;

/** A JSON value (RFC 8259), exactly as it was written: numbers keep their text, members their order. */
public sealed interface Json {
    /** Members in the order written; no name comes twice. */
    record Members(Map<String, Json> members) implements Json {}

    record Items(List<Json> items) implements Json {}

    record Text(String value) implements Json {}

    /** A number as its literal: converting it is the reader's decision, so that nothing is rounded on the way. */
    record Number(String literal) implements Json {
        private static final java.util.regex.Pattern INTEGER = java.util.regex.Pattern.compile("-?(0|[1-9][0-9]*)");

        /**
         * The number as a 64-bit integer.
         *
         * @throws ArithmeticException when it has a fraction or an exponent, or is out of range
         */
        public long exactLong() {
            if (!INTEGER.matcher(literal).matches()) {
                throw new ArithmeticException(literal + " is not written as an integer");
            }
            try {
                return Long.parseLong(literal);
            } catch (NumberFormatException tooLarge) {
                throw new ArithmeticException(literal + " does not fit in 64 bits");
            }
        }
    }

    record Bool(boolean value) implements Json {}

    record Null() implements Json {}
}
