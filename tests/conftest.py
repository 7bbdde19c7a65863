"""What all tests share: no test depends on a clock or on a network."""

from __future__ import annotations

import os

from hypothesis import settings

# Before any test imports a Hugging Face library: nothing may be looked up on a Hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Before any test imports torch: sums over two threads differ in their last bit from sums over one,
# and resumed runs are compared with uninterrupted ones bit by bit.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Deadlines measure the machine, not the code.
settings.register_profile("maskdpo", deadline=None)
settings.load_profile("maskdpo")
