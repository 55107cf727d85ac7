package bank.ledger.store;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * A fixed number of database connections for whoever needs one just now. A connection that broke is thrown away, and
 * with it every idle one: when the database was restarted, all of them are dead.
 */
public final class ConnectionPool implements AutoCloseable {
    /** Opens a connection. */
    @FunctionalInterface
    public interface Source {
        Connection open() throws SQLException;
    }

    /** What is done with a connection. */
    @FunctionalInterface
    public interface Work<T, E extends Exception> {
        T with(Connection connection) throws SQLException, E;
    }

    /** A connection that rested for longer is asked whether it still lives before it is lent. */
    private static final long RESTED_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final int ALIVE_TIMEOUT_SECONDS = 1;

    private record Idle(Connection connection, long since) {}

    private final Source source;
    private final Semaphore permits;
    private final Duration wait;
    private final ArrayDeque<Idle> idle = new ArrayDeque<>();
    private boolean closed;

    /**
     * @param size how many connections at most
     * @param wait for how long to wait when all are lent
     */
    public ConnectionPool(Source source, int size, Duration wait) {
        this.source = source;
        this.permits = new Semaphore(size, true);
        this.wait = wait;
    }

    /**
     * Lends a connection. What was not committed when the work ends is rolled back.
     *
     * @throws SQLException the work's own; or, of class 08, when there is no connection to be had
     */
    public <T, E extends Exception> T lend(Work<T, E> work) throws SQLException, E {
        acquire();
        Connection connection = null;
        boolean sound = false;
        try {
            connection = take();
            T result = work.with(connection);
            sound = true;
            return result;
        } catch (SQLException error) {
            sound = !SqlStates.connectionIsLost(error);
            throw error;
        } catch (Exception refusal) {
            sound = true;
            throw refusal;
        } finally {
            if (connection != null) {
                giveBack(connection, sound);
            }
            permits.release();
        }
    }

    private void acquire() throws SQLException {
        try {
            if (permits.tryAcquire(wait.toMillis(), TimeUnit.MILLISECONDS)) {
                return;
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        throw new SQLTransientConnectionException("all database connections are in use", "08001");
    }

    private Connection take() throws SQLException {
        while (true) {
            Idle last;
            synchronized (this) {
                if (closed) {
                    throw new SQLTransientConnectionException("the connection pool is closed", "08003");
                }
                last = idle.pollLast(); // the one that rested least
            }
            if (last == null) {
                return source.open();
            }
            if (System.nanoTime() - last.since < RESTED_NANOS || last.connection.isValid(ALIVE_TIMEOUT_SECONDS)) {
                return last.connection;
            }
            dispose(last.connection);
        }
    }

    private void giveBack(Connection connection, boolean sound) {
        if (sound) {
            try {
                connection.rollback(); // nothing to do after a commit
                synchronized (this) {
                    if (!closed) {
                        idle.addLast(new Idle(connection, System.nanoTime()));
                        return;
                    }
                }
            } catch (SQLException broken) {
                // thrown away below
            }
        }
        dispose(connection);
        disposeIdle();
    }

    private void disposeIdle() {
        while (true) {
            Idle next;
            synchronized (this) {
                next = idle.pollFirst();
            }
            if (next == null) {
                return;
            }
            dispose(next.connection);
        }
    }

    private static void dispose(Connection connection) {
        try {
            connection.close();
        } catch (SQLException broken) {
            // it was broken: that is why it goes
        }
    }

    /** Closes the idle connections, and each lent one when it comes back. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
        }
        disposeIdle();
    }
}
