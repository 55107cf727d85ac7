package bank.ledger.http;

import bank.ledger.domain.Account;
import bank.ledger.domain.Booking;
import bank.ledger.domain.Ledger;
import bank.ledger.domain.Page;
import bank.ledger.domain.Posting;
import bank.ledger.domain.Refusal;
import bank.ledger.domain.Refusal.Code;
import bank.ledger.domain.Transfer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** A ledger for tests of what stands before it: the same rules, no database. */
final class MemoryLedger implements Ledger {
    private final Map<String, Account> accounts = new HashMap<>();
    private final Map<String, Transfer> transfers = new HashMap<>();
    private final Map<String, List<Posting>> postings = new HashMap<>();
    /** When set, every call fails so. */
    Unavailable unavailable;
    /** When set, every call throws it. */
    RuntimeException mistake;

    private void check() throws Unavailable {
        if (unavailable != null) {
            throw unavailable;
        }
        if (mistake != null) {
            throw mistake;
        }
    }

    @Override
    public Outcome<Account> open(Account.Opening opening) throws Refusal, Unavailable {
        check();
        Account there = accounts.get(opening.id());
        if (there != null) {
            if (!there.currency().equals(opening.currency())) {
                throw new Refusal(Code.ACCOUNT_EXISTS, "there already");
            }
            return new Outcome<>(there, false);
        }
        Account account = new Account(opening.id(), opening.currency(), opening.allowOverdraft(), 0, 0, Instant.EPOCH);
        accounts.put(account.id(), account);
        postings.put(account.id(), new ArrayList<>());
        return new Outcome<>(account, true);
    }

    @Override
    public Account account(String id) throws Refusal, Unavailable {
        check();
        return Optional.ofNullable(accounts.get(id)).orElseThrow(() -> new Refusal(Code.NO_SUCH_ACCOUNT, "there is no account " + id));
    }

    @Override
    public long balanceAt(String id, Instant time) throws Refusal, Unavailable {
        account(id);
        return postings.get(id).stream().filter(p -> p.postedAt().isBefore(time)).mapToLong(Posting::amount).sum();
    }

    @Override
    public Postings postings(String id, Page page) throws Refusal, Unavailable {
        Account account = account(id);
        List<Posting> rest = postings.get(id).stream().filter(p -> p.sequence() > page.after()).toList();
        List<Posting> shown = rest.subList(0, Math.min(page.limit(), rest.size()));
        return new Postings(account, shown, rest.size() > page.limit() ? Optional.of(shown.get(shown.size() - 1).sequence()) : Optional.empty());
    }

    @Override
    public Outcome<Transfer> transfer(Transfer.Order order) throws Refusal, Unavailable {
        check();
        if (transfers.containsKey(order.id())) {
            return new Outcome<>(transfers.get(order.id()).repeatedBy(order), false);
        }
        Booking booking = Booking.of(order, Optional.ofNullable(accounts.get(order.debit())), Optional.ofNullable(accounts.get(order.credit())));
        Transfer made = new Transfer(order, Instant.EPOCH);
        transfers.put(order.id(), made);
        book(booking.debit(), order, order.credit());
        book(booking.credit(), order, order.debit());
        return new Outcome<>(made, true);
    }

    private void book(Booking.Leg leg, Transfer.Order order, String counterparty) {
        Account before = accounts.get(leg.account());
        accounts.put(leg.account(), new Account(before.id(), before.currency(), before.allowOverdraft(), leg.balance(), leg.sequence(), before.openedAt()));
        postings.get(leg.account()).add(new Posting(leg.sequence(), order.id(), counterparty, leg.amount(), leg.balance(), order.reference(), Instant.EPOCH));
    }

    @Override
    public Transfer transfer(String id) throws Refusal, Unavailable {
        check();
        return Optional.ofNullable(transfers.get(id)).orElseThrow(() -> new Refusal(Code.NO_SUCH_TRANSFER, "there is no transfer " + id));
    }

    @Override
    public Invariants invariants() throws Unavailable {
        check();
        return new Invariants(new TreeMap<>(Map.of("EUR", 0L)), accounts.size(), transfers.size(), 2L * transfers.size(), List.of());
    }
}
