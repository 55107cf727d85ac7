package bank.ledger.domain;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import bank.ledger.domain.Refusal.Code;
import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class BookingTest {
    private static Account account(String id, String currency, boolean allowOverdraft, long balance, long postings) {
        return new Account(id, currency, allowOverdraft, balance, postings, Instant.EPOCH);
    }

    private static Transfer.Order order(long amount) {
        return new Transfer.Order("t1", "alice", "bob", amount, "EUR", "rent");
    }

    private static Booking book(long amount, Account debit, Account credit) throws Refusal {
        return Booking.of(order(amount), Optional.of(debit), Optional.of(credit));
    }

    private static void refused(Code code, long amount, Account debit, Account credit) {
        assertEquals(code, assertThrows(Refusal.class, () -> book(amount, debit, credit)).code());
    }

    @Test
    void twoPostingsSumToZeroAndFollowOn() throws Refusal {
        Booking booking = book(30, account("alice", "EUR", false, 100, 7), account("bob", "EUR", false, 5, 0));
        assertEquals(new Booking.Leg("alice", 8, -30, 70), booking.debit());
        assertEquals(new Booking.Leg("bob", 1, 30, 35), booking.credit());
        assertEquals(0, booking.debit().amount() + booking.credit().amount());
    }

    @Test
    void theLastCentMayGoAndNotOneMore() throws Refusal {
        Account bob = account("bob", "EUR", false, 0, 0);
        assertEquals(0, book(100, account("alice", "EUR", false, 100, 1), bob).debit().balance());
        refused(Code.INSUFFICIENT_FUNDS, 101, account("alice", "EUR", false, 100, 1), bob);
    }

    @Test
    void anOverdraftIsForWhoMay() throws Refusal {
        assertEquals(-101, book(101, account("alice", "EUR", true, 0, 0), account("bob", "EUR", false, 0, 0)).debit().balance());
    }

    @Test
    void bothAccountsMustBeInTheTransfersCurrency() {
        refused(Code.CURRENCY_MISMATCH, 1, account("alice", "USD", true, 0, 0), account("bob", "EUR", false, 0, 0));
        refused(Code.CURRENCY_MISMATCH, 1, account("alice", "EUR", true, 0, 0), account("bob", "USD", false, 0, 0));
    }

    @Test
    void bothAccountsMustExist() {
        Optional<Account> there = Optional.of(account("alice", "EUR", true, 0, 0));
        assertEquals(Code.UNKNOWN_ACCOUNT, assertThrows(Refusal.class, () -> Booking.of(order(1), Optional.empty(), there)).code());
        assertEquals(Code.UNKNOWN_ACCOUNT, assertThrows(Refusal.class, () -> Booking.of(order(1), there, Optional.empty())).code());
    }

    @Test
    void noBalanceWrapsAround() throws Refusal {
        Account full = account("bob", "EUR", false, Long.MAX_VALUE - 1, 1);
        assertEquals(Long.MAX_VALUE, book(1, account("alice", "EUR", true, 0, 0), full).credit().balance());
        refused(Code.BALANCE_OUT_OF_RANGE, 2, account("alice", "EUR", true, 0, 0), full);
        refused(Code.BALANCE_OUT_OF_RANGE, Long.MAX_VALUE, account("alice", "EUR", true, -2, 1), account("bob", "EUR", false, 0, 0));
    }
}
