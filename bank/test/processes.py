"""Runs the bank's services as plain processes on 127.0.0.1, with a real PostgreSQL of this machine's."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

KEY = "key-of-the-test"
PASSWORD = "it's a \\ password of the test"
_NOBODY = 65534


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def postgres_binaries() -> Path:
    """The folder of PostgreSQL's server programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("PostgreSQL's server is not on this machine: install the package postgresql-15")
    return found[-1].parent


def _parent(pid: int) -> int | None:
    """The process's parent, proc(5), or None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _descendants(pid: int) -> list[int]:
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def _send_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Process:
    """One service, with its log in a file."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path, user: int | None = None) -> None:
        self.name, self.log = name, log
        credentials: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command, env={"PATH": "/usr/bin:/bin", **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True, **credentials
            )

    def stop(self, seconds: float = 15) -> int:
        """Asks it to stop as Kubernetes does, and gives its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """Kills it and all that it started, as the end of a container does."""
        if self.popen.poll() is None:
            family = _descendants(self.popen.pid)
            for pid in family:
                _send_kill(pid)
            # Its own children are reaped by it: PostgreSQL takes a dead but unreaped one for a server that runs.
            end = time.monotonic() + 1
            while any(_parent(pid) == self.popen.pid for pid in family) and time.monotonic() < end:
                time.sleep(0.005)
            self.popen.kill()
        self.popen.wait(10)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged. Every line must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Bank:
    """The whole bank. Programs are where the build puts them, below the current folder."""

    def __init__(self) -> None:
        # Not in the test's own folder: PostgreSQL refuses to be root, and nobody else may look into root's folders.
        self.folder = Path(tempfile.mkdtemp(prefix="bank-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.programs = Path.cwd() / "bank"
        self.ports = {name: free_port() for name in ("postgres", "postgres-admin", "ledger", "statements", "gateway", "gateway-admin", "public", "sidecar-admin")}
        self.processes: dict[str, Process] = {}
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.keys_file = self.folder / "keys"
        scopes = "accounts:read,accounts:write,transfers:read,transfers:write,audit:read"
        self.keys_file.write_text(f"test {hashlib.sha256(KEY.encode()).hexdigest()} {scopes}\n")

    def close(self) -> None:
        """Ends everything and leaves nothing."""
        for process in reversed(self.processes.values()):
            process.kill()
        shutil.rmtree(self.folder)

    def _start(self, name: str, command: list[str], env: dict[str, str], user: int | None = None) -> Process:
        process = Process(name, command, env, self.folder / f"{name}.log", user)
        self.processes[name] = process
        return process

    def start_postgres(self) -> Process:
        user = _NOBODY if os.getuid() == 0 else None
        home = self.folder / "postgres"
        if not home.exists():
            home.mkdir()
            shutil.copy(self.programs / "postgres/init/init", home / "init")
            (home / "init").chmod(0o755)
            if user is not None:
                os.chown(home, user, user)
        env = {
            "POSTGRES_BINARIES": str(postgres_binaries()),
            "POSTGRES_DATA": str(home / "data"),
            "POSTGRES_SOCKETS": str(home),
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.ports["postgres"]),
            "POSTGRES_ROLE": "ledger",
            "POSTGRES_PASSWORD_FILE": str(self.password_file),
            "POSTGRES_ADMIN_LISTEN": f"127.0.0.1:{self.ports['postgres-admin']}",
            "LANG": "C.UTF-8",
        }
        return self._start("postgres", [str(home / "init")], env, user)

    def ledger_env(self, port: int, **more: str) -> dict[str, str]:
        return {
            "LEDGER_LISTEN": f"127.0.0.1:{port}",
            "LEDGER_DATABASE_URL": f"jdbc:postgresql://127.0.0.1:{self.ports['postgres']}/ledger",
            "LEDGER_DATABASE_USER": "ledger",
            "LEDGER_DATABASE_PASSWORD_FILE": str(self.password_file),
            "LEDGER_DRAIN": "500ms",
            **more,
        }

    def start_ledger(self, name: str = "ledger") -> Process:
        self.ports.setdefault(name, free_port())
        jar = str(self.programs / "ledger/server.jar")
        # The runtime of its image, with those modules only that it needs.
        java = str(self.programs / "ledger/runtime/bin/java")
        command = [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-Xss512k", "-jar", jar]
        return self._start(name, command, self.ledger_env(self.ports[name]))

    def start_statements(self) -> Process:
        env = {
            "STATEMENTS_LISTEN": f"127.0.0.1:{self.ports['statements']}",
            "STATEMENTS_LEDGER_URL": f"http://127.0.0.1:{self.ports['ledger']}",
            "STATEMENTS_DRAIN": "500ms",
        }
        return self._start("statements", ["/usr/bin/env", "python3", "-I", str(self.programs / "statements/server.pyz")], {**env, "PATH": os.environ["PATH"]})

    def start_gateway(self) -> Process:
        env = {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.ports['gateway']}",
            "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{self.ports['gateway-admin']}",
            "GATEWAY_LEDGER_URL": f"http://127.0.0.1:{self.ports['ledger']}",
            "GATEWAY_STATEMENTS_URL": f"http://127.0.0.1:{self.ports['statements']}",
            "GATEWAY_KEYS_FILE": str(self.keys_file),
            "GATEWAY_REQUESTS_PER_SECOND": "100000",
            "GATEWAY_DRAIN": "500ms",
        }
        return self._start("gateway", [str(self.programs / "gateway/server")], env)

    def start_sidecar(self) -> Process:
        env = {
            "SIDECAR_LISTEN": f"127.0.0.1:{self.ports['public']}",
            "SIDECAR_ADMIN_LISTEN": f"127.0.0.1:{self.ports['sidecar-admin']}",
            "SIDECAR_UPSTREAM": f"http://127.0.0.1:{self.ports['gateway']}",
            "SIDECAR_DRAIN": "300ms",
        }
        return self._start("sidecar", [str(self.programs / "common/sidecar/sidecar")], env)

    def start_all(self) -> None:
        """Starts everything at once: no service may need another to be there first."""
        self.start_sidecar()
        self.start_gateway()
        self.start_statements()
        self.start_ledger()
        self.start_postgres()
        for name in ("postgres-admin", "ledger", "statements", "gateway-admin", "sidecar-admin"):
            self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = 60) -> None:
        """Waits until the service at the port says that it is ready."""
        end = time.monotonic() + seconds
        last = ""
        while time.monotonic() < end:
            try:
                status, _, body = self.ask(name, "GET", "/readyz")
                if status == 200:
                    return
                last = body.decode()
            except OSError as error:
                last = str(error)
            process = self.processes[name.removesuffix("-admin")]
            if process.popen.poll() is not None:
                raise AssertionError(f"{name} ended with {process.popen.returncode}:\n{process.log.read_text()[-4000:]}")
            time.sleep(0.05)
        raise AssertionError(f"{name} was not ready within {seconds} s: {last}")

    def ask(self, name: str, method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request to the service at a port: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", "X-API-Key": key, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, _, text = self.ask(name, method, path, body)
        return status, json.loads(text)

    def sql(self, statement: str) -> subprocess.CompletedProcess[str]:
        """Runs SQL as the ledger's own role, as a person at a prompt could."""
        command = [str(postgres_binaries() / "psql"), "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "ledger", "-d", "ledger", "-v", "ON_ERROR_STOP=1", "-qAtc", statement]
        return subprocess.run(command, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD}, capture_output=True, text=True, timeout=30)

    def load(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the load generator against the public port."""
        command = [str(self.programs / "load/load"), "-url", f"http://127.0.0.1:{self.ports['public']}", "-key", KEY, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder)
