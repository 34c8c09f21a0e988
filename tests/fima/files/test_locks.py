"""A lock goes with its process, whatever that process has started."""

import os
import signal
import subprocess
import sys

from fima.files.locks import exclusive

_HOLDER = """
import os, sys, time
from pathlib import Path
from fima.files.locks import exclusive
with exclusive(Path(sys.argv[1]), "here"):
    if not os.fork():
        print(os.getpid(), flush=True)
    time.sleep(600)
"""


def test_a_lock_is_free_once_its_holder_is_killed_though_a_forked_child_lives(tmp_path):
    command = [sys.executable, "-c", _HOLDER, tmp_path / "lock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        child = int(holder.stdout.readline())
        try:
            holder.kill()
            holder.wait()
            with exclusive(tmp_path / "lock", "here"):
                os.kill(child, 0)  # it lives
        finally:
            os.kill(child, signal.SIGKILL)
