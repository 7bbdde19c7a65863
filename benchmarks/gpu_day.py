"""One GPU, ten minutes: the step table next to TRL, then the study with a real model.

    python benchmarks/gpu_day.py --minutes 10 --output gpu_day      one GPU; written for 140 GB
    python benchmarks/gpu_day.py --dry-run --output dry             a CPU: the same code, tiny sizes

Parts, in this order:

    steps   `train_step_gpu.py`: 0.5B with full weights at three lengths, 8B with LoRA at one,
            TRL with a cached reference as the peer
    real    the study with a real model (maskdpo/study/real): base, DPO, Mask-DPO, span masks, on
            unseen people, for each seed

Every part runs in a process of its own, with a limit in seconds, and is killed at that limit. What
it has by then is in its file: `steps.json` is written after each row, `real.json` has each finished
seed and `real_stages.json` each finished stage, `day.json` and `table.md` are written after each
part; every file at once or not at all. A dry run has a start model, study and real-dry.json of its
own, and does not run in the folder of a real one. A part gets its share of the time that is left,
so what one does not use goes to the next; a part or row that needs more time than it would get is
skipped, with the reason. The same command in the same folder continues.

Nothing is downloaded. Without --model the study starts from random weights in the shape of
SmolLM2-135M, with a tokenizer that is learned from the study's own texts, so only the code has to
be carried to the GPU. Pretrained weights do not fit into 64 MiB next to it (bfloat16: 257 MB).
Packages that a machine with torch and transformers may lack (datasets, dill, multiprocess, pydantic
with three of its own, httpx2 with three of its own, sentencex, trl) are 5.8 MiB as wheels.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from schemas.files.writing import atomic_writer, write_json  # noqa: E402
from schemas.packages import is_installed  # noqa: E402

CARRIED_MIB = 64
END_S = 5.0  # kept for the last table


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part: its share of the time, the least seconds in which it can give anything, and the
    packages that it imports."""

    name: str
    share: float
    least_s: float
    packages: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if not is_installed(name)]


_BOTH = ("torch", "transformers", "accelerate", "peft", "datasets", "pydantic", "scipy")
PARTS = (
    Part(name="steps", share=0.45, least_s=60.0, packages=(*_BOTH, "trl")),
    Part(name="real", share=0.55, least_s=90.0, packages=(*_BOTH, "sentencex")),
)
# The dry run measures nothing, so every part may be short.
DRY_PARTS = tuple(replace(part, least_s=5.0) for part in PARTS)


