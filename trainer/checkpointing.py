"""Checkpoints on top of `transformers.Trainer`: complete or absent, also for adapters.

The rule: a complete checkpoint is never overwritten, and never replaced by a damaged one. The
weights, optimiser and random state of a step do not change after the step; only its log can grow
(an evaluation after the save), and that file is replaced by a rename.

transformers 5.23 loads optimiser, scheduler and random state with `weights_only=True`: a pickle
that would run code is refused. Weights are read from safetensors; under FSDP from the file that
torch writes, also with `weights_only=True`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer

from schemas.files.writing import follow_umask
from trainer.failures import NonFiniteLossError, any_process, gather_lists
from trainer.lora import has_adapter, load_adapter
from trainer.processes import reshard, wait_for_all
from trainer.run_folder import STATE_FILE


class CheckpointingTrainer(Trainer):  # type: ignore[misc]
    """`transformers.Trainer` with this module's rule for checkpoints.

    `saved_step` is the step of the newest complete checkpoint; set it to the step that is resumed.
    `step_ids` are the ids of the pairs of the current step; `saving_seconds` holds the seconds that
    each checkpoint of this process took. Raises NonFiniteLossError instead of saving weights that
    are infinite or not a number.
    """

    saved_step: int | None = None
    saving_seconds: list[float]
    step_ids: Sequence[str] = ()
    _bad_before = 0

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """The base's."""
        self.saving_seconds = []
        self._bad_before = self._count_bad()
        return super().train(*args, **kwargs)

    def is_spoilt(self) -> bool:
        """Whether weights are infinite or not a number; every process must call this."""
        return any_process(self._count_bad() > self._bad_before, self.args.device)

    def _count_bad(self) -> int:
        """Names of this process's weights that are infinite or not a number."""
        count = 0
        for parameter in self.model.parameters():
            mine = getattr(parameter, "ds_tensor", parameter)  # DeepSpeed's shard
            mine = mine.to_local() if hasattr(mine, "to_local") else mine  # FSDP's
            count += int((~mine.detach().isfinite()).sum())
        return count

    def save_now(self) -> Path:
        """Write the current state, unless it is already saved; returns the checkpoint folder.

        Every process must call this. Raises NonFiniteLossError when weights are not finite.
        """
        self._save_checkpoint(self.model, None)
        return self._checkpoint(self.state.global_step)

    def _checkpoint(self, step: int) -> Path:
        return Path(self.args.output_dir) / f"checkpoint-{step}"

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        started = time.monotonic()
        if self.saved_step != step:
            if self.is_spoilt():
                raise NonFiniteLossError(gather_lists(list(self.step_ids)), what="weight update")
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                for path in self._checkpoint(step).glob("*.safetensors"):
                    follow_umask(path)  # safetensors makes files that only their owner can read
            self.saved_step = step
            wait_for_all()  # complete before any process may exit
            self.saving_seconds.append(time.monotonic() - started)
            return
        if self.args.should_save:
            path = self._checkpoint(step) / STATE_FILE
            temporary = path.with_name(f".{STATE_FILE}")
            self.state.save_to_json(str(temporary))
            temporary.replace(path)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Skip the step once training is to stop: a resumed run may have taken its last step."""
        is_over = self.control.should_training_stop or (
            self.state.global_step >= self.state.max_steps
        )
        if not is_over:
            super()._run_epoch(*args, **kwargs)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        wait_for_all()  # the state file, written next, marks the checkpoint as complete

    def _determine_best_metric(self, *_: Any, **__: Any) -> bool:
        """`StopWithoutProgress` derives the best step from the log; nothing else is kept of it."""
        return False

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if has_adapter(self.model):
            load_adapter(self.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if has_adapter(self.model):
            load_adapter(self.model, Path(self.state.best_model_checkpoint))
            return
        if self.is_fsdp_enabled:
            reshard(self.model)
        super()._load_best_model()
