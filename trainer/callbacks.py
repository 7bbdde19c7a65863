"""Callbacks of the training loop: log file, progress bar, stop on a signal, early stopping.

The rule: a callback keeps no state that a resumed run would lack. What it must know about earlier
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
    """Writes every logged line to a JSONL file, and removes lines after a resumed checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start from the checkpoint's log: later steps are trained again."""
        if state.is_world_process_zero:
            with atomic_writer(self.path) as handle:
                handle.writelines(json.dumps(line) + "\n" for line in state.log_history)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log the first and last step too, so that a run below `logging_steps` has a curve."""
        if state.global_step in (1, state.max_steps):
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Append the newest line."""
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(state.log_history[-1]) + "\n")


class StepTimer(TrainerCallback):  # type: ignore[misc]
    """Reports the time of each step to a monitor, from its first forward pass to the optimiser.

    Evaluation, checkpoints and logging are not included. On a GPU, a step that is not logged is
    timed until its kernels are launched; the next step waits for it, so that sums over several
    steps are correct.
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
    """transformers' progress bar, with the newest loss, margin and speed; prints no lines."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show loss, margin and tokens per second of a training line."""
        if self.training_bar is not None and logs and "rewards/margins" in logs:
            shown = {"loss": f"{logs['loss']:.4f}", "margin": f"{logs['rewards/margins']:.3f}"}
            if "tokens_per_s" in logs:
                shown["tokens/s"] = f"{logs['tokens_per_s']:,.0f}"
            self.training_bar.set_postfix(shown)


class StopBetweenSteps(TrainerCallback):  # type: ignore[misc]
    """Stops after a signal: writes a complete checkpoint, then raises StoppedError.

    An evaluation that is due at that step runs before the checkpoint, because a resumed run would
    not repeat it. Therefore the last step of an epoch waits for the epoch's end. After the last
    step of the run there is no need to stop: the run ends normally.
    """

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._stopping = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check for a signal, unless the epoch ends next."""
        if state.epoch != int(state.epoch):
            self._ask(args, state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check for a signal, after what is due at the epoch's end has been scheduled."""
        self._ask(args, state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check for a signal: an evaluation can take long."""
        self._ask(args, state, control)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop: the checkpoint is complete."""
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
    """Step and `eval_loss` of the lowest evaluation in a log; of equal ones the first.

    None when nothing was evaluated.
    """
    found = [(line["eval_loss"], line["step"]) for line in log if "eval_loss" in line]
    if not found:
        return None
    loss, step = min(found)
    return int(step), float(loss)


class StopWithoutProgress(TrainerCallback):  # type: ignore[misc]
    """Stops after `patience` evaluations without a lower `eval_loss`; saves each evaluated state.

    Count and best step are derived from the log, which is part of every checkpoint. The base
    class's own bookkeeping misses an evaluation that a resumed run repeats, so it would publish the
    weights of a different step than an uninterrupted run.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the best checkpoint again; stop if the run had already stopped.

        Raises InputError when the best weights are missing: to continue would silently lose them.
        """
        self._decide(args, state, control)
        if state.best_global_step and not Path(state.best_model_checkpoint).is_dir():
            raise InputError.of(
                state.best_model_checkpoint,
                "the weights of the best evaluation are missing; set "
                "train.resume=false to start over",
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save these weights, which may be the best, and stop when patience is used up."""
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