@dataclass(kw_only=True)
class Budget:
    """The seconds of the whole run, and what is left of them."""

    total_s: float
    clock: Callable[[], float] = time.monotonic
    started: float = field(default=-1.0)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def left_s(self) -> float:
        """Seconds that are left, without those for the end; never negative."""
        return max(0.0, self.total_s - END_S - (self.clock() - self.started))

    def limit(self, part: Part, later: Sequence[Part]) -> float:
        """Seconds for `part`: its share of what is left, relative to those of the later parts."""
        return self.left_s * part.share / (part.share + sum(other.share for other in later))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the step table, and the least seconds that it needs (an estimate)."""

    model: str
    way: str
    lengths: str
    least_s: float


STEP_ROWS = (
    *(
        Row(model="0.5b", way="full", lengths=lengths, least_s=25.0)
        for lengths in ("64/256/256", "256/128/128", "1024/256/256")
    ),
    Row(model="8b", way="lora", lengths="1024/256/256", least_s=60.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Runs the step table and the real-model study on one GPU, within a time.",
        epilog="Writes steps.json, real.json, real_stages.json, day.json and table.md; prints the "
        "table and, as its last line, one JSON object.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="time for everything [10]")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder of models and samples [OUTPUT/work]")
    parser.add_argument(
        "--model", type=Path, help="model folder of the study [random weights, made here]"
    )
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of the study [3]")
    parser.add_argument("--only", choices=[part.name for part in PARTS], help="one part alone")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on a CPU too")
    parser.add_argument("--part", choices=[part.name for part in PARTS], help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.minutes <= 0:
        parser.error(f"--minutes {options.minutes:g}: must be more than 0")
    if options.seeds < 1:
        parser.error(f"--seeds {options.seeds}: must be 1 or more")
    options.work = options.work or options.output / "work"
    if options.part:
        CHILDREN[options.part](options)
        return
    if not options.dry_run and not has_gpu():
        parser.exit(1, "gpu_day: torch finds no GPU here; --dry-run runs tiny sizes on a CPU\n")
    if other := other_kind(options.output, dry_run=options.dry_run):
        kind = "real" if options.dry_run else "dry"
        parser.error(f"{other}: is of a {kind} run; name another folder with --output")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        print(json.dumps(run_day(options, choose_parts(options))))
    except KeyboardInterrupt:
        parser.exit(130, "gpu_day: stopped; run the same command again to continue\n")


def other_kind(output: Path, *, dry_run: bool) -> Path | None:
    """The first file in `output` of a day of the other kind, dry or real, whose rows would go."""
    for path in (output / "day.json", output / "steps.json"):
        if path.exists() and json.loads(path.read_text("utf-8")).get("dry_run") != dry_run:
            return path
    return None


def choose_parts(options: argparse.Namespace) -> list[Part]:
    parts = DRY_PARTS if options.dry_run else PARTS
    return [part for part in parts if options.only in (None, part.name)]


def run_day(
    options: argparse.Namespace,
    parts: Sequence[Part],
    *,
    start: Callable[[Part, float, argparse.Namespace], dict[str, Any]] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Run the parts one after the other; the record of the day, as in day.json."""
    budget = Budget(total_s=60 * options.minutes, clock=clock)
    options.output.mkdir(parents=True, exist_ok=True)
    day: dict[str, Any] = {
        "minutes": options.minutes,
        "dry_run": options.dry_run,
        "carried_mib": carried(options.model),
        "parts": {},
    }
    print(describe_carried(day["carried_mib"]), flush=True)
    for place, part in enumerate(parts):
        limit = budget.limit(part, parts[place + 1 :])
        if missing := part.missing():
            found = {"state": "skipped", "reason": f"not installed: {', '.join(missing)}"}
        elif limit < part.least_s:
            reason = f"{limit:.0f} s are left for it, and it needs {part.least_s:.0f} s"
            found = {"state": "skipped", "reason": reason}
        else:
            print(f"{part.name}: at most {limit:.0f} s", flush=True)
            found = (start or run_part)(part, limit, options)
        day["parts"][part.name] = found
        day["seconds"] = round(clock() - budget.started, 1)
        write_json(options.output / "day.json", day)
        with atomic_writer(options.output / "table.md") as handle:
            handle.write(render(day, options.output))
        print(f"{part.name}: {found['state']}; {found.get('reason', '')}".rstrip("; "), flush=True)
    print((options.output / "table.md").read_text(encoding="utf-8"), flush=True)
    return day


