package bank.ledger.domain;

/** Why the ledger does not do what it was asked. Nothing was changed, and the reason is the caller's to mend. */
public final class Refusal extends Exception {
    private static final long serialVersionUID = 1L;

    /** What a program tells refusals apart by, with the HTTP status that each is answered with. */
    public enum Code {
        INVALID_REQUEST("invalid-request", "The request is not valid", 400),
        NO_SUCH_ACCOUNT("no-such-account", "No such account", 404),
        NO_SUCH_TRANSFER("no-such-transfer", "No such transfer", 404),
        /** A transfer names an account that is not there: the path is right, so this is not a 404. */
        UNKNOWN_ACCOUNT("unknown-account", "A transfer's account does not exist", 422),
        CURRENCY_MISMATCH("currency-mismatch", "The currencies differ", 422),
        INSUFFICIENT_FUNDS("insufficient-funds", "Not enough money", 422),
        BALANCE_OUT_OF_RANGE("balance-out-of-range", "A balance would not fit", 422),
        TRANSFER_EXISTS("transfer-exists", "Another transfer has this id", 409),
        ACCOUNT_EXISTS("account-exists", "Another account has this id", 409);

        /** As the problem's type ends, RFC 9457. */
        public final String word;
        public final String title;
        public final int status;

        Code(String word, String title, int status) {
            this.word = word;
            this.title = title;
            this.status = status;
        }
    }

    private final Code code;

    public Refusal(Code code, String detail) {
        super(detail, null, false, false); // an expected answer: a stack trace would cost more than it tells
        this.code = code;
    }

    public Code code() {
        return code;
    }
}
