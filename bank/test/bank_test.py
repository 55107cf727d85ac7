"""The bank as a whole, on a real PostgreSQL: what no test of one service can show."""

import csv
import io
import json
import os
import signal
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bank.test.processes import Bank, Process

BIG = 2**63 - 1


class BankTest(unittest.TestCase):
    bank: Bank

    @classmethod
    def setUpClass(cls) -> None:
        cls.bank = Bank()
        cls.addClassCleanup(cls.bank.close)
        try:
            cls.bank.start_all()
        except BaseException:
            for process in cls.bank.processes.values():
                print(f"--- {process.name}\n{process.log.read_text()}")
            raise

    def setUp(self) -> None:
        self.prefix = self.id().rsplit(".", 1)[1].removeprefix("test_").replace("_", "-")[:40]

    def tearDown(self) -> None:
        status, invariants = self.bank.json("ledger", "GET", "/invariants")
        self.assertEqual((status, invariants["hold"]), (200, True), invariants)
        self.assertEqual(set(invariants["sumOfPostings"].values()) | {0}, {0})

    def account(self, name: str, overdraft: bool = False, currency: str = "EUR") -> str:
        account = f"{self.prefix}-{name}"
        status, body = self.bank.json("public", "PUT", f"/v1/accounts/{account}", {"currency": currency, "allowOverdraft": overdraft})
        self.assertEqual(status, 201, body)
        return account

    def transfer(self, number: Any, debit: str, credit: str, amount: int, port: str = "public", **more: Any) -> tuple[int, Any]:
        order = {"id": f"{self.prefix}-{number}", "debit": debit, "credit": credit, "amount": amount, "currency": "EUR", **more}
        return self.bank.json(port, "POST", "/v1/transfers" if port == "public" else "/transfers", order)

    def balance(self, account: str) -> int:
        status, body = self.bank.json("public", "GET", f"/v1/accounts/{account}")
        self.assertEqual(status, 200, body)
        balance: int = body["balance"]
        return balance

    def load_while(self, seconds: int, disturb: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Makes transfers for some seconds while something is done to the bank; gives what was seen and the ledger's verdict."""
        summary_file = self.bank.folder / f"{self.prefix}.json"
        load = self.bank.load("-summary", str(summary_file), "-duration", f"{seconds}s", "-workers", "4", "-rate", "300", "-accounts", "4", "-run", self.prefix)
        self.addCleanup(load.communicate)
        self.addCleanup(load.kill)
        time.sleep(1)
        disturb()
        output, _ = load.communicate(timeout=seconds + 60)
        self.assertTrue(summary_file.exists(), output)
        check = self.bank.load("-summary", str(summary_file), "-verify")
        verdict, _ = check.communicate(timeout=60)
        self.assertEqual(check.returncode, 0, verdict)
        return json.loads(summary_file.read_text()), json.loads(verdict)

    def test_a_transfer_reaches_the_statement(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        self.assertEqual(self.transfer(1, cash, alice, 12345, reference="=salary")[0], 201)
        self.assertEqual(self.transfer(2, alice, cash, 345, reference="rent")[0], 201)
        self.assertEqual((self.balance(alice), self.balance(cash)), (12000, -12000))
        status, statement = self.bank.json("public", "GET", f"/v1/accounts/{alice}/statement")
        self.assertEqual(status, 200, statement)
        self.assertEqual(statement["title"], self.bank.json("statements", "GET", "/version")[1]["title"])
        self.assertEqual((statement["openingBalance"], statement["closingBalance"]), (0, 12000))
        self.assertEqual([(e["amount"], e["balance"], e["counterparty"]) for e in statement["entries"]], [(12345, 12345, cash), (-345, 12000, cash)])
        _, headers, text = self.bank.ask("public", "GET", f"/v1/accounts/{alice}/statement?format=csv")
        self.assertTrue(headers["Content-Type"].startswith("text/csv"))
        rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
        self.assertEqual([row[4:] for row in rows[3:5]], [["'=salary", "12345", "12345"], ["rent", "-345", "12000"]])
        later = self.bank.json("public", "GET", f"/v1/accounts/{alice}/statement?from=2999-01-01&until=2999-12-31")[1]
        self.assertEqual((later["openingBalance"], later["closingBalance"], later["entries"]), (12000, 12000, []))
        before = self.bank.json("public", "GET", f"/v1/accounts/{alice}/statement?until=2001-01-01")[1]
        self.assertEqual((before["openingBalance"], before["closingBalance"]), (0, 0))
        second = statement["entries"][1]["postedAt"]
        part = self.bank.json("public", "GET", f"/v1/accounts/{alice}/statement?from={second}")[1]
        self.assertEqual((part["openingBalance"], [e["sequence"] for e in part["entries"]]), (12345, [2]))

    def test_the_same_id_many_times_at_once_is_one_transfer(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(lambda _: self.transfer("same", cash, alice, 7), range(48)))
        self.assertEqual(sorted(status for status, _ in answers), [200] * 47 + [201])
        self.assertEqual(len({json.dumps(body) for _, body in answers}), 1)
        self.assertEqual(self.balance(alice), 7)
        self.assertEqual(self.transfer("same", cash, alice, 8)[1]["type"], "/problems/transfer-exists")

    def test_the_same_id_between_other_accounts_at_once_is_one_transfer(self) -> None:
        cash = self.account("cash", overdraft=True)
        accounts = [self.account(f"a{n}") for n in range(8)]
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda account: self.transfer("same", cash, account, 7)[0], accounts))
        self.assertEqual(sorted(answers), [201] + [409] * 7)
        self.assertEqual(sum(self.balance(account) for account in accounts), 7)

    def test_opposite_transfers_do_not_wait_for_each_other_forever(self) -> None:
        left, right = self.account("left", overdraft=True), self.account("right", overdraft=True)

        def one(n: int) -> int:
            return self.transfer(n, *((left, right) if n % 2 else (right, left)), n)[0]

        with ThreadPoolExecutor(12) as threads:
            self.assertEqual(set(threads.map(one, range(1, 301))), {201})
        expected = sum(n if n % 2 else -n for n in range(1, 301))
        self.assertEqual((self.balance(right), self.balance(left)), (expected, -expected))

    def test_the_last_money_is_spent_once(self) -> None:
        cash, alice, bob = self.account("cash", overdraft=True), self.account("alice"), self.account("bob")
        self.transfer("fund", cash, alice, 100)
        with ThreadPoolExecutor(12) as threads:
            statuses = list(threads.map(lambda n: self.transfer(n, alice, bob, 10)[0], range(25)))
        self.assertEqual((statuses.count(201), statuses.count(422)), (10, 15))
        self.assertEqual((self.balance(alice), self.balance(bob)), (0, 100))

    def test_refusals(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        dollars = self.account("dollars", currency="USD")
        for status, kind, answer in [
            (422, "insufficient-funds", self.transfer(1, alice, cash, 1)),
            (422, "currency-mismatch", self.transfer(2, cash, dollars, 1)),
            (422, "currency-mismatch", self.transfer(3, cash, alice, 1, currency="USD")),
            (422, "unknown-account", self.transfer(4, cash, "nobody-at-all", 1)),
            (400, "invalid-request", self.transfer(5, cash, alice, -1)),
            (400, "invalid-request", self.transfer(6, cash, alice, BIG + 1)),
            (400, "invalid-request", self.transfer(7, cash, cash, 1)),
            (404, "no-such-account", self.bank.json("public", "GET", "/v1/accounts/nobody-at-all")),
            (404, "no-such-account", self.bank.json("public", "GET", "/v1/accounts/nobody-at-all/statement")),
            (404, "no-such-transfer", self.bank.json("public", "GET", "/v1/transfers/none-at-all")),
        ]:
            self.assertEqual((answer[0], answer[1]["type"]), (status, f"/problems/{kind}"), answer)
        self.assertEqual(self.transfer(8, cash, alice, BIG)[0], 201)
        self.assertEqual(self.transfer(9, cash, alice, 1)[1]["type"], "/problems/balance-out-of-range")
        self.assertEqual(self.transfer(10, alice, cash, BIG)[0], 201)

    def test_postings_come_in_pages_without_gaps(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        for n in range(7):
            self.transfer(n, cash, alice, 1)
        seen, after = [], 0
        while after is not None:
            page = self.bank.json("public", "GET", f"/v1/accounts/{alice}/postings?limit=3&after={after}")[1]
            seen += [posting["sequence"] for posting in page["postings"]]
            after = page["next"]
        self.assertEqual(seen, [1, 2, 3, 4, 5, 6, 7])

    def test_not_even_sql_can_make_or_lose_money(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        self.transfer(1, cash, alice, 100)
        transfer = f"{self.prefix}-1"
        new = f"INSERT INTO transfers SELECT '{transfer}x', debit, credit, amount, currency, reference, posted_at FROM transfers WHERE id = '{transfer}';"
        for statement in (
            f"UPDATE accounts SET balance = balance + 1 WHERE id = '{alice}'",
            f"UPDATE accounts SET allow_overdraft = true WHERE id = '{alice}'",
            f"UPDATE accounts SET postings = 0, balance = 0 WHERE id = '{alice}'",
            f"DELETE FROM accounts WHERE id = '{alice}'",
            f"UPDATE postings SET amount = 1 WHERE transfer = '{transfer}'",
            "DELETE FROM postings",
            "TRUNCATE postings CASCADE",
            f"UPDATE transfers SET amount = 1 WHERE id = '{transfer}'",
            new,
            f"INSERT INTO postings SELECT account, sequence + 1, transfer, amount, balance + amount, posted_at FROM postings WHERE transfer = '{transfer}'",
            f"{new} INSERT INTO postings SELECT account, sequence + 1, '{transfer}x', amount, balance + amount, posted_at FROM postings WHERE transfer = '{transfer}'",
            f"INSERT INTO accounts (id, currency, allow_overdraft, balance) VALUES ('{alice}x', 'EUR', true, 5)",
        ):
            done = self.bank.sql(statement)
            self.assertNotEqual(done.returncode, 0, f"was let through: {statement}")
        self.assertEqual(self.balance(alice), 100)

    def test_a_database_that_is_killed_costs_no_acknowledged_transfer(self) -> None:
        def kill() -> None:
            self.bank.processes["postgres"].kill()
            self.bank.start_postgres()
            self.bank.wait_ready("postgres-admin")

        summary, verdict = self.load_while(8, kill)
        self.assertGreater(verdict["acknowledged"], 100)
        # The ledger and the gateway are patient for longer than the database takes to recover here.
        self.assertEqual(summary["reasons"], {})

    def test_a_database_that_is_updated_makes_the_ledger_unready_and_ready_again(self) -> None:
        postgres = self.bank.processes["postgres"]
        self.assertEqual(postgres.stop(30), 0)
        end = time.monotonic() + 10
        while (answer := self.bank.json("ledger", "GET", "/readyz"))[0] == 200 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(answer[0], 503)
        self.assertTrue(answer[1]["reason"])
        self.assertEqual(self.bank.json("ledger", "GET", "/livez")[0], 200)
        begun = time.monotonic()
        self.assertEqual(self.bank.json("ledger", "GET", "/accounts/x")[1]["type"], "/problems/database-unavailable")
        self.assertLess(time.monotonic() - begun, 9)
        self.bank.start_postgres()
        self.bank.wait_ready("ledger")

    def test_a_ledger_that_is_killed_costs_no_request(self) -> None:
        def kill() -> None:
            self.bank.processes["ledger"].kill()
            self.bank.start_ledger()
            self.bank.wait_ready("ledger")

        summary, _ = self.load_while(7, kill)
        self.assertEqual((summary["failures"], summary["reasons"]), (0, {}))

    def test_services_that_are_replaced_cost_no_request(self) -> None:
        def replace() -> None:
            for name, start in (("ledger", self.bank.start_ledger), ("statements", self.bank.start_statements)):
                begun = time.monotonic()
                self.assertEqual(self.bank.processes[name].stop(), 0)
                self.assertLess(time.monotonic() - begun, 10)
                start()
                self.bank.wait_ready(name)

        summary, _ = self.load_while(9, replace)
        self.assertEqual((summary["failures"], summary["reasons"]), (0, {}))

    def test_statements_outlive_a_ledger_that_is_killed(self) -> None:
        cash, alice = self.account("cash", overdraft=True), self.account("alice")
        self.transfer(1, cash, alice, 5)
        self.bank.processes["ledger"].kill()
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(self.bank.json, "public", "GET", f"/v1/accounts/{alice}/statement")
            self.bank.start_ledger()
            self.assertEqual(answer.result(30)[1]["closingBalance"], 5)
        self.bank.wait_ready("ledger")

    def test_two_ledgers_share_a_database(self) -> None:
        self.bank.start_ledger("second")
        self.bank.wait_ready("second")
        cash, alice = self.account("cash", overdraft=True), self.account("alice")

        def one(n: int) -> int:
            return self.transfer(n // 2, cash, alice, 1, port="ledger" if n % 2 else "second")[0]

        with ThreadPoolExecutor(12) as threads:
            statuses = list(threads.map(one, range(200)))
        self.assertEqual((statuses.count(201), statuses.count(200)), (100, 100))
        self.assertEqual(self.balance(alice), 100)
        self.assertEqual(self.bank.processes["second"].stop(), 0)

    def test_migrations_know_what_does_not_fit(self) -> None:
        self.assertEqual(self.bank.sql("INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x')").returncode, 0)
        self.bank.start_ledger("older")  # a rollback: the database is ahead
        self.bank.wait_ready("older")
        self.bank.processes["older"].stop()
        self.assertEqual(self.bank.sql("DELETE FROM schema_migrations WHERE version = 9999").returncode, 0)
        sum_before = self.bank.sql("SELECT sha256 FROM schema_migrations WHERE version = 1").stdout.strip()
        self.assertEqual(len(sum_before), 64)
        self.bank.sql("UPDATE schema_migrations SET sha256 = 'changed' WHERE version = 1")
        try:
            changed = self.bank.start_ledger("changed")
            self.assertEqual(changed.popen.wait(30), 1)
            self.assertIn("0001_ledger.sql is not what was applied", changed.log.read_text())
        finally:
            self.bank.sql(f"UPDATE schema_migrations SET sha256 = '{sum_before}' WHERE version = 1")

    def test_a_request_is_followed_through_all_logs(self) -> None:
        cash = self.account("cash", overdraft=True)
        _, headers, _ = self.bank.ask("public", "GET", f"/v1/accounts/{cash}/statement")
        request_id = headers["X-Request-Id"]
        time.sleep(0.3)
        for name in ("sidecar", "statements", "ledger"):
            self.assertTrue(any(line.get("requestId") == request_id for line in self.bank.processes[name].lines()), name)
        entry = next(line for line in self.bank.processes["sidecar"].lines() if line.get("requestId") == request_id)
        self.assertEqual((entry["caller"], entry["status"]), ("test", 200))

    def test_metrics_and_versions(self) -> None:
        for name, metric in [
            ("ledger", "ledger_requests_total"), ("statements", "statements_requests_total"), ("gateway-admin", "gateway_requests_total"),
            ("sidecar-admin", "sidecar_requests_total"), ("postgres-admin", "postgres_up 1"),
        ]:  # fmt: skip
            status, headers, text = self.bank.ask(name, "GET", "/metrics")
            self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
            self.assertIn(metric, text.decode())
        for name in ("ledger", "statements", "public"):
            self.assertTrue(self.bank.json(name, "GET", "/version")[1]["title"])
        self.assertEqual(self.bank.ask("public", "GET", "/metrics")[0], 404)

    def test_the_password_is_in_no_log(self) -> None:
        for process in self.bank.processes.values():
            self.assertNotIn("password of the test", process.log.read_text(), process.name)


class WrongSettingsTest(unittest.TestCase):
    def test_each_service_says_what_is_wrong_and_ends(self) -> None:
        bank = Bank()
        self.addCleanup(bank.close)
        for name, command, env in [
            ("gateway", [str(bank.programs / "gateway/server")], {"GATEWAY_DRAIN": "long"}),
            ("sidecar", [str(bank.programs / "common/sidecar/sidecar")], {"SIDECAR_DRAIN": "long"}),
            ("statements", ["python3", "-I", str(bank.programs / "statements/server.pyz")], {"STATEMENTS_DRAIN": "long", "PATH": os.environ["PATH"]}),
            ("ledger", ["java", "-jar", str(bank.programs / "ledger/server.jar")], {"LEDGER_DRAIN": "long"}),
            ("postgres", [str(bank.programs / "postgres/init/init")], {"POSTGRES_STOP_TIMEOUT": "long"}),
        ]:
            with self.subTest(name):
                process = Process(name, command, env, bank.folder / f"{name}-wrong.log")
                try:
                    self.assertEqual(process.popen.wait(30), 1)
                finally:
                    if process.popen.poll() is None:
                        process.popen.send_signal(signal.SIGKILL)
                last = process.lines()[-1]
                self.assertEqual((last["level"], last["service"]), ("ERROR", name))
                self.assertRegex(last["error"], r"(DRAIN|STOP_TIMEOUT): ")


if __name__ == "__main__":
    unittest.main()
