import csv
import io
import json
import unittest
from collections.abc import Iterator
from datetime import datetime, timezone

from bank.statements.formats import CSV_COLUMNS, safe_cell, to_csv, to_json
from bank.statements.ledger import Account, Ledger, LedgerError, Posting
from bank.statements.metrics import RequestMetrics
from bank.statements.period import Period
from bank.statements.statement import TITLE, make_statement

PERIOD = Period(datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 2, 1, tzinfo=timezone.utc))
BIG = 2**63 - 1


def posting(sequence: int, amount: int, balance: int, reference: str = "rent") -> Posting:
    return Posting(sequence, f"t{sequence}", "bob", amount, balance, reference, "2026-01-02T03:04:05Z")


class FakeLedger(Ledger):
    def __init__(self, *postings: Posting, balance: int = 0) -> None:
        super().__init__("http://ledger:1")
        self._answer, self._balance = postings, balance

    def postings(self, account: str, period: Period, request_id: str) -> tuple[Account, Iterator[Posting]]:
        return Account(account, "EUR"), iter(self._answer)

    def balance_at(self, account: str, moment: datetime, request_id: str) -> int:
        return self._balance


class StatementTest(unittest.TestCase):
    def test_opens_before_its_first_entry_and_closes_after_its_last(self) -> None:
        statement = make_statement(FakeLedger(posting(4, -30, 70), posting(5, 5, 75)), "alice", PERIOD, "r")
        self.assertEqual((statement.opening_balance, statement.closing_balance), (100, 75))
        self.assertEqual([entry.amount for entry in statement.entries], [-30, 5])

    def test_a_quiet_period_has_the_balance_at_its_end(self) -> None:
        statement = make_statement(FakeLedger(balance=42), "alice", PERIOD, "r")
        self.assertEqual((statement.opening_balance, statement.closing_balance, statement.entries), (42, 42, ()))

    def test_postings_that_do_not_add_up_are_no_statement(self) -> None:
        for second in (posting(5, 5, 76), posting(6, 5, 75), posting(4, 5, 75)):
            with self.subTest(second=second), self.assertRaises(LedgerError):
                make_statement(FakeLedger(posting(4, -30, 70), second), "alice", PERIOD, "r")

    def test_json_holds_exact_integers_and_the_title(self) -> None:
        statement = make_statement(FakeLedger(posting(1, BIG, BIG, "Grüße, =1+1")), "alice", PERIOD, "r")
        text = to_json(statement)
        self.assertIn(str(BIG).encode(), text)
        parsed = json.loads(text)
        self.assertEqual(parsed["title"], TITLE)
        self.assertEqual((parsed["openingBalance"], parsed["closingBalance"]), (0, BIG))
        self.assertEqual(parsed["entries"][0]["reference"], "Grüße, =1+1")
        self.assertEqual((parsed["from"], parsed["until"]), ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"))

    def test_csv_reads_back_and_every_row_is_as_wide(self) -> None:
        reference = 'a "quoted", part;\u00e9'
        statement = make_statement(FakeLedger(posting(1, BIG, BIG, reference), posting(2, -1, BIG - 1, "=HYPERLINK(1)")), "alice", PERIOD, "r")
        rows = list(csv.reader(io.StringIO(to_csv(statement).decode(), newline="")))
        self.assertEqual({len(row) for row in rows}, {len(CSV_COLUMNS)})
        self.assertEqual(rows[0][:3], [TITLE, "alice", "EUR"])
        self.assertEqual(rows[1], list(CSV_COLUMNS))
        self.assertEqual(rows[2][-3:], ["opening balance", "", "0"])
        self.assertEqual(rows[3], ["1", "2026-01-02T03:04:05Z", "t1", "bob", reference, str(BIG), str(BIG)])
        self.assertEqual(rows[4][4:], ["'=HYPERLINK(1)", "-1", str(BIG - 1)])
        self.assertEqual(rows[5][-3:], ["closing balance", "", str(BIG - 1)])

    def test_no_cell_is_a_formula(self) -> None:
        for text in ("=1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =1", "\u00a0=1", "＝1"):
            self.assertEqual(safe_cell(text), "'" + text)
        for text in ("", "rent", "a=1", "1-2", "'=1"):
            self.assertEqual(safe_cell(text), text)


class MetricsTest(unittest.TestCase):
    def test_text_format(self) -> None:
        metrics = RequestMetrics("statements")
        metrics.observe("/a", "GET", 200, 0.001)
        metrics.observe("/a", "GET", 200, 20.0)
        text = metrics.text()
        for line in (
            'statements_requests_total{route="/a",method="GET",status="200"} 2',
            'statements_request_duration_seconds_bucket{route="/a",le="0.001"} 1',
            'statements_request_duration_seconds_bucket{route="/a",le="10"} 1',
            'statements_request_duration_seconds_bucket{route="/a",le="+Inf"} 2',
            'statements_request_duration_seconds_sum{route="/a"} 20.001',
            'statements_request_duration_seconds_count{route="/a"} 2',
            "# TYPE statements_request_duration_seconds histogram",
        ):
            self.assertIn(line + "\n", text)

    def test_label_values_are_escaped(self) -> None:
        metrics = RequestMetrics("statements")
        metrics.observe('a"\\\n', "GET", 200, 0.1)
        self.assertIn('route="a\\"\\\\\\n"', metrics.text())


if __name__ == "__main__":
    unittest.main()
