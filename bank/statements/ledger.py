"""Asks the ledger for an account's postings."""

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bank.statements.period import Period, format_time

_PAGE = 500
_PATIENCE_SECONDS = 6.0
_TRY_SECONDS = 5.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024


class LedgerError(Exception):
    """The ledger cannot be reached, or its answer makes no sense."""


class LedgerRefusal(Exception):
    """The ledger's own refusal, to be passed on: its status and the members of its problem details."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", problem.get("title", status))))
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Account:
    id: str
    currency: str


@dataclass(frozen=True)
class Posting:
    """One line of an account. Amounts are in minor units."""

    sequence: int
    transfer: str
    counterparty: str
    amount: int
    balance: int
    reference: str
    posted_at: str


class Ledger:
    """A client of the ledger. Every call only reads, so it is repeated when the connection fails."""

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
            raise ValueError(f"{url!r} must be http:// with a host and a port alone")
        self._host, self._port = parts.hostname, parts.port or 80
        self._sleep = sleep

    def postings(self, account: str, period: Period, request_id: str) -> tuple[Account, Iterator[Posting]]:
        """The account and its postings of the period in order, page by page as they are taken.

        Raises LedgerError and LedgerRefusal, also while the postings are taken.
        """
        query = {"limit": str(_PAGE), "until": format_time(period.end)}
        if period.start is not None:
            query["from"] = format_time(period.start)
        path = f"/accounts/{quote(account, safe='')}/postings"
        first = self._get(path, query, request_id)
        try:
            details = Account(id=_text(first["account"], "id"), currency=_text(first["account"], "currency"))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"the ledger's answer lacks the account: {error}") from error

        def pages() -> Iterator[Posting]:
            page = first
            while True:
                yield from _read_postings(page)
                cursor = page.get("next")
                if cursor is None:
                    return
                if not _is_integer(cursor):
                    raise LedgerError("the ledger's cursor is not a number")
                page = self._get(path, {**query, "after": str(cursor)}, request_id)

        return details, pages()

    def balance_at(self, account: str, moment: datetime, request_id: str) -> int:
        """The balance from postings before the moment, in minor units."""
        answer = self._get(f"/accounts/{quote(account, safe='')}/balance", {"at": format_time(moment)}, request_id)
        try:
            return _integer(answer, "balance")
        except (KeyError, ValueError) as error:
            raise LedgerError(f"the ledger's answer lacks the balance: {error}") from error

    def _get(self, path: str, query: dict[str, str], request_id: str) -> dict[str, Any]:
        target = f"{path}?{urlencode(query)}"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        pause = 0.02
        while True:
            try:
                return self._try(target, request_id)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() + pause >= deadline:
                    raise LedgerError(f"the ledger cannot be reached: {error}") from error
                self._sleep(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, 0.5)

    def _try(self, target: str, request_id: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TRY_SECONDS)
        try:
            connection.request("GET", target, headers={"X-Request-Id": request_id, "Accept": "application/json", "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(_MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if len(body) > _MAX_ANSWER_BYTES:
            raise LedgerError("the ledger's answer is too long")
        try:
            parsed = json.loads(body)
        except ValueError as error:
            raise LedgerError(f"the ledger's answer with status {answer.status} is not JSON") from error
        if not isinstance(parsed, dict):
            raise LedgerError("the ledger's answer is not an object")
        if answer.status == 200:
            return parsed
        if 400 <= answer.status < 500:
            raise LedgerRefusal(answer.status, parsed)
        raise LedgerError(f"the ledger answered {answer.status}: {parsed.get('title')}")


def _read_postings(page: dict[str, Any]) -> list[Posting]:
    try:
        return [
            Posting(
                sequence=_integer(item, "sequence"),
                transfer=_text(item, "transfer"),
                counterparty=_text(item, "counterparty"),
                amount=_integer(item, "amount"),
                balance=_integer(item, "balance"),
                reference=_text(item, "reference"),
                posted_at=_text(item, "postedAt"),
            )
            for item in page["postings"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the ledger's postings are not as expected: {error}") from error


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(item: dict[str, Any], name: str) -> int:
    if not _is_integer(item[name]):
        raise ValueError(f"{name} is not an integer")
    value: int = item[name]
    return value


def _text(item: dict[str, Any], name: str) -> str:
    if not isinstance(item[name], str):
        raise ValueError(f"{name} is not a string")
    value: str = item[name]
    return value
