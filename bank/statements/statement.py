"""What a statement of account says. Amounts are integers in minor units throughout: nothing is ever rounded."""

from collections.abc import Iterable
from dataclasses import dataclass

from bank.statements.ledger import Account, Ledger, LedgerError, Posting
from bank.statements.period import Period

# The heading of every statement. Change it, deploy, and see it in the next answer.
TITLE = "Statement of account"

# More would not fit in this service's memory at once. A longer time is asked for in parts.
MAX_ENTRIES = 50_000


class TooManyEntries(Exception):
    """The period holds more entries than one statement may."""


@dataclass(frozen=True)
class Statement:
    account: Account
    period: Period
    opening_balance: int
    closing_balance: int
    entries: tuple[Posting, ...]


def make_statement(ledger: Ledger, account_id: str, period: Period, request_id: str) -> Statement:
    """Makes the statement from the ledger's postings, and checks that they add up.

    Raises TooManyEntries; LedgerError, also where the postings do not carry on from each other: a statement that is wrong
    must not go out; and LedgerRefusal.
    """
    account, postings = ledger.postings(account_id, period, request_id)
    entries = tuple(_checked(postings))
    if entries:
        opening = entries[0].balance - entries[0].amount
        closing = entries[-1].balance
    else:
        opening = closing = ledger.balance_at(account_id, period.end, request_id)
    return Statement(account, period, opening, closing, entries)


def _checked(postings: Iterable[Posting]) -> Iterable[Posting]:
    before: Posting | None = None
    for count, posting in enumerate(postings, start=1):
        if count > MAX_ENTRIES:
            raise TooManyEntries
        if before is not None and (posting.sequence != before.sequence + 1 or posting.balance != before.balance + posting.amount):
            raise LedgerError(f"posting {posting.sequence} does not carry on from posting {before.sequence}")
        before = posting
        yield posting
