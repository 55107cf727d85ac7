package bank.ledger.store;

import bank.ledger.domain.Ledger.Unavailable;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Runs work as one transaction, and again where the database went away or two transactions collided. A connection that
 * breaks during the commit leaves open whether the work was done: so the work must find out for itself what an earlier
 * run of it did.
 */
public final class Transactions {
    private static final long FIRST_PAUSE_MILLIS = 10;
    private static final long LONGEST_PAUSE_MILLIS = 250;

    private final ConnectionPool pool;
    private final Duration patience;
    private final Runnable onRetry;

    /**
     * @param patience for how long to try
     * @param onRetry told of each further run
     */
    public Transactions(ConnectionPool pool, Duration patience, Runnable onRetry) {
        this.pool = pool;
        this.patience = patience;
        this.onRetry = onRetry;
    }

    /**
     * Runs the work and commits.
     *
     * @throws Unavailable when the database did not answer within the patience
     * @throws E the work's own refusal; nothing was changed
     * @throws IllegalStateException for a statement that is wrong, or a constraint that the work should have kept
     */
    public <T, E extends Exception> T run(ConnectionPool.Work<T, E> work) throws Unavailable, E {
        long end = System.nanoTime() + patience.toNanos();
        for (int run = 1; ; run++) {
            try {
                return pool.lend(connection -> {
                    T result = work.with(connection);
                    connection.commit();
                    return result;
                });
            } catch (SQLException error) {
                long pause = pauseMillis(run);
                if (!SqlStates.mayPass(error)) {
                    throw new IllegalStateException("the database refused a statement: " + error.getMessage(), error);
                }
                if (System.nanoTime() + pause * 1_000_000 >= end) {
                    throw new Unavailable(SqlStates.databaseIsAway(error) ? "the database does not answer" : "the account is too busy", error);
                }
                onRetry.run();
                sleep(pause);
            }
        }
    }

    /** Grows up to a bound, with half of it by chance so that those who collided do not collide again. */
    private static long pauseMillis(int run) {
        long longest = Math.min(FIRST_PAUSE_MILLIS << Math.min(run - 1, 10), LONGEST_PAUSE_MILLIS);
        return longest / 2 + ThreadLocalRandom.current().nextLong(longest / 2 + 1);
    }

    private static void sleep(long millis) throws Unavailable {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new Unavailable("shutting down", interrupted);
        }
    }
}
