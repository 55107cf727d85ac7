"""The service's HTTP interface."""

import json
import re
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bank.statements import formats, metrics
from bank.statements.ledger import Ledger, LedgerError, LedgerRefusal
from bank.statements.period import PeriodError, parse_period, utc_now
from bank.statements.statement import MAX_ENTRIES, TITLE, TooManyEntries, make_statement

_STATEMENT = re.compile(r"/accounts/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/statement", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PROBES = ("/livez", "/readyz", "/metrics")


def log(level: str, message: str, **fields: Any) -> None:
    """Writes one JSON object to a line of standard output."""
    line = {"time": datetime.now(timezone.utc).isoformat(), "level": level, "msg": message, "service": "statements", **fields}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Answer:
    """What a request is answered with. `route` is the pattern that the path fitted, for metrics."""

    route: str
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class App:
    """The interface without the sockets: a request in, an answer out."""

    def __init__(self, ledger: Ledger) -> None:
        self.metrics = metrics.RequestMetrics("statements")
        self.draining = False
        self._ledger = ledger

    def answer(self, method: str, target: str, request_id: str) -> Answer:
        """Answers one request; whatever goes wrong is an answer too."""
        parts = urlsplit(target)
        statement = _STATEMENT.fullmatch(parts.path)
        route = "/accounts/{id}/statement" if statement else parts.path if parts.path in (*_PROBES, "/version") else "none"
        if route == "none":
            return problem(route, 404, "no-such-path", "No such path", "", request_id)
        if method != "GET":
            return problem(route, 405, "method-not-allowed", "Method not allowed", "Here is GET.", request_id, ("Allow", "GET"))
        if statement:
            return self._statement(route, statement[1], parts.query, request_id)
        if route == "/readyz" and self.draining:
            return _json(route, 503, {"ready": False, "reason": "shutting down"})
        if route == "/readyz":
            return _json(route, 200, {"ready": True})
        if route == "/metrics":
            return Answer(route, 200, metrics.CONTENT_TYPE, self.metrics.text().encode())
        if route == "/version":
            return _json(route, 200, {"service": "statements", "title": TITLE})
        return _json(route, 200, {"live": True})

    def _statement(self, route: str, account: str, raw_query: str, request_id: str) -> Answer:
        try:
            query = _parse_query(raw_query)
            kind = query.get("format", "json")
            if kind not in ("json", "csv"):
                raise PeriodError("format must be json or csv")
            statement = make_statement(self._ledger, account, parse_period(query.get("from"), query.get("until"), utc_now()), request_id)
        except PeriodError as error:
            return problem(route, 400, "invalid-request", "The request is not valid", str(error), request_id)
        except TooManyEntries:
            detail = f"At most {MAX_ENTRIES} entries: ask for a shorter time with from and until."
            return problem(route, 422, "statement-too-long", "The statement would be too long", detail, request_id)
        except LedgerRefusal as refusal:
            return Answer(route, refusal.status, "application/problem+json", json.dumps(refusal.problem).encode())
        except LedgerError as error:
            log("ERROR", "no statement", requestId=request_id, account=account, error=str(error))
            detail = "The ledger did not answer as it should. Try again."
            return problem(route, 503, "ledger-unavailable", "The ledger is not available", detail, request_id, ("Retry-After", "1"))
        if kind == "csv":
            name = ("Content-Disposition", f'attachment; filename="statement-{account.replace(":", "_")}.csv"')
            return Answer(route, 200, "text/csv; charset=utf-8; header=present", formats.to_csv(statement), (name,))
        return Answer(route, 200, "application/json", formats.to_json(statement))


def _parse_query(raw: str) -> dict[str, str]:
    # A plus is meant as such in a time's offset.
    try:
        pairs = parse_qsl(raw.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True, errors="strict") if raw else []
    except ValueError:
        raise PeriodError("the query must be of the form name=value&name=value") from None
    query: dict[str, str] = {}
    for name, value in pairs:
        if name not in ("from", "until", "format"):
            raise PeriodError("known query parameters are from, until and format")
        if name in query:
            raise PeriodError(f"{name} comes twice")
        query[name] = value
    return query


def problem(route: str, status: int, word: str, title: str, detail: str, request_id: str, *headers: tuple[str, str]) -> Answer:
    """Problem details, RFC 9457."""
    body = {"type": f"/problems/{word}", "title": title, "status": status, "detail": detail, "requestId": request_id}
    return Answer(route, status, "application/problem+json", (json.dumps(body) + "\n").encode(), headers)


def _json(route: str, status: int, body: dict[str, Any]) -> Answer:
    return Answer(route, status, "application/json", (json.dumps(body) + "\n").encode())


class Server(ThreadingHTTPServer):
    """Serves an App, and ends without losing a request."""

    daemon_threads = True  # a client that keeps its connection open must not keep the process alive
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], app: App) -> None:
        self.app = app
        self._quiet = threading.Condition()
        self._under_way = 0
        super().__init__(address, _Handler)

    def begin(self) -> None:
        with self._quiet:
            self._under_way += 1

    def end(self) -> None:
        with self._quiet:
            self._under_way -= 1
            self._quiet.notify_all()

    def wait_until_quiet(self, seconds: float) -> bool:
        """Waits for requests that are under way; False when some still are."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self._under_way == 0, timeout=seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hung up; anything else is answered with 500 and logged where it happens.
        log("INFO", "connection ended", remote=str(client_address[0]), error=repr(sys.exc_info()[1]))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75  # seconds that a connection may rest: longer than the gateway keeps one
    wbufsize = -1  # header and body in one packet
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _serve(self) -> None:
        begun = time.perf_counter()
        self.server.begin()
        try:
            sent = self.headers.get_all("X-Request-Id") or []
            request_id = sent[0] if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]) else secrets.token_hex(16)
            try:
                answer = self.server.app.answer(self.command, self.path, request_id)
            except Exception as error:  # noqa: BLE001  the last line of defence
                log("ERROR", "a mistake in the program", requestId=request_id, error=repr(error))
                answer = problem("none", 500, "internal", "A mistake in the service", "It was logged under the request's id.", request_id)
            if self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
                self.close_connection = True  # nothing here takes a body: what follows would be read as the next request
            self._send(answer, request_id)
            seconds = time.perf_counter() - begun
            method = self.command if self.command in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS") else "other"
            self.server.app.metrics.observe(answer.route, method, answer.status, seconds)
            if answer.route not in _PROBES:
                path = urlsplit(self.path).path
                log("INFO", "request", requestId=request_id, method=self.command, path=path, status=answer.status, seconds=round(seconds, 6))
        finally:
            self.server.end()

    def _send(self, answer: Answer, request_id: str) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Request-Id", request_id)
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.server.app.draining or self.close_connection:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve

    def version_string(self) -> str:
        return "statements"

    def log_message(self, format: str, *arguments: Any) -> None:
        # Called for requests that are not even HTTP.
        log("WARN", "not a request", remote=self.client_address[0], error=format % arguments)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass  # _serve logs
