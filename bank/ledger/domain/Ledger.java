package bank.ledger.domain;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What the ledger does. Every method is safe to call again when its outcome is not known. */
public interface Ledger {
    /** What a write did: the thing, and whether this call made it or an earlier one had. */
    record Outcome<T>(T value, boolean created) {}

    /** Postings in order, and the cursor of the next page where there is more. */
    record Postings(Account account, List<Posting> items, Optional<Long> next) {}

    /** What always holds, checked over the whole ledger at one moment. */
    record Invariants(Map<String, Long> sumOfPostings, long accounts, long transfers, long postings, List<String> violations) {}

    /** The database cannot be reached or does not answer in time. Whether a write was done is not known. */
    final class Unavailable extends Exception {
        private static final long serialVersionUID = 1L;

        public Unavailable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    Outcome<Account> open(Account.Opening opening) throws Refusal, Unavailable;

    Account account(String id) throws Refusal, Unavailable;

    /** The balance from postings before a time, in minor units. */
    long balanceAt(String id, Instant time) throws Refusal, Unavailable;

    Postings postings(String id, Page page) throws Refusal, Unavailable;

    Outcome<Transfer> transfer(Transfer.Order order) throws Refusal, Unavailable;

    Transfer transfer(String id) throws Refusal, Unavailable;

    Invariants invariants() throws Unavailable;
}
