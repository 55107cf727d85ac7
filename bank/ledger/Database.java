package bank.ledger;

import bank.ledger.log.Log;
import bank.ledger.store.ConnectionPool;
import bank.ledger.store.Migrations;
import java.io.IOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/** The way to the database: opens connections, migrates at the start, and watches from then on whether it answers. */
final class Database implements ConnectionPool.Source {
    private static final long WATCH_MILLIS = 500;
    private static final int ANSWER_SECONDS = 1;

    private final Settings settings;
    private final Log log;
    private volatile boolean migrated;
    private volatile Optional<String> away = Optional.of("has not reached the database yet");

    Database(Settings settings, Log log) {
        this.settings = settings;
        this.log = log;
    }

    /** Why the database cannot be used now, or empty. */
    Optional<String> away() {
        return away;
    }

    /** The password is read each time, so that a new one counts without a restart. */
    @Override
    public Connection open() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", settings.databaseUser());
        try {
            properties.setProperty("password", Files.readString(settings.databasePasswordFile()).strip());
        } catch (IOException unreadable) {
            throw new SQLException("cannot read the database's password: " + unreadable, "28P01", unreadable);
        }
        properties.setProperty("ApplicationName", "ledger");
        properties.setProperty("connectTimeout", "2"); // seconds, as the two that follow
        properties.setProperty("loginTimeout", "3");
        properties.setProperty("socketTimeout", "65"); // only for a server that vanished without a word: longer than any statement may take
        properties.setProperty("tcpKeepAlive", "true");
        // A ledger that was cut off in the middle must not hold its locks for long.
        properties.setProperty("options", "-c statement_timeout=4s -c idle_in_transaction_session_timeout=5s -c tcp_user_timeout=10s");
        Connection connection = DriverManager.getConnection(settings.databaseUrl(), properties);
        try {
            connection.setAutoCommit(false);
            connection.setNetworkTimeout(Runnable::run, 5_000); // from now on statements end within 4 s
            return connection;
        } catch (SQLException error) {
            connection.close();
            throw error;
        }
    }

    /**
     * Migrates, waiting for the database as long as it takes, then watches it until the thread is interrupted.
     *
     * @throws Migrations.Mismatch when the database and the program do not belong together
     */
    void watch() throws Migrations.Mismatch {
        Connection connection = null;
        try {
            while (!Thread.currentThread().isInterrupted()) {
                try {
                    if (connection == null) {
                        connection = open();
                    }
                    if (!migrated) {
                        connection.setNetworkTimeout(Runnable::run, 65_000);
                        List<String> applied = Migrations.apply(connection, Migrations.all());
                        connection.setNetworkTimeout(Runnable::run, 5_000);
                        migrated = true;
                        log.info("migrated", "applied", applied);
                    }
                    if (!connection.isValid(ANSWER_SECONDS)) {
                        throw new SQLException("the database does not answer", "08006");
                    }
                    connection.rollback();
                    tell(Optional.empty());
                } catch (SQLException error) {
                    tell(Optional.of(error.getMessage()));
                    close(connection);
                    connection = null;
                }
                Thread.sleep(WATCH_MILLIS);
            }
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        } finally {
            close(connection);
        }
    }

    private void tell(Optional<String> now) {
        if (now.isPresent() && !now.equals(away)) {
            log.warn("the database is away", "reason", now.get());
        } else if (now.isEmpty() && away.isPresent()) {
            log.info("the database answers");
        }
        away = now;
    }

    private static void close(Connection connection) {
        if (connection != null) {
            try {
                connection.close();
            } catch (SQLException broken) {
                // it was broken: that is why it goes
            }
        }
    }
}
