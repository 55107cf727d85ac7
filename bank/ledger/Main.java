package bank.ledger;

import bank.ledger.http.Api;
import bank.ledger.http.Server;
import bank.ledger.log.Log;
import bank.ledger.metrics.Metrics;
import bank.ledger.store.ConnectionPool;
import bank.ledger.store.Migrations;
import bank.ledger.store.PostgresLedger;
import bank.ledger.store.Transactions;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.security.Security;
import java.time.Duration;
import java.util.Optional;

/** Starts the ledger, and ends it at SIGTERM without losing a request. */
public final class Main {
    /** For how long a request waits for a database that is restarting. The gateway's own patience is longer. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);
    private static final Duration WAIT_FOR_CONNECTION = Duration.ofSeconds(2);

    private Main() {}

    public static void main(String[] arguments) {
        Log log = new Log(System.out);
        // In seconds. Java holds on to an address for 30 s, and to the lack of one for 10 s: a database that has just
        // come, or come back elsewhere, would be away for longer than it is.
        Security.setProperty("networkaddress.cache.ttl", "2");
        Security.setProperty("networkaddress.cache.negative.ttl", "0");
        try {
            run(Settings.read(System.getenv()), log);
        } catch (Settings.Wrong | IOException | RuntimeException error) {
            log.error("cannot start", "error", error);
            System.exit(1);
        }
    }

    private static void run(Settings settings, Log log) throws IOException {
        Metrics metrics = new Metrics();
        Database database = new Database(settings, log);
        ConnectionPool pool = new ConnectionPool(database, settings.databaseConnections(), WAIT_FOR_CONNECTION);
        Metrics.Counter retries = metrics.counter("ledger_transaction_retries_total", "Transactions that were run again.");
        addProcess(metrics, database);
        Stopping stopping = new Stopping();
        Api api = new Api(new PostgresLedger(new Transactions(pool, PATIENCE, retries::increment)),
            () -> stopping.begun ? Optional.of("shutting down") : database.away(), metrics, log);
        Server server = new Server(settings.listen(), api, metrics, log);
        log.info("serving", "address", server.address().toString());

        Thread watch = new Thread(() -> {
            try {
                database.watch();
            } catch (Migrations.Mismatch mismatch) {
                log.error("the database does not fit this version", "error", mismatch);
                Runtime.getRuntime().halt(1); // nothing is under way: without its tables the ledger never was ready
            }
        }, "database-watch");
        watch.setDaemon(true);
        watch.start();

        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping.begun = true;
            server.drain();
            log.info("draining", "millis", settings.drain().toMillis());
            try {
                Thread.sleep(settings.drain().toMillis());
                server.stop(settings.grace());
            } catch (InterruptedException hurried) {
                log.warn("stopped in a hurry");
            }
            watch.interrupt();
            pool.close();
            log.info("stopped");
            // After SIGTERM, which is how it is meant to end, the JVM would end with 143.
            Runtime.getRuntime().halt(0);
        }, "shutdown"));
    }

    private static final class Stopping {
        volatile boolean begun;
    }

    private static void addProcess(Metrics metrics, Database database) {
        double started = ManagementFactory.getRuntimeMXBean().getStartTime() / 1000.0;
        metrics.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", () -> started);
        metrics.gauge("jvm_memory_used_bytes", "Bytes of heap in use.", () -> ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
        metrics.gauge("jvm_threads", "Threads that exist now.", () -> ManagementFactory.getThreadMXBean().getThreadCount());
        metrics.gauge("ledger_database_up", "Whether the database answers: 1 or 0.", () -> database.away().isEmpty() ? 1 : 0);
    }
}
