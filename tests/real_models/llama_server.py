"""llama.cpp's HTTP server on loopback: `python llama_server.py MODEL.gguf NAME`.

Run with the Python of .venv-real. Prints its address (and a port of its own choice) on a line of
its own and serves until it is stopped. One thread: two on a busy machine are many times slower.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main(model: str, name: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {name}
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
