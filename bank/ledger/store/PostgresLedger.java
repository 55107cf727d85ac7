package bank.ledger.store;

import bank.ledger.domain.Account;
import bank.ledger.domain.Booking;
import bank.ledger.domain.Ledger;
import bank.ledger.domain.Page;
import bank.ledger.domain.Posting;
import bank.ledger.domain.Refusal;
import bank.ledger.domain.Refusal.Code;
import bank.ledger.domain.Transfer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The ledger in PostgreSQL. */
public final class PostgresLedger implements Ledger {
    private static final String ACCOUNT = "SELECT id, currency, allow_overdraft, balance, postings, opened_at, last_posted_at FROM accounts";

    private final Transactions transactions;

    public PostgresLedger(Transactions transactions) {
        this.transactions = transactions;
    }

    @Override
    public Outcome<Account> open(Account.Opening opening) throws Refusal, Unavailable {
        return transactions.<Outcome<Account>, Refusal>run(connection -> {
            boolean created;
            try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO accounts (id, currency, allow_overdraft) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING")) {
                insert.setString(1, opening.id());
                insert.setString(2, opening.currency());
                insert.setBoolean(3, opening.allowOverdraft());
                created = insert.executeUpdate() == 1;
            }
            Account account = existing(connection, opening.id());
            if (!account.currency().equals(opening.currency()) || account.allowOverdraft() != opening.allowOverdraft()) {
                throw new Refusal(Code.ACCOUNT_EXISTS, "the account " + opening.id() + " was opened already, otherwise than asked for");
            }
            return new Outcome<>(account, created);
        });
    }

    @Override
    public Account account(String id) throws Refusal, Unavailable {
        return transactions.<Account, Refusal>run(connection -> existing(connection, id));
    }

    @Override
    public long balanceAt(String id, Instant time) throws Refusal, Unavailable {
        return transactions.<Long, Refusal>run(connection -> {
            existing(connection, id);
            try (PreparedStatement select = connection.prepareStatement(
                "SELECT balance FROM postings WHERE account = ? AND posted_at < ? ORDER BY posted_at DESC, sequence DESC LIMIT 1")) {
                select.setString(1, id);
                select.setObject(2, time.atOffset(ZoneOffset.UTC));
                try (ResultSet row = select.executeQuery()) {
                    return row.next() ? row.getLong(1) : 0L;
                }
            }
        });
    }

    @Override
    public Postings postings(String id, Page page) throws Refusal, Unavailable {
        return transactions.<Postings, Refusal>run(connection -> {
            Account account = existing(connection, id);
            List<Posting> postings = new ArrayList<>();
            try (PreparedStatement select = connection.prepareStatement(postingsSql(page))) {
                int parameter = 1;
                select.setString(parameter++, id);
                select.setLong(parameter++, page.after());
                if (page.from().isPresent()) {
                    select.setObject(parameter++, page.from().get().atOffset(ZoneOffset.UTC));
                }
                if (page.until().isPresent()) {
                    select.setObject(parameter++, page.until().get().atOffset(ZoneOffset.UTC));
                }
                select.setInt(parameter, page.limit() + 1); // one more tells whether there is a next page
                try (ResultSet rows = select.executeQuery()) {
                    while (rows.next()) {
                        postings.add(new Posting(rows.getLong("sequence"), rows.getString("transfer"), rows.getString("counterparty"),
                            rows.getLong("amount"), rows.getLong("balance"), rows.getString("reference"), time(rows, "posted_at")));
                    }
                }
            }
            if (postings.size() <= page.limit()) {
                return new Postings(account, List.copyOf(postings), Optional.empty());
            }
            List<Posting> shown = List.copyOf(postings.subList(0, page.limit()));
            return new Postings(account, shown, Optional.of(shown.get(shown.size() - 1).sequence()));
        });
    }

    private static String postingsSql(Page page) {
        return "SELECT p.sequence, p.transfer, CASE WHEN t.debit = p.account THEN t.credit ELSE t.debit END AS counterparty,"
            + " p.amount, p.balance, t.reference, p.posted_at FROM postings p JOIN transfers t ON t.id = p.transfer"
            + " WHERE p.account = ? AND p.sequence > ?"
            + (page.from().isPresent() ? " AND p.posted_at >= ?" : "")
            + (page.until().isPresent() ? " AND p.posted_at < ?" : "")
            // In an account, later numbers never have earlier times: both orders are the same, each with its own index.
            + (page.from().isPresent() ? " ORDER BY p.posted_at, p.sequence" : " ORDER BY p.sequence")
            + " LIMIT ?";
    }

    /**
     * Makes the transfer, or finds that it was made.
     *
     * The accounts' rows are locked first, in the order of their ids, so that two transfers can wait for each other in no
     * circle; only then is it looked whether the transfer exists, since another run of the same order may just have ended.
     */
    @Override
    public Outcome<Transfer> transfer(Transfer.Order order) throws Refusal, Unavailable {
        return transactions.<Outcome<Transfer>, Refusal>run(connection -> {
            Map<String, Locked> accounts = lock(connection, order);
            Optional<Transfer> earlier = find(connection, order.id());
            if (earlier.isPresent()) {
                return new Outcome<>(earlier.get().repeatedBy(order), false);
            }
            Booking booking = Booking.of(order, Optional.ofNullable(accounts.get(order.debit())).map(Locked::account),
                Optional.ofNullable(accounts.get(order.credit())).map(Locked::account));
            Optional<Instant> postedAt = insertTransfer(connection, order, accounts);
            if (postedAt.isEmpty()) {
                // An order of the same id, but between other accounts, was faster by a moment.
                Transfer other = find(connection, order.id()).orElseThrow(() -> new IllegalStateException("the transfer " + order.id() + " came and went"));
                return new Outcome<>(other.repeatedBy(order), false);
            }
            insertPostings(connection, order.id(), booking, postedAt.get());
            updateAccounts(connection, booking, postedAt.get());
            return new Outcome<>(new Transfer(order, postedAt.get()), true);
        });
    }

    private record Locked(Account account, OffsetDateTime lastPostedAt) {}

    private static Map<String, Locked> lock(Connection connection, Transfer.Order order) throws SQLException {
        Map<String, Locked> locked = new HashMap<>();
        // NO KEY: the lock must not stand in the way of the foreign keys' own, weaker ones.
        try (PreparedStatement select = connection.prepareStatement(ACCOUNT + " WHERE id IN (?, ?) ORDER BY id FOR NO KEY UPDATE")) {
            select.setString(1, order.debit());
            select.setString(2, order.credit());
            try (ResultSet rows = select.executeQuery()) {
                while (rows.next()) {
                    locked.put(rows.getString("id"), new Locked(account(rows), rows.getObject("last_posted_at", OffsetDateTime.class)));
                }
            }
        }
        return locked;
    }

    /** The time is not earlier than that of either account's last posting, even if the clock was set back. */
    private static Optional<Instant> insertTransfer(Connection connection, Transfer.Order order, Map<String, Locked> accounts) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
            "INSERT INTO transfers (id, debit, credit, amount, currency, reference, posted_at)"
                + " VALUES (?, ?, ?, ?, ?, ?, greatest(clock_timestamp(), ?::timestamptz, ?::timestamptz)) ON CONFLICT (id) DO NOTHING RETURNING posted_at")) {
            insert.setString(1, order.id());
            insert.setString(2, order.debit());
            insert.setString(3, order.credit());
            insert.setLong(4, order.amount());
            insert.setString(5, order.currency());
            insert.setString(6, order.reference());
            insert.setObject(7, accounts.get(order.debit()).lastPostedAt);
            insert.setObject(8, accounts.get(order.credit()).lastPostedAt);
            try (ResultSet row = insert.executeQuery()) {
                return row.next() ? Optional.of(time(row, "posted_at")) : Optional.empty();
            }
        }
    }

    private static void insertPostings(Connection connection, String transfer, Booking booking, Instant postedAt) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
            "INSERT INTO postings (account, sequence, transfer, amount, balance, posted_at) VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)")) {
            int parameter = 1;
            for (Booking.Leg leg : List.of(booking.debit(), booking.credit())) {
                insert.setString(parameter++, leg.account());
                insert.setLong(parameter++, leg.sequence());
                insert.setString(parameter++, transfer);
                insert.setLong(parameter++, leg.amount());
                insert.setLong(parameter++, leg.balance());
                insert.setObject(parameter++, postedAt.atOffset(ZoneOffset.UTC));
            }
            insert.executeUpdate();
        }
    }

    private static void updateAccounts(Connection connection, Booking booking, Instant postedAt) throws SQLException {
        try (PreparedStatement update = connection.prepareStatement(
            "UPDATE accounts SET balance = new.balance, postings = new.postings, last_posted_at = ?"
                + " FROM (VALUES (?, ?::bigint, ?::bigint), (?, ?::bigint, ?::bigint)) AS new (id, balance, postings) WHERE accounts.id = new.id")) {
            int parameter = 1;
            update.setObject(parameter++, postedAt.atOffset(ZoneOffset.UTC));
            for (Booking.Leg leg : List.of(booking.debit(), booking.credit())) {
                update.setString(parameter++, leg.account());
                update.setLong(parameter++, leg.balance());
                update.setLong(parameter++, leg.sequence());
            }
            if (update.executeUpdate() != 2) {
                throw new IllegalStateException("the locked accounts of a transfer were not both updated");
            }
        }
    }

    @Override
    public Transfer transfer(String id) throws Refusal, Unavailable {
        return transactions.<Transfer, Refusal>run(connection ->
            find(connection, id).orElseThrow(() -> new Refusal(Code.NO_SUCH_TRANSFER, "there is no transfer " + id)));
    }

    @Override
    public Invariants invariants() throws Unavailable {
        return transactions.<Invariants, RuntimeException>run(connection -> {
            execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"); // one moment for all statements
            execute(connection, "SET LOCAL statement_timeout = '60s'");
            Map<String, Long> sums = new TreeMap<>();
            try (PreparedStatement select = connection.prepareStatement(
                "SELECT a.currency, coalesce(sum(p.amount), 0) FROM accounts a LEFT JOIN postings p ON p.account = a.id GROUP BY a.currency");
                ResultSet rows = select.executeQuery()) {
                while (rows.next()) {
                    sums.put(rows.getString(1), rows.getBigDecimal(2).longValueExact());
                }
            }
            List<String> violations = new ArrayList<>();
            sums.forEach((currency, sum) -> {
                if (sum != 0) {
                    violations.add("the postings in " + currency + " sum to " + sum);
                }
            });
            collect(connection, violations, "SELECT 'account ' || id || ': its balance or count is not that of its postings' FROM accounts a"
                + " LEFT JOIN (SELECT account, sum(amount) AS total, count(*) AS n, max(sequence) AS last FROM postings GROUP BY account) p ON p.account = a.id"
                + " WHERE a.balance <> coalesce(p.total, 0) OR a.postings <> coalesce(p.n, 0) OR a.postings <> coalesce(p.last, 0) LIMIT 10");
            collect(connection, violations, "SELECT 'account ' || id || ': overdrawn' FROM accounts WHERE balance < 0 AND NOT allow_overdraft LIMIT 10");
            collect(connection, violations, "SELECT 'transfer ' || t.id || ': not just two postings that sum to zero' FROM transfers t"
                + " LEFT JOIN (SELECT transfer, sum(amount) AS total, count(*) AS n FROM postings GROUP BY transfer) p ON p.transfer = t.id"
                + " WHERE p.n IS DISTINCT FROM 2 OR p.total <> 0 LIMIT 10");
            return new Invariants(sums, count(connection, "accounts"), count(connection, "transfers"), count(connection, "postings"), List.copyOf(violations));
        });
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.execute();
        }
    }

    private static void collect(Connection connection, List<String> into, String sql) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(sql); ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                into.add(rows.getString(1));
            }
        }
    }

    private static long count(Connection connection, String table) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT count(*) FROM " + table); ResultSet row = select.executeQuery()) {
            row.next();
            return row.getLong(1);
        }
    }

    private static Optional<Transfer> find(Connection connection, String id) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
            "SELECT id, debit, credit, amount, currency, reference, posted_at FROM transfers WHERE id = ?")) {
            select.setString(1, id);
            try (ResultSet row = select.executeQuery()) {
                if (!row.next()) {
                    return Optional.empty();
                }
                return Optional.of(new Transfer(new Transfer.Order(row.getString("id"), row.getString("debit"), row.getString("credit"),
                    row.getLong("amount"), row.getString("currency"), row.getString("reference")), time(row, "posted_at")));
            }
        }
    }

    private static Account existing(Connection connection, String id) throws SQLException, Refusal {
        try (PreparedStatement select = connection.prepareStatement(ACCOUNT + " WHERE id = ?")) {
            select.setString(1, id);
            try (ResultSet row = select.executeQuery()) {
                if (row.next()) {
                    return account(row);
                }
            }
        }
        throw new Refusal(Code.NO_SUCH_ACCOUNT, "there is no account " + id);
    }

    private static Account account(ResultSet row) throws SQLException {
        return new Account(row.getString("id"), row.getString("currency"), row.getBoolean("allow_overdraft"), row.getLong("balance"),
            row.getLong("postings"), time(row, "opened_at"));
    }

    private static Instant time(ResultSet row, String column) throws SQLException {
        return row.getObject(column, OffsetDateTime.class).toInstant();
    }
}