def run_part(part: Part, limit: float, options: argparse.Namespace) -> dict[str, Any]:
    """A part in a process of its own, killed with all of its processes at its limit.

    Also killed when this process is stopped: the part would hold the GPU, next to the next run.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--part", part.name]
    command += ["--seconds", f"{limit:.1f}", "--output", str(options.output)]
    command += ["--work", str(options.work), "--seeds", str(options.seeds)]
    command += ["--model", str(options.model)] if options.model else []
    command += ["--dry-run"] if options.dry_run else []
    started = time.monotonic()
    child = subprocess.Popen(command, start_new_session=True)
    try:
        code = child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        kill_all(child)
        code = None
    except BaseException:
        kill_all(child)
        raise
    seconds = round(time.monotonic() - started, 1)
    if part.name == "real":
        keep_results(options)
    if code is None:
        return {"state": "cut", "seconds": seconds, "reason": f"its limit was {limit:.0f} s"}
    if code:
        return {"state": "failed", "seconds": seconds, "reason": f"exit code {code}; see above"}
    return {"state": "done", "seconds": seconds}


def kill_all(child: subprocess.Popen[bytes]) -> None:
    """End a process and all of its session."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run_steps(options: argparse.Namespace) -> None:
    """The step table: a row at a time, while there is time for the next one."""
    import logging
    import warnings

    deadline = time.monotonic() + options.seconds
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import torch
    import train_step_gpu as steps

    path = options.output / "steps.json"
    head = {"device": steps.device_name(), "torch": torch.__version__, "dry_run": options.dry_run}
    rows = rows_of_before(path, head)
    for row in STEP_ROWS:
        name = f"{row.model}-tiny" if options.dry_run else row.model
        if any(has_row(found, f"{name}-{row.way}", row.lengths) for found in rows):
            continue
        left = deadline - time.monotonic()
        least = 5.0 if options.dry_run else row.least_s
        if left < least:
            reason = f"{left:.0f} s were left, and it needs about {least:.0f} s"
            found = {"shape": f"{name}-{row.way}", "lengths": row.lengths, "skipped": reason}
        else:
            micro, accumulation = (
                (2, 1) if options.dry_run else steps.SIZES[f"{row.model}-{row.way}"]
            )
            found = steps.measure_point(
                steps.Point(
                    model=name,
                    way=row.way,
                    lengths=row.lengths,
                    share=0.6,
                    micro=micro,
                    accumulation=accumulation,
                    steps=2 if options.dry_run else 4,
                    published=False,
                )
            )
            print(steps.describe(found), flush=True)
        rows.append(found)
        write_json(path, head | {"rows": rows})


