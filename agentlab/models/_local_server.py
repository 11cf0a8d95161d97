"""The child process of the embedded model: serves one model file on loopback until its parent goes away.

Run as a script. The settings come as one line of JSON on standard input, so that the key shows in no process list; the
answer is one line on standard output. When standard input closes, or the parent is gone, the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

_LOOK_S = 1.0
"""How often the child looks whether its parent lives: a forked worker may hold the other end of its input open [s]."""


def serve(settings: dict[str, Any]) -> tuple[object, str]:
    """The running server and its address."""
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["name"]}
    params.api_keys = [settings["api_key"]]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = settings["n_ctx"], settings["slots"]
    params.n_predict = settings["max_tokens"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = 0
    params.n_threads_http = 64
    params.offline, params.ui, params.fit_params, params.endpoint_slots = True, False, False, False
    params.cors_origins = ""
    params.cache_ram_mib = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    return server, server.listening_address.rstrip("/")


def main() -> None:
    """Serve until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupting a cell stops the call, not the model
    parent = os.getppid()
    settings = json.loads(sys.stdin.readline())
    server, url = serve(settings)
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # nobody reads standard output from here on
    closed = threading.Event()
    threading.Thread(target=_set_at_end_of_input, args=(closed,), daemon=True).start()
    while os.getppid() == parent and not closed.wait(_LOOK_S):
        pass
    del server
    os._exit(0)


def _set_at_end_of_input(closed: threading.Event) -> None:
    sys.stdin.read()
    closed.set()


if __name__ == "__main__":
    main()
