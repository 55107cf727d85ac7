package bank.ledger.http;

import bank.ledger.log.Log;
import bank.ledger.metrics.Metrics;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

/** Puts an {@link Api} at a socket, and takes it away again without losing a request. */
public final class Server {
    /** The longest order, with every field at its bound and escaped, is below 4 KiB. */
    private static final int MAX_BODY_BYTES = 16 * 1024;
    /** Requests that are worked on at a time. More are turned away at once, with the advice to come back. */
    private static final int MAX_UNDER_WAY = 24;
    /** Some more, so that probes and scrapes are answered however busy the ledger is. */
    private static final int THREADS = MAX_UNDER_WAY + 8;
    private static final int BACKLOG = 256;
    private static final Pattern REQUEST_ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    static {
        // Read once, when the JDK's server is first used. The answer's header and body are two writes: without
        // nodelay, the second waits 40 ms for the client's acknowledgement of the first.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        System.setProperty("sun.net.httpserver.maxReqTime", "10"); // seconds for a request to come whole
        System.setProperty("sun.net.httpserver.maxRspTime", "30"); // seconds for its answer to be taken
        System.setProperty("sun.net.httpserver.idleInterval", "60"); // seconds; longer than the gateway keeps a connection
        System.setProperty("sun.net.httpserver.maxIdleConnections", "512");
    }

    private final HttpServer server;
    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private final Semaphore room = new Semaphore(MAX_UNDER_WAY);
    private final AtomicInteger underWay = new AtomicInteger();
    private final Api api;
    private final Log log;
    private final Metrics.Counter requests;
    private final Metrics.Histogram seconds;
    private volatile boolean draining;

    /**
     * Begins to listen.
     *
     * @throws IOException when the address is taken or is not this machine's
     */
    public Server(InetSocketAddress address, Api api, Metrics metrics, Log log) throws IOException {
        this.api = api;
        this.log = log;
        requests = metrics.counter("ledger_requests_total", "Requests answered, by route, method and status.", "route", "method", "status");
        seconds = metrics.seconds("ledger_request_duration_seconds", "Seconds from a request's header to its answer's last byte.", "route");
        metrics.gauge("ledger_requests_under_way", "Requests that are being answered now.", underWay::get);
        server = HttpServer.create(address, BACKLOG);
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
    }

    /** Where it listens: of use when port 0 was asked for. */
    public InetSocketAddress address() {
        return server.getAddress();
    }

    /** From now on each answer asks its client to connect anew, elsewhere. */
    public void drain() {
        draining = true;
    }

    /** Stops, after waiting for requests that are under way. */
    public void stop(Duration grace) throws InterruptedException {
        long end = System.nanoTime() + grace.toNanos();
        while (underWay.get() > 0 && System.nanoTime() < end) {
            Thread.sleep(10);
        }
        if (underWay.get() > 0) {
            log.warn("requests cut off", "requests", underWay.get());
        }
        server.stop(0);
        threads.shutdownNow();
        threads.awaitTermination(1, TimeUnit.SECONDS);
    }

    private void handle(HttpExchange exchange) {
        long begun = System.nanoTime();
        underWay.incrementAndGet();
        String method = exchange.getRequestMethod();
        String requestId = requestId(exchange);
        try {
            Answer answer = answer(exchange, requestId);
            send(exchange, answer, requestId);
            long nanos = System.nanoTime() - begun;
            requests.increment(answer.route(), knownMethod(method), Integer.toString(answer.status()));
            seconds.observeNanos(nanos, answer.route());
            if (!answer.route().equals("/livez") && !answer.route().equals("/readyz") && !answer.route().equals("/metrics")) {
                log.info("request", "requestId", requestId, "method", method, "path", exchange.getRequestURI().getRawPath(), "status", answer.status(), "micros", nanos / 1000);
            }
        } catch (IOException hungUp) {
            log.info("the client hung up", "requestId", requestId, "error", hungUp);
        } finally {
            exchange.close();
            underWay.decrementAndGet();
        }
    }

    private Answer answer(HttpExchange exchange, String requestId) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY_BYTES + 1);
        if (body.length > MAX_BODY_BYTES) {
            return Answer.problem("none", 413, "body-too-large", "The body is too large", "At most " + MAX_BODY_BYTES + " bytes.", requestId).with("Connection", "close");
        }
        Api.Request request = new Api.Request(exchange.getRequestMethod(), exchange.getRequestURI().getRawPath(), exchange.getRequestURI().getRawQuery(), body, requestId);
        if (request.path().equals("/livez") || request.path().equals("/readyz") || request.path().equals("/metrics")) {
            return api.answer(request);
        }
        if (!room.tryAcquire()) {
            return Answer.problem("none", 503, "busy", "Too many requests at a time", "Nothing was done; try again.", requestId).with("Retry-After", "1");
        }
        try {
            return api.answer(request);
        } finally {
            room.release();
        }
    }

    private void send(HttpExchange exchange, Answer answer, String requestId) throws IOException {
        var headers = exchange.getResponseHeaders();
        headers.set("Content-Type", answer.contentType());
        headers.set("Cache-Control", "no-store");
        headers.set("X-Request-Id", requestId);
        answer.headers().forEach(headers::set);
        if (draining) {
            headers.set("Connection", "close");
        }
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(answer.status(), head ? -1 : answer.body().length);
        if (!head) {
            exchange.getResponseBody().write(answer.body());
        }
    }

    private static String requestId(HttpExchange exchange) {
        String sent = exchange.getRequestHeaders().getFirst("X-Request-Id");
        return sent != null && REQUEST_ID.matcher(sent).matches() ? sent : UUID.randomUUID().toString();
    }

    /** A client can make up methods without end; a metric's series must not follow. */
    private static String knownMethod(String method) {
        return switch (method) {
            case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" -> method;
            default -> "other";
        };
    }
}
