package bank.ledger.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import bank.ledger.log.Log;
import bank.ledger.metrics.Metrics;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ServerTest {
    private final Metrics metrics = new Metrics();
    private final HttpClient client = HttpClient.newHttpClient();
    private CountDownLatch hold = new CountDownLatch(0);
    private final CountDownLatch reached = new CountDownLatch(1);
    private Server server;

    @BeforeEach
    void start() throws IOException {
        Log log = new Log(new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8));
        Api api = new Api(new MemoryLedger(), () -> {
            reached.countDown();
            try {
                hold.await(5, TimeUnit.SECONDS);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
            return Optional.empty();
        }, metrics, log);
        server = new Server(new InetSocketAddress("127.0.0.1", 0), api, metrics, log);
    }

    @AfterEach
    void stop() throws InterruptedException {
        server.stop(Duration.ZERO);
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.address().getPort() + path));
    }

    private HttpResponse<String> get(String path) throws Exception {
        return client.send(request(path).build(), HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void answersAndCounts() throws Exception {
        HttpResponse<String> answer = client.send(request("/accounts/alice").header("X-Request-Id", "r-9")
            .PUT(HttpRequest.BodyPublishers.ofString("{\"currency\":\"EUR\"}")).build(), HttpResponse.BodyHandlers.ofString());
        assertEquals(201, answer.statusCode());
        assertEquals("r-9", answer.headers().firstValue("X-Request-Id").orElseThrow());
        String text = get("/metrics").body();
        assertTrue(text.contains("ledger_requests_total{route=\"/accounts/{id}\",method=\"PUT\",status=\"201\"} 1\n"), text);
        assertTrue(text.contains("ledger_request_duration_seconds_count{route=\"/accounts/{id}\"} 1\n"), text);
    }

    @Test
    void aForgedRequestIdIsReplaced() throws Exception {
        String id = client.send(request("/version").header("X-Request-Id", "a b").build(), HttpResponse.BodyHandlers.ofString())
            .headers().firstValue("X-Request-Id").orElseThrow();
        assertTrue(id.matches("[0-9a-f-]{36}"), id);
    }

    @Test
    void aBodyThatIsTooLargeIsRefused() throws Exception {
        HttpResponse<String> answer = client.send(request("/transfers")
            .POST(HttpRequest.BodyPublishers.ofString(" ".repeat(16 * 1024 + 1))).build(), HttpResponse.BodyHandlers.ofString());
        assertEquals(413, answer.statusCode());
    }

    @Test
    void whileDrainingItServesAndAsksToConnectElsewhere() throws Exception {
        assertFalse(rawAnswer().contains("Connection: close"));
        server.drain();
        String answer = rawAnswer();
        assertTrue(answer.startsWith("HTTP/1.1 200") && answer.contains("Connection: close"), answer);
    }

    /** One answer over a connection of its own, up to where the server closes it or half a second has passed. */
    private String rawAnswer() throws IOException {
        try (Socket socket = new Socket("127.0.0.1", server.address().getPort())) {
            socket.setSoTimeout(500);
            socket.getOutputStream().write("GET /version HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            StringBuilder text = new StringBuilder();
            try {
                for (int c = socket.getInputStream().read(); c >= 0; c = socket.getInputStream().read()) {
                    text.append((char) c);
                }
            } catch (java.net.SocketTimeoutException keptOpen) {
                return text.toString();
            }
            return text.append("[closed]").toString();
        }
    }

    @Test
    void aRequestUnderWayIsFinishedBeforeTheEnd() throws Exception {
        hold = new CountDownLatch(1);
        CompletableFuture<HttpResponse<String>> answer = client.sendAsync(request("/readyz").build(), HttpResponse.BodyHandlers.ofString());
        assertTrue(reached.await(5, TimeUnit.SECONDS));
        CompletableFuture<Void> stopped = CompletableFuture.runAsync(() -> {
            try {
                server.stop(Duration.ofSeconds(5));
            } catch (InterruptedException impossible) {
                throw new IllegalStateException(impossible);
            }
        });
        Thread.sleep(50);
        assertFalse(stopped.isDone());
        hold.countDown();
        assertEquals(200, answer.get(5, TimeUnit.SECONDS).statusCode());
        stopped.get(5, TimeUnit.SECONDS);
        assertThrows(IOException.class, () -> get("/version"));
    }
}
