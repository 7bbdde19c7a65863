"""A cluster of two nodes that is there before the run, one of which ends (`make test-ray`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ray_driver import NUM_PIECES
from ray_work import make_pieces, text_of

from annotator.scale.on_ray.local_cluster import QUIET

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
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": int(sys.argv[2])})
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
try:
    for report in engine.run_on_ray(make_pieces(folder, 16), run):
        num_done += 1
        print("done", report.piece.shard, flush=True)
        if num_done == 4:
            cluster.remove_node(second, allow_graceful=False)
except Exception as error:
    print(type(error).__name__, error)
print("end", num_done, flush=True)
cluster.shutdown()
"""


def run_with_a_lost_node(folder: Path, *, head_cpus: int) -> list[str]:
    """What the driver prints; the node that ends has one CPU."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    # The script imports Ray before the engine does, so these are set here.
    environment = {**os.environ, **QUIET, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_NODES, folder, str(head_cpus)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_lost_node_costs_what_it_had_in_hand(tmp_path: Path) -> None:
    lines = run_with_a_lost_node(tmp_path, head_cpus=1)
    assert lines[-1] == f"end {NUM_PIECES}"
    finished = [line for line in lines if line.startswith("done")]
    assert len(finished) == len(set(finished)) == NUM_PIECES
    for piece in make_pieces(tmp_path, NUM_PIECES):
        assert piece.output.read_text() == text_of(piece)


def test_without_any_node_for_a_worker_the_run_ends_with_one_sentence(tmp_path: Path) -> None:
    lines = run_with_a_lost_node(tmp_path, head_cpus=0)
    assert lines[-1].startswith("end")
    assert lines[-2].startswith("ConfigError a worker needs 1 CPUs and 0 GPUs, but the cluster has")
    done = [piece for piece in make_pieces(tmp_path, NUM_PIECES) if piece.output.exists()]
    assert len(done) >= 4
