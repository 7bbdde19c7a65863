"""Put small faults into the code one at a time: a test must fail for each of them.

    python tests/mutants.py               all of `mutant_table`, about an hour; or: make mutants
    python tests/mutants.py kl loss.py    those whose name or file has one of these words
    python tests/mutants.py --fast        without those whose tests start several processes
    python tests/mutants.py --list        what there is

The rule: a fault goes into a temporary copy of the project, never into the files themselves. The
tests that are named must pass in the copy without a fault first; else "killed" would mean nothing.

Exit code: 0 when all are killed, 1 when one survives, 2 when the table does not fit the code or the
tests fail without a fault.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutant_rows import Mutant
from mutant_table import MUTANTS
from structure import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
COPIED = (*PACKAGES, "tests", "benchmarks")
COPIED_TOO = (
    "docs",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "LICENSE",
    "CONTRIBUTING.md",
    "Makefile",
)
LIMIT_S = 300  # a mutant whose tests do not end is killed too


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="only mutants whose name or file has one of these")
    parser.add_argument("--list", action="store_true", help="print the mutants and their tests")
    parser.add_argument("--fast", action="store_true", help="leave out those with slow tests")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if is_chosen(m, options.words) and not (options.fast and m.slow)]
    if not chosen:
        return refuse(f"no mutant has {' or '.join(options.words)} in its name or file; see --list")
    if options.list:
        for mutant in chosen:
            slow = "  (slow)" if mutant.slow else ""
            print(f"{mutant.name:40} {mutant.file:34} {mutant.tests}{slow}")
        return 0
    faults = [fault for mutant in chosen if (fault := misfit(mutant))]
    if faults:
        return refuse("\n".join(faults))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        return run_all(chosen, Path(folder).resolve())


def is_chosen(mutant: Mutant, words: Sequence[str]) -> bool:
    return not words or any(word in mutant.name or word in mutant.file for word in words)


def misfit(mutant: Mutant) -> str | None:
    """What is wrong with a row of the table; None when it fits the code."""
    count = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)
    if count != 1:
        return (
            f"{mutant.name}: {mutant.old!r} is {count} times in {mutant.file}, must be once; "
            "correct its row in the table (tests/mutant_table*.py)"
        )
    for name in files_of(mutant):
        if not (ROOT / name.split("::")[0]).is_file():
            return f"{mutant.name}: there is no {name}"
    return None


def files_of(mutant: Mutant) -> list[str]:
    """Files and node ids, without the options that narrow them."""
    return [f"tests/{word}" for word in mutant.tests.split(" -k ")[0].split()]


def pytest_arguments(mutant: Mutant) -> list[str]:
    _, narrows, expression = mutant.tests.partition(" -k ")
    return [*files_of(mutant), *(["-k", expression] if narrows else [])]


def refuse(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def run_all(chosen: Sequence[Mutant], folder: Path) -> int:
    copy_project(folder)
    found = run([sys.executable, "-c", "import trainer; print(trainer.__file__)"], folder).output
    if str(folder) not in found:
        return refuse(f"python imports {found.strip()}, not the copy in {folder}")
    if not pass_without_a_fault(chosen, folder):
        return 2
    survivors: list[str] = []
    unclear: list[str] = []
    for number, mutant in enumerate(chosen, start=1):
        print(f"[{number:3}/{len(chosen)}] {mutant.name:40} ", end="", flush=True)
        result = run_mutant(mutant, folder)
        print(f"{result.verdict:9} {result.seconds:5.1f} s  {result.killer}", flush=True)
        if result.verdict == "SURVIVED":
            survivors.append(mutant.name)
        elif result.verdict != "killed":
            unclear.append(f"{mutant.name}: pytest ended with {result.code}\n{result.output}")
    num_killed = len(chosen) - len(survivors) - len(unclear)
    print(f"{num_killed} of {len(chosen)} killed", end="")
    print(f"; survived: {', '.join(survivors)}" if survivors else "")
    if unclear:
        return refuse("\n".join(unclear))
    return 1 if survivors else 0


def copy_project(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".*", "with_vllm")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in COPIED_TOO:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)


def pass_without_a_fault(chosen: Sequence[Mutant], folder: Path) -> bool:
    """Run all tests that are named on the code as it is."""
    narrowed = [pytest_arguments(mutant) for mutant in chosen if " -k " in mutant.tests]
    others = [name for mutant in chosen if " -k " not in mutant.tests for name in files_of(mutant)]
    selections = [*narrowed, *([others] if others else [])]
    for selection in dict.fromkeys(tuple(dict.fromkeys(names)) for names in selections):
        print(f"without a fault: {' '.join(selection)} ", end="", flush=True)
        result = run_tests(selection, folder)
        print(f"{result.seconds:.1f} s", flush=True)
        if result.code != 0:
            refuse(
                f"these tests end with {result.code} without a fault, so they can show none; make "
                f"them pass first\n{result.output}"
            )
            return False
    return True


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a process ended. `code` is None when it did not within the limit."""

    code: int | None
    output: str
    seconds: float

    @property
    def verdict(self) -> str:
        """pytest ends with 1 when a test failed; 2 and more mean that it did not get to run."""
        return {0: "SURVIVED", 1: "killed", None: "killed"}.get(self.code, "error")

    @property
    def killer(self) -> str:
        """The test that failed."""
        if self.code is None:
            return f"did not end within {LIMIT_S} s"
        lines = self.output.splitlines()
        named = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        node = named[0].split(" - ")[0] if named else ""
        return node.removeprefix("FAILED ").removeprefix("ERROR ").removeprefix("tests/")


def run_mutant(mutant: Mutant, folder: Path) -> Result:
    path = folder / mutant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return run_tests(pytest_arguments(mutant), folder)
    finally:
        path.write_text(before, encoding="utf-8")


def run_tests(selection: Sequence[str], folder: Path) -> Result:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return run([*command, "--hypothesis-seed=0", "--tb=line", *selection], folder)


def run(command: Sequence[str], folder: Path) -> Result:
    """Run in the copy, in a session of its own, so that what a test starts ends with it."""
    # Without bytecode: a fault that keeps a file's size and second would not be seen.
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        code = None
    return Result(code=code, output=output, seconds=time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
