"""``python -m mlpublish`` without the half second of imports: one process has them all, and forks another for every call.

A call is a process still, with its own arguments, environment, output and exit code, and ends as Python ends.
"""

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any


def call(place: str, arguments: list[str]) -> int:
    """What a client's command line does: hand itself over, and end as the other process did."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        asked = json.dumps({"arguments": arguments, "environ": dict(os.environ)}).encode()
        socket.send_fds(line, [len(asked).to_bytes(4, "big")], [0, 1, 2])
        line.sendall(asked)
        return int(line.makefile().read())


def serve(place: str) -> None:
    """Fork for every call, until ended."""
    import mlpublish.checking.check
    import mlpublish.cli.check
    import mlpublish.reporting.documents  # noqa: F401 - here, and not in every call

    gc.freeze()  # a collection would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that mind a call
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{place}.new")
        door.listen(64)
        Path(f"{place}.new").rename(place)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                return mind(line)
            line.close()


def mind(line: socket.socket) -> None:
    """Tell how the process of one call ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(line, 4, 3)
    asked = json.loads(line.makefile("rb").read(int.from_bytes(length, "big")))
    child = os.fork()
    if child == 0:
        line.close()
        return become(asked, files)
    _, status = os.waitpid(child, 0)
    line.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def become(asked: dict[str, Any], files: list[int]) -> None:
    """The command, as if it had been started so."""
    from mlpublish.cli.main import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv = ["mlpublish", *asked["arguments"]]
    main()


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else sys.exit(call(sys.argv[1], sys.argv[2:]))
