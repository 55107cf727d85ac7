"""Writes statements as JSON and as CSV."""

import csv
import io
import json

from bank.statements.period import format_time
from bank.statements.statement import TITLE, Statement

CSV_COLUMNS = ("sequence", "postedAt", "transfer", "counterparty", "reference", "amount", "balance")


def to_json(statement: Statement) -> bytes:
    """The statement as one JSON object."""
    period = statement.period
    return (
        json.dumps(
            {
                "title": TITLE,
                "account": statement.account.id,
                "currency": statement.account.currency,
                "from": None if period.start is None else format_time(period.start),
                "until": format_time(period.end),
                "openingBalance": statement.opening_balance,
                "closingBalance": statement.closing_balance,
                "entries": [
                    {
                        "sequence": entry.sequence,
                        "postedAt": entry.posted_at,
                        "transfer": entry.transfer,
                        "counterparty": entry.counterparty,
                        "reference": entry.reference,
                        "amount": entry.amount,
                        "balance": entry.balance,
                    }
                    for entry in statement.entries
                ],
            },
            ensure_ascii=False,
        )
        + "\n"
    ).encode()


def to_csv(statement: Statement) -> bytes:
    """The statement as CSV (RFC 4180) in UTF-8: the title, the names of the columns, the opening balance, the entries, and
    the closing balance. All rows have the same columns. Amounts are integers in minor units of the currency in the title row."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([TITLE, safe_cell(statement.account.id), statement.account.currency, *[""] * (len(CSV_COLUMNS) - 3)])
    writer.writerow(CSV_COLUMNS)
    period = statement.period
    opened = "" if period.start is None else format_time(period.start)
    writer.writerow(["", opened, "", "", "opening balance", "", statement.opening_balance])
    for entry in statement.entries:
        writer.writerow(
            [
                entry.sequence,
                entry.posted_at,
                safe_cell(entry.transfer),
                safe_cell(entry.counterparty),
                safe_cell(entry.reference),
                entry.amount,
                entry.balance,
            ]
        )
    writer.writerow(["", format_time(period.end), "", "", "closing balance", "", statement.closing_balance])
    return out.getvalue().encode()


def safe_cell(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula: whoever sends a transfer writes its reference, and must not
    be able to make the receiver's spreadsheet do things. (OWASP, "CSV injection".)"""
    if text.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")):
        return "'" + text
    return text
