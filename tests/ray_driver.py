"""A run on Ray in a process of its own, for tests that kill it: `python ray_driver.py FOLDER`.

Prints `missing N`, a line `done I/N` per finished piece, and `end` or `interrupted`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ray_work import STAGE, MakeToy, make_pieces

from annotator.scale.config import RayConfig
from annotator.scale.on_ray.engine import RayRun, run_on_ray
from schemas.events import Started

NUM_PIECES = 16


def main() -> None:
    folder = Path(sys.argv[1])
    pieces = [item for item in make_pieces(folder, NUM_PIECES) if not item.output.exists()]
    print("missing", len(pieces), flush=True)
    run = RayRun(
        make_worker=MakeToy(log=folder / "log", row_s=0.1),
        started=Started(stage=STAGE, total=None, unit="row"),
        config=RayConfig(address="local", actors=2, cpus_per_actor=0.5),
    )
    try:
        for report in run_on_ray(pieces, run):
            print("done", report.piece.shard, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return
    print("end", flush=True)


if __name__ == "__main__":
    main()
