import unittest
from datetime import datetime, timezone

from bank.statements.period import Period, PeriodError, format_time, parse_period

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


class PeriodTest(unittest.TestCase):
    def test_everything_up_to_now(self) -> None:
        self.assertEqual(parse_period(None, None, NOW), Period(None, NOW))

    def test_dates_begin_at_midnight_utc(self) -> None:
        self.assertEqual(parse_period("2026-01-01", "2026-02-01", NOW), Period(utc(2026, 1, 1), utc(2026, 2, 1)))

    def test_times_with_offsets_and_fractions(self) -> None:
        period = parse_period("2026-01-01T00:30:00+01:00", "2026-01-01T00:00:00.25Z", NOW)
        self.assertEqual(period, Period(utc(2025, 12, 31, 23, 30), utc(2026, 1, 1, 0, 0, 0, 250000)))

    def test_what_is_no_period_is_refused(self) -> None:
        for start, end in [
            ("yesterday", None), ("2026-13-01", None), ("2026-02-30", None), ("20260101", None), ("2026-01-01T00:00:00", None),
            ("2026-01-01 00:00:00Z", None), ("0001-01-01", None), (None, "9999-12-31"), ("", None), ("2026-01-02", "2026-01-01"),
            ("٢٠٢٦-01-01", None), ("1900-01-01T00:00:00+23:59", None),
        ]:  # fmt: skip
            with self.subTest(start=start, end=end), self.assertRaises(PeriodError):
                parse_period(start, end, NOW)

    def test_formats_times_as_the_ledger_does(self) -> None:
        self.assertEqual(format_time(utc(2026, 1, 2, 3, 4, 5)), "2026-01-02T03:04:05Z")
        self.assertEqual(format_time(utc(2026, 1, 2, 3, 4, 5, 60)), "2026-01-02T03:04:05.000060Z")


if __name__ == "__main__":
    unittest.main()
