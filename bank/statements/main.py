"""Starts the service, and ends it at SIGTERM without losing a request."""

import os
import re
import signal
import sys
import threading
import time

from bank.statements.ledger import Ledger
from bank.statements.server import App, Server, log

_GRACE_SECONDS = 4.0


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(f"STATEMENTS_LISTEN: {text!r} is not host:port")
    return host or "0.0.0.0", int(port)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,2})s|(\d{1,5})ms", text, re.ASCII)
    if not match:
        raise ValueError(f"STATEMENTS_DRAIN: {text!r} is not a duration such as 3s or 500ms")
    return float(match[1]) if match[1] else int(match[2]) / 1000


def main() -> int:
    try:
        address = _address(os.environ.get("STATEMENTS_LISTEN", "0.0.0.0:8080"))
        drain = _seconds(os.environ.get("STATEMENTS_DRAIN", "3s"))
        app = App(Ledger(os.environ.get("STATEMENTS_LEDGER_URL", "")))
    except ValueError as error:
        log("ERROR", "wrong settings", error=str(error))
        return 1
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        server = Server(address, app)
    except OSError as error:
        log("ERROR", "cannot listen", address=f"{address[0]}:{address[1]}", error=str(error))
        return 1
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="accept", daemon=True).start()
    log("INFO", "serving", address=f"{server.server_address[0]}:{server.server_address[1]}")
    stop.wait()
    app.draining = True
    log("INFO", "draining", seconds=drain)
    time.sleep(drain)
    server.shutdown()
    if not server.wait_until_quiet(_GRACE_SECONDS):
        log("WARN", "requests cut off")
    log("INFO", "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
