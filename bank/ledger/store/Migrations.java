package bank.ledger.store;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Brings the database's tables to what this version of the program needs: each migration once, in a transaction of its
 * own, under a lock that keeps other processes out, and never backwards.
 *
 * Migrations that the database knows and this program does not are let be: they are of a later version, which was rolled
 * back, and whose migrations must leave this one working.
 */
public final class Migrations {
    /** In order; a file is never changed once it has been released. */
    private static final List<String> FILES = List.of("0001_ledger.sql");

    /** Any number that nothing else locks. */
    private static final long LOCK = 0x62616e6b_6c656467L; // "bankledg"

    /** One step. */
    public record Migration(int version, String name, String sql, String sha256) {}

    /** The database and the program do not belong together. Trying again does not help. */
    public static final class Mismatch extends Exception {
        private static final long serialVersionUID = 1L;

        Mismatch(String message) {
            super(message);
        }
    }

    private Migrations() {}

    /** The migrations of this program, in order. */
    public static List<Migration> all() {
        List<Migration> migrations = new ArrayList<>();
        for (String file : FILES) {
            String sql = read(file);
            migrations.add(new Migration(Integer.parseInt(file.substring(0, 4)), file, sql, sha256(sql)));
        }
        return List.copyOf(migrations);
    }

    /**
     * Applies what is missing.
     *
     * @param connection without auto-commit
     * @return the names of what was applied
     * @throws Mismatch when a migration was changed after it had been applied, or one is missing before a later one
     */
    public static List<String> apply(Connection connection, List<Migration> migrations) throws SQLException, Mismatch {
        List<String> applied = new ArrayList<>();
        for (Migration migration : migrations) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("SET LOCAL statement_timeout = '60s'");
                statement.execute("SET LOCAL lock_timeout = '30s'");
                statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
                statement.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
                    + " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())");
                if (isMissing(migration, known(statement))) {
                    statement.execute(migration.sql);
                    record(connection, migration);
                    applied.add(migration.name);
                }
                connection.commit();
            } catch (SQLException | Mismatch error) {
                connection.rollback();
                throw error;
            }
        }
        return applied;
    }

    private static boolean isMissing(Migration migration, TreeMap<Integer, Map.Entry<String, String>> known) throws Mismatch {
        Map.Entry<String, String> there = known.get(migration.version);
        if (there == null) {
            if (!known.tailMap(migration.version).isEmpty()) {
                throw new Mismatch("the migration " + migration.name + " was never applied, but a later one was: " + known.lastEntry().getValue().getKey());
            }
            return true;
        }
        if (!there.getValue().equals(migration.sha256)) {
            throw new Mismatch("the migration " + migration.name + " is not what was applied as " + there.getKey()
                + " (SHA-256 " + there.getValue() + "): put the file back as it was, and write a new migration");
        }
        return false;
    }

    private static TreeMap<Integer, Map.Entry<String, String>> known(Statement statement) throws SQLException {
        TreeMap<Integer, Map.Entry<String, String>> known = new TreeMap<>();
        try (ResultSet rows = statement.executeQuery("SELECT version, name, sha256 FROM schema_migrations")) {
            while (rows.next()) {
                known.put(rows.getInt(1), Map.entry(rows.getString(2), rows.getString(3)));
            }
        }
        return known;
    }

    private static void record(Connection connection, Migration migration) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO schema_migrations (version, name, sha256) VALUES (?, ?, ?)")) {
            insert.setInt(1, migration.version);
            insert.setString(2, migration.name);
            insert.setString(3, migration.sha256);
            insert.executeUpdate();
        }
    }

    private static String read(String file) {
        try (InputStream in = Migrations.class.getResourceAsStream("/bank/ledger/migrations/" + file)) {
            if (in == null) {
                throw new IllegalStateException("the migration " + file + " is not in the program");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException unreadable) {
            throw new IllegalStateException("the migration " + file + " cannot be read", unreadable);
        }
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java has SHA-256", impossible);
        }
    }
}
