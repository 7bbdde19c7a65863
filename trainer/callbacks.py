"""What accompanies the training loop: its log file, its bar, and when it stops early.

The rule: a callback holds nothing that a resumed run would miss. What it must know of earlier
steps it reads from the trainer's state, which is part of every checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import ProgressCallback, TrainerCallback

from schemas.errors import InputError
from schemas.files.writing import atomic_writer
from trainer.failures import StoppedError, StopSignals, any_process

if TYPE_CHECKING:
    from trainer.monitors import Monitor


class LogFile(TrainerCallback):  # type: ignore[misc]
    """Writes every logged line to a JSONL file, and forgets lines past a resumed checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start from what the checkpoint had logged: what came after it is trained again."""
        if state.is_world_process_zero:
            with atomic_writer(self.path) as handle:
                handle.writelines(json.dumps(line) + "\n" for line in state.log_history)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log the first and the last step too: a run shorter than `logging_steps` has a curve."""
        if state.global_step in (1, state.max_steps):
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Append the newest line."""
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(state.log_history[-1]) + "\n")


class StepTimer(TrainerCallback):  # type: ignore[misc]
    """Reports to a monitor how long each step took, from its first forward pass to the optimiser.

    Evaluation, checkpoints and logging are not included. On a GPU a step that is not logged is
    timed to its launch; the next one waits for it, so that sums over several are right.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._started = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop."""
        self._monitor.add_seconds(time.perf_counter() - self._started)


class ProgressBar(ProgressCallback):  # type: ignore[misc]
    """transformers' bar, with the newest loss, margin and speed on it instead of printed lines."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show loss, margin and tokens per second of a training line."""
        if self.training_bar is not None and logs and "rewards/margins" in logs:
            shown = {"loss": f"{logs['loss']:.4f}", "margin": f"{logs['rewards/margins']:.3f}"}
            if "tokens_per_s" in logs:
                shown["tokens/s"] = f"{logs['tokens_per_s']:,.0f}"
            self.training_bar.set_postfix(shown)


class StopBetweenSteps(TrainerCallback):  # type: ignore[misc]
    """Grants a signal's wish to stop: a checkpoint, whole, then StoppedError.

    An evaluation that is due at that step comes before the checkpoint, because a resumed run
    would not make up for it. The last step of an epoch therefore waits for the epoch's end, and
    after the last step of all there is nothing left to save for: the run ends as it would have.
    """

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._stopping = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask, except where the epoch's end comes next."""
        if state.epoch != int(state.epoch):
            self._ask(args, state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask, once whatever is due at the epoch's end has been put down for it."""
        self._ask(args, state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask: an evaluation can take long."""
        self._ask(args, state, control)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop: the checkpoint is whole."""
        if self._stopping:
            name = self._signals.asked or "a signal to another process"
            raise StoppedError(
                f"stopped by {name} after step {state.global_step} of {state.max_steps}; "
                f"{Path(args.output_dir) / f'checkpoint-{state.global_step}'} is kept, and the "
                "same command continues"
            )

    def _ask(self, args: Any, state: Any, control: Any) -> None:
        if state.global_step >= state.max_steps or control.should_training_stop:
            return
        if any_process(self._signals.asked is not None, args.device):
            self._stopping = True
            control.should_log = control.should_save = True


def best_evaluation(log: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Step and `eval_loss` of the lowest evaluation in a log, the first of equal ones.

    None where nothing was evaluated.
    """
    found = [(line["eval_loss"], line["step"]) for line in log if "eval_loss" in line]
    if not found:
        return None
    loss, step = min(found)
    return int(step), float(loss)


class StopWithoutProgress(TrainerCallback):  # type: ignore[misc]
    """Stops after `patience` evaluations without a better `eval_loss`, and keeps each one's state.

    Count and best step are derived from the log, which is part of every checkpoint. The base's own
    bookkeeping misses an evaluation that a resumed run makes up for, so that it would publish
    another step than an uninterrupted run.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the best checkpoint again, and stop where the run had stopped already.

        Raises InputError when the best weights are gone: going on would silently lose them.
        """
        self._decide(args, state, control)
        if state.best_global_step and not Path(state.best_model_checkpoint).is_dir():
            raise InputError.of(
                state.best_model_checkpoint,
                "the weights of the best evaluation are not there any more; set "
                "train.resume=false to start over",
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep these weights, which may prove the best, and stop when patience is at its end."""
        control.should_save = True
        self._decide(args, state, control)

    def _decide(self, args: Any, state: Any, control: Any) -> None:
        best = best_evaluation(state.log_history)
        if best is None:
            return
        state.best_global_step, state.best_metric = best
        # By the folder of this run, which may have been moved since the checkpoint was written.
        path = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
        state.best_model_checkpoint = str(path)
        losses = [line["eval_loss"] for line in state.log_history if "eval_loss" in line]
        if len(losses) - 1 - losses.index(best[1]) >= self._patience:
            control.should_training_stop = True
