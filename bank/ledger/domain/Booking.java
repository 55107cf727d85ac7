package bank.ledger.domain;

import bank.ledger.domain.Refusal.Code;
import java.util.Optional;

/**
 * What a transfer does to its two accounts: two postings that sum to zero. The rules of the ledger stand here, and the
 * database holds them a second time as constraints.
 */
public record Booking(Leg debit, Leg credit) {
    /**
     * One posting.
     *
     * @param sequence the posting's number in its account, from 1, without gaps
     * @param amount in minor units; below zero where money leaves
     * @param balance the account's after this posting
     */
    public record Leg(String account, long sequence, long amount, long balance) {}

    /**
     * Works out the postings of an order.
     *
     * @param debit the account of that id as it stands, locked; empty when there is none
     * @param credit likewise
     */
    public static Booking of(Transfer.Order order, Optional<Account> debit, Optional<Account> credit) throws Refusal {
        Account from = existing(order.debit(), debit);
        Account to = existing(order.credit(), credit);
        for (Account account : new Account[] {from, to}) {
            if (!account.currency().equals(order.currency())) {
                throw new Refusal(Code.CURRENCY_MISMATCH, "the account " + account.id() + " is in " + account.currency() + ", the transfer in " + order.currency());
            }
        }
        Booking booking = new Booking(leg(from, Math.negateExact(order.amount())), leg(to, order.amount()));
        if (!from.allowOverdraft() && booking.debit.balance < 0) {
            // The balance is not named: who may pay from an account may not be who may look at it.
            throw new Refusal(Code.INSUFFICIENT_FUNDS, "the account " + from.id() + " does not hold the amount");
        }
        return booking;
    }

    private static Account existing(String id, Optional<Account> account) throws Refusal {
        return account.orElseThrow(() -> new Refusal(Code.UNKNOWN_ACCOUNT, "there is no account " + id));
    }

    private static Leg leg(Account account, long amount) throws Refusal {
        try {
            return new Leg(account.id(), Math.addExact(account.postings(), 1), amount, Math.addExact(account.balance(), amount));
        } catch (ArithmeticException outOfRange) {
            throw new Refusal(Code.BALANCE_OUT_OF_RANGE, "the balance of " + account.id() + " would not fit in 64 bits");
        }
    }
}
