"""A SLURM cluster of one node, from the system's packages: its daemons, its accounts and its key, all in one folder."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.servers.server_process import free_port
from tests.integration.hosts import running

DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
ACCOUNTS = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounts}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageLoc=slurm
StorageUser=root
PidFile={folder}/slurmdbd.pid
CommunicationParameters=NoInAddrAny
"""
CLUSTER = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={accounts}
AccountingStoragePass={folder}/munge.sock
JobAcctGatherType=jobacct_gather/none
KillWait=5
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def what_is_missing() -> str | None:
    """Why there can be no cluster here, if so: SLURM's node runs jobs as their users, which takes root."""
    lacking = [name for name in DAEMONS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if lacking:
        return f"needs the system's {', '.join(lacking)} (.ci/run installs them)"
    return None if os.geteuid() == 0 else "SLURM's node needs root"


@dataclass(frozen=True)
class SlurmCluster:
    """A running cluster."""

    variables: dict[str, str]
    """By which SLURM's programs find it."""

    def ask(self, *command: str) -> str:
        """Return what one of SLURM's programs prints."""
        return subprocess.run(
            command, env=os.environ | self.variables, capture_output=True, text=True, check=True
        ).stdout

    def queued(self) -> list[str]:
        """Return the ids of the jobs that wait or run."""
        return self.ask("squeue", "--noheader", "--format=%i").split()


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A cluster until the end."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # not pytest's: paths of sockets are short
    places = {
        "folder": folder,
        "host": socket.gethostname(),
        **{name: free_port() for name in ("accounts", "controller", "node")},
    }
    for name, text in (("slurmdbd.conf", ACCOUNTS), ("slurm.conf", CLUSTER)):
        (folder / name).write_text(text.format(**places))
        (folder / name).chmod(0o600)
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    database = ("--no-defaults", f"--datadir={folder}/database", "--user=root")
    installed = subprocess.run(["mariadb-install-db", *database], capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    variables = {"SLURM_CONF": str(folder / "slurm.conf"), "MYSQL_UNIX_PORT": str(folder / "database.sock")}
    cluster = SlurmCluster(variables)
    files = [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
    own_socket = ("--skip-networking", "--skip-grant-tables", f"--socket={folder}/database.sock")
    with ExitStack() as daemons:

        def start(name: str, *arguments: str) -> None:
            program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
            assert program is not None
            path = f"{os.environ['PATH']}:/usr/sbin"
            daemons.enter_context(running(folder / name, "", program, *arguments, **variables, PATH=path))

        munge = ("--foreground", "--force", f"--socket={folder}/munge.sock", f"--key-file={folder}/key")
        start("munged", *munge, *files)
        start("mariadbd", *database, *own_socket, f"--pid-file={folder}/database.pid")
        _wait_until((folder / "database.sock").exists, folder)
        start("slurmdbd", "-D")
        _wait_until(lambda: _works(cluster, "sacctmgr", "--immediate", "add", "cluster", "test"), folder)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", "localhost")
        _wait_until(lambda: _works(cluster, "sinfo") and "idle" in cluster.ask("sinfo"), folder)
        try:
            yield cluster
        finally:
            for job in cluster.queued():
                cluster.ask("scancel", job)
            _wait_until(lambda: not cluster.queued(), folder)
    shutil.rmtree(folder, ignore_errors=True)


def _works(cluster: SlurmCluster, *command: str) -> bool:
    try:
        cluster.ask(*command)
    except subprocess.CalledProcessError:
        return False
    return True


def _wait_until(reached: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        logs = "\n".join(f"{log}:\n{log.read_text()[-1000:]}" for log in folder.glob("*/log"))
        assert time.monotonic() < deadline, logs
        time.sleep(0.2)
