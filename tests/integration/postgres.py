"""PostgreSQL for tests, out of a package: nothing of the system's is needed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pg0

from flows.servers.server_process import free_port

NOBODY = 65534
"""PostgreSQL refuses to run as root; then it runs as this user."""
PASSWORD = "only-on-this-machine"  # noqa: S105  # of a server that ends with the test


@dataclass(frozen=True)
class PostgresServer:
    """A running server with an empty database, and the programs of its version."""

    address: str
    """`postgresql://...`"""
    programs: Path
    """The folder of `psql`, `pg_dump` and so on."""


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server with an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # not pytest's: another user has to get there
    program = Path(shutil.copy(Path(pg0.__file__).parent / "bin" / "pg0", folder))
    identity = {}
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        identity = {"user": NOBODY, "group": NOBODY}

    def run(*arguments: str) -> None:
        command = [str(program), *arguments, "--name", "test"]
        own = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        with (folder / "log").open("a") as log:  # not a pipe: the server would hold it
            finished = subprocess.run(
                command,
                check=False,
                env=own,
                cwd=folder,
                stdout=log,
                stderr=log,
                extra_groups=[] if identity else None,
                **identity,
            )
        assert finished.returncode == 0, (folder / "log").read_text()

    port = str(free_port())
    run(
        "start", "--port", port, "--data-dir", str(folder / "data"), "--password", PASSWORD, "-c", "max_connections=200"
    )
    try:
        (programs,) = folder.glob(".pg0/installation/*/bin")
        yield PostgresServer(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres", programs)
    finally:
        run("stop")
        shutil.rmtree(folder, ignore_errors=True)
