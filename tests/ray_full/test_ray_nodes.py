"""A cluster of two nodes that is there before the run, one of which ends (`make test-ray`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ray_driver import NUM_PIECES
from ray_work import make_pieces, text_of

TESTS = Path(__file__).resolve().parent.parent
# Runs the driver's work with the address of a cluster of two nodes, and ends the second one.
TWO_NODES = """
import sys
from pathlib import Path
from ray.cluster_utils import Cluster
from ray_work import STAGE, MakeToy, make_pieces
from annotator.scale.config import RayConfig
from annotator.scale.on_ray import engine
from schemas.events import Noted, Started

engine._STALL_S = 20.0
folder = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
def show(event):
    if isinstance(event, Noted):
        print("note", event.text, flush=True)
run = engine.RayRun(
    make_worker=MakeToy(log=folder / "log", row_s=0.05),
    started=Started(stage=STAGE, total=None, unit="row"),
    config=RayConfig(address=cluster.address),
    on_event=show,
)
num_done = 0
for report in engine.run_on_ray(make_pieces(folder, 16), run):
    num_done += 1
    print("done", report.piece.shard, flush=True)
    if num_done == 4:
        cluster.remove_node(second, allow_graceful=False)
print("end", num_done, flush=True)
cluster.shutdown()
"""


def test_a_lost_node_costs_what_it_had_in_hand(tmp_path: Path) -> None:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_NODES, tmp_path],
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"end {NUM_PIECES}"
    finished = [line for line in lines if line.startswith("done")]
    assert len(finished) == len(set(finished)) == NUM_PIECES
    for piece in make_pieces(tmp_path, NUM_PIECES):
        assert piece.output.read_text() == text_of(piece)
