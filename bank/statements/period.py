"""The time that a statement covers."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
_LATEST = datetime(3000, 1, 1, tzinfo=timezone.utc)


class PeriodError(ValueError):
    """A period that the client did not put right; the message is for the client."""


@dataclass(frozen=True)
class Period:
    """From `start`, or the account's opening where it is None, up to but without `end`. Both are in UTC."""

    start: datetime | None
    end: datetime


def parse_period(start: str | None, end: str | None, now: datetime) -> Period:
    """Reads the query's `from` and `until`: dates, or times of RFC 3339. A date means its first moment in UTC.

    Without `until` the period ends now. Raises PeriodError.
    """
    period = Period(
        start=None if start is None else _parse("from", start),
        end=now if end is None else _parse("until", end),
    )
    if period.start is not None and period.start > period.end:
        raise PeriodError("from must not be later than until")
    return period


def _parse(name: str, text: str) -> datetime:
    try:
        if _DATE.fullmatch(text):
            moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
        elif _TIME.fullmatch(text):
            moment = datetime.fromisoformat(_six_digits(text)).astimezone(timezone.utc)
        else:
            raise ValueError
    except (ValueError, OverflowError):
        raise PeriodError(f"{name} must be a date such as 2026-01-31 or a time such as 2026-01-31T12:00:00Z") from None
    if not _EARLIEST <= moment < _LATEST:
        raise PeriodError(f"{name} must be from the year 1900 to 2999")
    return moment


def _six_digits(text: str) -> str:
    # Python before 3.11 reads just three or six digits of a second, and no Z.
    text = text.replace("Z", "+00:00")
    whole, dot, rest = text.partition(".")
    if not dot:
        return text
    digits, offset = rest[:-6], rest[-6:]
    return f"{whole}.{digits.ljust(6, '0')}{offset}"


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond where there is one."""
    moment = moment.astimezone(timezone.utc)
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text + "Z"


def utc_now() -> datetime:
    """This moment, and a little more: what was posted up to now has its time strictly before the end of the period."""
    return datetime.now(timezone.utc) + timedelta(microseconds=1)
