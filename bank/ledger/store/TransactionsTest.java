package bank.ledger.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import bank.ledger.domain.Ledger.Unavailable;
import bank.ledger.domain.Refusal;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The pool and the retries, with connections that only note what is done with them. */
class TransactionsTest {
    private final List<Noted> opened = new ArrayList<>();

    private static final class Noted {
        final List<String> calls = new ArrayList<>();
        boolean valid = true;
        SQLException onCommit;

        Connection connection() {
            return (Connection) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {Connection.class}, (proxy, method, arguments) -> {
                calls.add(method.getName());
                if (method.getName().equals("commit") && onCommit != null) {
                    SQLException error = onCommit;
                    onCommit = null;
                    throw error;
                }
                return method.getReturnType() == boolean.class ? valid : null;
            });
        }
    }

    private synchronized Connection open() {
        Noted noted = new Noted();
        opened.add(noted);
        return noted.connection();
    }

    private final AtomicInteger retries = new AtomicInteger();

    private Transactions transactions(Duration patience) {
        return new Transactions(new ConnectionPool(this::open, 2, Duration.ofMillis(50)), patience, retries::incrementAndGet);
    }

    private static SQLException state(String state) {
        return new SQLException("told so by the test", state);
    }

    @Test
    void aConnectionIsUsedAgain() throws Exception {
        Transactions transactions = transactions(Duration.ofSeconds(1));
        assertEquals("a", transactions.<String, RuntimeException>run(connection -> "a"));
        assertEquals("b", transactions.<String, RuntimeException>run(connection -> "b"));
        assertEquals(1, opened.size());
        assertEquals(List.of("commit", "rollback", "commit", "rollback"), opened.get(0).calls);
    }

    @Test
    void aRefusalRollsBackAndKeepsTheConnection() throws Exception {
        Transactions transactions = transactions(Duration.ofSeconds(1));
        assertThrows(Refusal.class, () -> transactions.run(connection -> {
            throw new Refusal(Refusal.Code.NO_SUCH_ACCOUNT, "no");
        }));
        assertEquals(List.of("rollback"), opened.get(0).calls);
        transactions.<String, RuntimeException>run(connection -> "b");
        assertEquals(1, opened.size());
    }

    @Test
    void aLostConnectionIsThrownAwayAndTheWorkRunsAgain() throws Exception {
        Transactions transactions = transactions(Duration.ofSeconds(5));
        for (String lost : List.of("08006", "57P01", "25P03")) {
            int before = opened.size();
            AtomicInteger runs = new AtomicInteger();
            assertEquals("done", transactions.<String, RuntimeException>run(connection -> {
                if (runs.incrementAndGet() == 1) {
                    throw state(lost);
                }
                return "done";
            }));
            assertEquals(2, runs.get(), lost);
            assertTrue(opened.size() > before, "a new connection after " + lost);
        }
        assertTrue(opened.get(0).calls.contains("close"));
        assertEquals(3, retries.get());
    }

    @Test
    void aCommitOfUnknownOutcomeRunsTheWorkAgain() throws Exception {
        Transactions transactions = transactions(Duration.ofSeconds(5));
        AtomicInteger runs = new AtomicInteger();
        transactions.<String, RuntimeException>run(connection -> {
            if (runs.incrementAndGet() == 1) {
                opened.get(0).onCommit = state("08006");
            }
            return "done";
        });
        assertEquals(2, runs.get());
    }

    @Test
    void collisionsRunAgainOnTheSameConnection() throws Exception {
        AtomicInteger runs = new AtomicInteger();
        transactions(Duration.ofSeconds(5)).<String, RuntimeException>run(connection -> {
            if (runs.incrementAndGet() <= 3) {
                throw state(runs.get() % 2 == 0 ? "40001" : "40P01");
            }
            return "done";
        });
        assertEquals(4, runs.get());
        assertEquals(1, opened.size());
    }

    @Test
    void patienceEnds() {
        long begun = System.nanoTime();
        assertThrows(Unavailable.class, () -> transactions(Duration.ofMillis(100)).run(connection -> {
            throw state("08001");
        }));
        assertTrue(System.nanoTime() - begun < 2_000_000_000L);
    }

    @Test
    void aWrongStatementIsNotTriedAgain() {
        AtomicInteger runs = new AtomicInteger();
        assertThrows(IllegalStateException.class, () -> transactions(Duration.ofSeconds(5)).run(connection -> {
            runs.incrementAndGet();
            throw state("42601");
        }));
        assertEquals(1, runs.get());
    }

    @Test
    void noMoreConnectionsThanAllowed() throws Exception {
        ConnectionPool pool = new ConnectionPool(this::open, 1, Duration.ofMillis(50));
        CountDownLatch lent = new CountDownLatch(1);
        CountDownLatch enough = new CountDownLatch(1);
        Thread holder = new Thread(() -> {
            try {
                pool.<String, RuntimeException>lend(connection -> {
                    lent.countDown();
                    try {
                        enough.await();
                    } catch (InterruptedException impossible) {
                        throw new IllegalStateException(impossible);
                    }
                    return "";
                });
            } catch (SQLException unexpected) {
                throw new IllegalStateException(unexpected);
            }
        });
        holder.start();
        lent.await();
        SQLException none = assertThrows(SQLException.class, () -> pool.<String, RuntimeException>lend(connection -> ""));
        assertTrue(none.getMessage().contains("in use"), none.getMessage());
        enough.countDown();
        holder.join();
        assertEquals("", pool.<String, RuntimeException>lend(connection -> ""));
        assertEquals(1, opened.size());
    }

    @Test
    void aConnectionThatDiedWhileItRestedIsNotLent() throws Exception {
        ConnectionPool pool = new ConnectionPool(this::open, 1, Duration.ofMillis(50));
        pool.<String, RuntimeException>lend(connection -> "");
        opened.get(0).valid = false;
        Thread.sleep(1100); // longer than a connection rests unasked
        pool.<String, RuntimeException>lend(connection -> "");
        assertEquals(2, opened.size());
        assertTrue(opened.get(0).calls.contains("close"));
    }

    @Test
    void aClosedPoolClosesEverything() throws Exception {
        ConnectionPool pool = new ConnectionPool(this::open, 1, Duration.ofMillis(50));
        pool.<String, RuntimeException>lend(connection -> "");
        pool.close();
        assertTrue(opened.get(0).calls.contains("close"));
        assertThrows(SQLException.class, () -> pool.<String, RuntimeException>lend(connection -> ""));
    }
}