def rows_of_before(path: Path, head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Measured rows of an earlier run on the same device; none if anything else was measured."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if any(values.get(key) != value for key, value in head.items()):
        return []
    return [row for row in values["rows"] if not row.get("skipped") and not row["errors"]]


def has_row(row: Mapping[str, Any], shape: str, lengths: str) -> bool:
    return (row["shape"], row["lengths"]) == (shape, lengths)


def run_real(options: argparse.Namespace) -> None:
    """The study with a real model, seed by seed, in the folder of work."""
    try:
        from maskdpo.cli.progress import Progress
        from maskdpo.study.real.run import run_real_study
    except ImportError as error:
        sys.exit(f"gpu_day: the study with a real model cannot be imported: {error}")
    start = options.work / ("start-dry" if options.dry_run else "start")
    model = options.model or make_start(start, dry_run=options.dry_run)
    run_real_study(
        real_config(model, options),
        options.work / study_name(dry_run=options.dry_run),
        device="cuda" if has_gpu() else "cpu",
        keep_models=False,
        on_stage=lambda text: print(text, flush=True),
        on_event=Progress(),
    )


def study_name(*, dry_run: bool) -> str:
    """The folder of the study, and the first part of the names of its results."""
    return "real-dry" if dry_run else "real"


def real_config(model: Path, options: argparse.Namespace) -> Any:
    """The study's settings: its own for a given model, longer training from random weights."""
    from maskdpo.study.real.config import RealConfig, SupervisedConfig, quick_config

    if not options.dry_run:
        config = RealConfig(model=str(model), num_seeds=options.seeds)
        if options.model:
            return config
        longer = SupervisedConfig(
            max_steps=3000, batch_size=32, learning_rate=5e-4, warmup_steps=100, check_every=100
        )
        return config.model_copy(update={"supervised": longer})
    quick = quick_config(str(model), num_seeds=1)
    tiny = SupervisedConfig(
        max_steps=150,
        batch_size=8,
        learning_rate=3e-3,
        check_every=150,
        stop_at=1.0,
        low=0.0,
        high=1.0,
    )
    return quick.model_copy(
        update={
            "world": quick.world.model_copy(update={"num_values": 2}),
            "supervised": tiny,
            "dtype": "float32",
        }
    )


def make_start(folder: Path, *, dry_run: bool) -> Path:
    """A model folder without weights: SmolLM2-135M's shape, a tokenizer of the study's texts.

    One of another shape is written again.
    """
    from schemas.files.sidecar import read_object

    shape = (64, 128, 2, 4, 2) if dry_run else (576, 1536, 30, 9, 3)
    hidden, inner, layers, heads, shared = shape
    if read_object(folder / "config.json").get("hidden_size") == hidden:
        return folder
    from transformers import LlamaConfig

    from maskdpo.scratch_model import train_tokenizer
    from maskdpo.study.real.config import RealConfig
    from maskdpo.study.world.people import make_world
    from maskdpo.study.world.writing import make_documents

    worlds = [make_world(RealConfig(model="-").world, seed=seed) for seed in range(3)]
    texts = (item.text for world in worlds for item in make_documents(world))
    tokenizer = train_tokenizer(texts, vocab_size=600 if dry_run else 4096)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    tokenizer.save_pretrained(folder)
    config.save_pretrained(folder)
    return folder


def keep_results(options: argparse.Namespace) -> None:
    """Copy what the study has written so far to the folder of results: figures, stage records."""
    name = study_name(dry_run=options.dry_run)
    study = options.work / name
    for written, kept in (("results.json", f"{name}.json"), ("table.md", f"{name}.md")):
        if (study / written).exists():
            with atomic_writer(options.output / kept) as handle:
                handle.write((study / written).read_text(encoding="utf-8"))
    stages = {
        f"{path.parent.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(study.glob("seed-*/stages/*.json"))
    }
    write_json(options.output / f"{name}_stages.json", stages)


def render(day: Mapping[str, Any], output: Path) -> str:
    """The day as Markdown: the parts, the step table, the study's own tables."""
    lines = ["| part | state | seconds | reason |", "|---|---|---|---|"]
    for name, part in day["parts"].items():
        seconds = f"{part['seconds']:g}" if "seconds" in part else "-"
        lines.append(f"| {name} | {part['state']} | {seconds} | {part.get('reason', '')} |")
    lines += ["", *render_steps(output / "steps.json")]
    study = output / f"{study_name(dry_run=day['dry_run'])}.md"
    text = "Study with a real model: no seed was finished."
    lines += ["", study.read_text(encoding="utf-8").rstrip() if study.exists() else text]
    if day["dry_run"]:
        lines += ["", "A dry run at tiny sizes: no figure above is a measurement."]
    return "\n".join(lines) + "\n"


def render_steps(path: Path) -> list[str]:
    if not path.exists():
        return ["Step table: not measured."]
    values = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        f"Training steps on one {values['device']}, torch {values['torch']}; TRL with a cached "
        "reference is the peer; medians of the steps after the first.",
        "",
        "| model | prompt/chosen/rejected | pairs/s TRL, maskdpo | speed over TRL | products allow "
        "| MFU TRL, maskdpo | peak TRL, maskdpo, GiB | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in values["rows"]:
        note = row.get("skipped") or "; ".join(f"{k}: {v}" for k, v in row["errors"].items())
        cells = [
            row["shape"],
            row["lengths"],
            pair_of(row, "pairs_s"),
            figure(row.get("vs_trl_best")),
            figure(row.get("flop_ratio_trl")),
            pair_of(row, "mfu"),
            pair_of(row, "peak_gib"),
            note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def pair_of(row: Mapping[str, Any], name: str) -> str:
    return f"{figure(row.get(f'trl_cached_{name}'))}, {figure(row.get(f'ours_{name}'))}"


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def carried(model: Path | None) -> dict[str, float]:
    """MiB of what a GPU machine needs: the files of this repository, and the given model folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # a copy without its history
        files = [path for path in ROOT.rglob("*") if "work" not in path.parts]
    weights = list(model.rglob("*")) if model else []
    return {"code": size_mib(files), "model": size_mib(weights)}


def size_mib(paths: Sequence[Path]) -> float:
    return round(sum(path.stat().st_size for path in paths if path.is_file()) / 2**20, 2)


def describe_carried(sizes: Mapping[str, float]) -> str:
    total = sum(sizes.values())
    fits = "fits into" if total <= CARRIED_MIB else "does not fit into"
    parts = " + ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    return f"to carry to a GPU machine: {parts} = {total:.1f} MiB, {fits} {CARRIED_MIB} MiB"


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


CHILDREN: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "steps": run_steps,
    "real": run_real,
}

if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
