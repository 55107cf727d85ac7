package bank.ledger.json;

/** A text that is not JSON; the message says what is wrong and at which character, counted from 0. */
public final class JsonException extends Exception {
    private static final long serialVersionUID = 1L;

    JsonException(String message, int offset) {
        super(message + " at character " + offset);
    }
}
