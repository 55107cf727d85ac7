package bank.ledger.store;

import java.sql.SQLException;
import java.util.Set;

/** What PostgreSQL's error codes (its manual, appendix A) mean for what to do next. */
final class SqlStates {
    /** Two transactions got into each other's way; the same again will do. */
    private static final Set<String> COLLIDED = Set.of("40001", "40P01", "55P03");
    /** The server ends, starts, or ended this session. */
    private static final Set<String> SESSION_ENDED = Set.of("57P01", "57P02", "57P03", "57P05", "25P03", "25006");
    private static final String STATEMENT_TIMEOUT = "57014";

    private SqlStates() {}

    /** The connection is of no more use. */
    static boolean connectionIsLost(SQLException error) {
        String state = stateOf(error);
        return state.startsWith("08") || SESSION_ENDED.contains(state);
    }

    /** The same work may succeed a moment later. */
    static boolean mayPass(SQLException error) {
        String state = stateOf(error);
        return COLLIDED.contains(state) || connectionIsLost(error) || databaseIsAway(error);
    }

    /** The fault is with the database or the way to it, not with the statement. */
    static boolean databaseIsAway(SQLException error) {
        String state = stateOf(error);
        // 28 and 3D: the password or the database are not there yet, or are being changed; 53: no memory, disk, connections.
        return connectionIsLost(error) || state.equals(STATEMENT_TIMEOUT) || state.startsWith("53") || state.startsWith("28") || state.startsWith("3D");
    }

    private static String stateOf(SQLException error) {
        return error.getSQLState() == null ? "" : error.getSQLState();
    }
}
