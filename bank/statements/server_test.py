import http.client
import json
import threading
import unittest
from collections.abc import Callable
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bank.statements.ledger import Ledger
from bank.statements.server import App, Server
from bank.statements.statement import TITLE

POSTINGS = [
    {"sequence": n, "transfer": f"t{n}", "counterparty": "cash", "amount": 10, "balance": 10 * n, "reference": "", "postedAt": "2026-01-02T03:04:05Z"}
    for n in range(1, 4)
]


class LedgerDouble(ThreadingHTTPServer):
    """A ledger that answers as the real one does, two postings a page, or as a test wants it to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ids: set[str] = set()
        self.misbehave: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
        super().__init__(("127.0.0.1", 0), _LedgerHandler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


class _LedgerHandler(BaseHTTPRequestHandler):
    server: LedgerDouble

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.ids.add(self.headers["X-Request-Id"])
        if self.server.misbehave(self):
            return
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path == "/accounts/alice/postings":
            after = int(query.get("after", ["0"])[0])
            page = POSTINGS[after : after + 2]
            more = after + 2 < len(POSTINGS)
            self.reply(200, {"account": {"id": "alice", "currency": "EUR"}, "postings": page, "next": page[-1]["sequence"] if more else None})
        elif parts.path == "/accounts/quiet/postings":
            self.reply(200, {"account": {"id": "quiet", "currency": "EUR"}, "postings": [], "next": None})
        elif parts.path == "/accounts/quiet/balance":
            self.reply(200, {"account": "quiet", "balance": 7})
        else:
            self.reply(404, {"type": "/problems/no-such-account", "title": "No such account", "status": 404})

    def reply(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: Any) -> None:
        pass


class ServerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log = StringIO()
        silence = redirect_stdout(self.log)
        silence.__enter__()
        self.addCleanup(silence.__exit__, None, None, None)
        self.ledger = LedgerDouble()
        self.addCleanup(self.ledger.server_close)
        self.addCleanup(self.ledger.shutdown)
        self.app = App(Ledger(f"http://127.0.0.1:{self.ledger.server_port}", sleep=lambda seconds: None))
        self.server = Server(("127.0.0.1", 0), self.app)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        self.addCleanup(self.connection.close)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        self.connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.connection.getresponse()
        return answer, answer.read()

    def refused(self, status: int, word: str, path: str, method: str = "GET") -> None:
        answer, body = self.ask(path, method)
        problem = json.loads(body)
        self.assertEqual((answer.status, problem["type"]), (status, f"/problems/{word}"), body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")

    def test_a_statement_takes_all_pages(self) -> None:
        answer, body = self.ask("/accounts/alice/statement?from=2026-01-01&until=2026-02-01", X_Request_Id="r-5")
        statement = json.loads(body)
        self.assertEqual(answer.status, 200)
        self.assertEqual(statement["title"], TITLE)
        self.assertEqual([entry["sequence"] for entry in statement["entries"]], [1, 2, 3])
        self.assertEqual((statement["openingBalance"], statement["closingBalance"]), (0, 30))
        self.assertEqual(answer.headers["X-Request-Id"], "r-5")
        self.assertEqual(self.ledger.ids, {"r-5"})
        self.assertEqual(parse_qs(urlsplit(self.ledger.asked[1]).query)["after"], ["2"])
        self.assertEqual(parse_qs(urlsplit(self.ledger.asked[0]).query)["from"], ["2026-01-01T00:00:00Z"])

    def test_a_statement_without_entries(self) -> None:
        statement = json.loads(self.ask("/accounts/quiet/statement")[1])
        self.assertEqual((statement["openingBalance"], statement["closingBalance"], statement["entries"]), (7, 7, []))

    def test_csv(self) -> None:
        answer, body = self.ask("/accounts/alice/statement?format=csv")
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8; header=present")
        self.assertEqual(answer.headers["Content-Disposition"], 'attachment; filename="statement-alice.csv"')
        self.assertTrue(body.decode().startswith(f"{TITLE},alice,EUR,"))
        self.assertEqual(body.count(b"\r\n"), 7)

    def test_refusals(self) -> None:
        self.refused(404, "no-such-account", "/accounts/nobody/statement")
        self.refused(404, "no-such-path", "/")
        self.refused(404, "no-such-path", "/accounts/../statement")
        self.refused(405, "method-not-allowed", "/accounts/alice/statement", "DELETE")
        for query in ("from=tomorrow", "format=xml", "form=2026-01-01", "from=2026-01-01&from=2026-01-01", "from", "from=%ff"):
            self.refused(400, "invalid-request", f"/accounts/alice/statement?{query}")

    def test_asks_again_when_the_ledger_breaks_off(self) -> None:
        failures = iter([True, True])

        def hang_up(handler: BaseHTTPRequestHandler) -> bool:
            return next(failures, False)

        self.ledger.misbehave = hang_up
        self.assertEqual(self.ask("/accounts/alice/statement")[0].status, 200)
        self.assertEqual(len(self.ledger.asked), 4)

    def test_a_ledger_that_is_not_well_is_503(self) -> None:
        def reply(body: bytes, status: int = 200) -> Callable[[Any], bool]:
            def misbehave(handler: Any) -> bool:
                handler.send_response(status)
                handler.end_headers()
                handler.wfile.write(body)
                return True

            return misbehave

        for body in (b"<html>", b"[]", b"{}", b'{"account":{"id":"a","currency":"EUR"},"postings":[{"sequence":1.0}],"next":null}'):
            self.ledger.misbehave = reply(body)
            self.refused(503, "ledger-unavailable", "/accounts/alice/statement")
        self.ledger.misbehave = reply(b'{"title":"The database does not answer"}', 503)
        self.refused(503, "ledger-unavailable", "/accounts/alice/statement")

    def test_a_body_does_not_become_the_next_request(self) -> None:
        self.connection.request("GET", "/version", body=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = self.connection.getresponse()
        answer.read()
        self.assertEqual(answer.headers["Connection"], "close")

    def test_draining_turns_unready_but_serves(self) -> None:
        self.assertEqual(self.ask("/readyz")[0].status, 200)
        self.app.draining = True
        self.assertEqual(self.ask("/readyz")[0].status, 503)
        answer, _ = self.ask("/accounts/alice/statement")
        self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
        self.assertEqual(self.ask("/livez")[0].status, 200)

    def test_waits_for_what_is_under_way(self) -> None:
        self.assertTrue(self.server.wait_until_quiet(0))
        self.server.begin()
        self.assertFalse(self.server.wait_until_quiet(0.02))
        threading.Timer(0.02, self.server.end).start()
        self.assertTrue(self.server.wait_until_quiet(5))

    def test_counts_and_logs(self) -> None:
        self.ask("/accounts/alice/statement", X_Request_Id="r-6")
        text = self.ask("/metrics")[1].decode()
        self.assertIn('statements_requests_total{route="/accounts/{id}/statement",method="GET",status="200"} 1\n', text)
        entry = json.loads(self.log.getvalue().splitlines()[0])
        self.assertEqual((entry["requestId"], entry["status"], entry["path"]), ("r-6", 200, "/accounts/alice/statement"))


if __name__ == "__main__":
    unittest.main()
