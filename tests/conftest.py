"""What all tests share: no test depends on a clock or on a network."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hub_client import HubProcess
from hypothesis import settings
from loopback_hub import LoopbackHub

# Before any test imports a Hugging Face library: nothing may be looked up on a Hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Before any test imports torch: sums over two threads differ in their last bit from sums over one,
# and resumed runs are compared with uninterrupted ones bit by bit.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts a command with & so that it ignores Ctrl-C, and so do all processes that it starts:
# those that tests interrupt, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines measure the machine, not the code.
settings.register_profile("maskdpo", deadline=None)
settings.load_profile("maskdpo")


@pytest.fixture(scope="module")
def hub() -> Iterator[LoopbackHub]:
    """A Hub on loopback; `hub.reset()` empties it."""
    with LoopbackHub() as server:
        yield server


@pytest.fixture(scope="module")
def client(hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A process that runs maskdpo's command line against `hub`."""
    with HubProcess(hub.url, tmp_path_factory.mktemp("hf_home")) as process:
        yield process
