"""`run_train`: from a data set and a policy to a trained model folder.

The rule: everything is read, checked and masked before anything costs time. A data set or a setting
that cannot train is reported before the reference pass, with the count of every reason, and before
an earlier run's folder is deleted.

    OUTPUT/
        config.json, model.safetensors, tokenizer, chat template     the trained model
        training_log.jsonl      one line per logging step
        training.json           sidecar: key, settings, counts; `finished` once it is complete
        dropped.jsonl           pairs that could not train, each with its reason
        checkpoints/            while running; see `trainer.run_folder`
    OUTPUT/../reference/        log-probabilities of the reference; see `trainer.reference`
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.files.jsonl import read_records
from schemas.records import Failure
from schemas.stage import StageResult, failures_path
from trainer.choice import Choice, choose_layout
from trainer.config import TrainConfig, compute_settings, run_settings
from trainer.data import PairFiles, find_pair_files
from trainer.failures import StopSignals, explain_full_disk, explain_out_of_memory
from trainer.fit import Fitted, fit
from trainer.lora import add_adapter, check_adapter
from trainer.models import (
    check_positions,
    check_router,
    check_vocabulary,
    hash_tokenizer,
    hash_weights,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
    quiet_library_bars,
    require_packages,
    resolve_model,
    trusted_code,
)
from trainer.processes import (
    as_main_says,
    count_processes,
    is_main,
    join_processes,
    main_first,
    wait_for_all,
)
from trainer.publish import save_model
from trainer.reference import (
    ReferenceCache,
    ReferenceModel,
    reference_logps,
    with_reference,
)
from trainer.render import check_tokenizer
from trainer.run_folder import (
    CHECKPOINTS,
    FinishedRun,
    RunIdentity,
    claim_folder,
    refuse_overlap,
    refuse_undeletable,
    write_manifest,
)
from trainer.splits import (
    Splits,
    count_splits,
    drop_notes,
    prepare_splits,
    span_notes,
    write_rejects,
)
from trainer.template_date import freeze_date, record_date

logger = logging.getLogger(__name__)

_MEMORY_OF_WEIGHTS = (
    "its weights take 4 bytes each, and training all of them 12 more: shard them over GPUs with "
    "FSDP2, or train an adapter (train.lora), whose frozen weights take 2 bytes each in bfloat16; "
    "the recipes show how (maskdpo recipes)"
)
# LoRA papers and libraries use learning rates of 1e-5 to 1e-3. AdamW moves each weight of the
# adapter by about the learning rate per step, and its second matrix starts at zero.
_LEAST_LORA_RATE = 1e-6


def run_train(config: TrainConfig, *, dataset: Path | PairFiles, output: Path) -> StageResult:
    """Train `config.model` on the pairs of `dataset` into the folder `output`.

    dataset    a folder or a file, or the files of a data set that was opened elsewhere

    Raises InputError (data or model unusable), ConfigError (a setting, or another run's folder),
    BackendError (device, Hub, non-finite loss, full disk, a signal) and MissingPackageError.
    """
    writing = explain_full_disk(output, doing="writing the files of the run")
    with StopSignals() as signals, writing:
        return _run(config, dataset=dataset, output=output, signals=signals)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """The inputs of a run, and its identity.

    config    as the run uses it: progress only in the main process, the template's date frozen
    """

    config: TrainConfig
    output: Path
    files: PairFiles
    model_folder: Path
    weights_hash: str
    cache_folder: Path
    identity: RunIdentity


@dataclass(frozen=True, kw_only=True, slots=True)
class _Policy:
    """The model that trains, how it computes, and notes for the user."""

    model: Any
    choice: Choice
    device: Any
    dtype: Any
    notes: list[str]


def _run(
    config: TrainConfig, *, dataset: Path | PairFiles, output: Path, signals: StopSignals
) -> StageResult:
    run = _plan(_join(config), dataset=dataset, output=output)
    finished = _claim_to_continue(run)
    if finished is not None:
        return _finished_result(output, finished)
    notes = _trust_notes(run.identity) + _rate_notes(run.config)
    tokenizer = load_tokenizer(run.model_folder, trust=run.config.trust_remote_code)
    where, values = str(run.model_folder), run.config.template_values
    notes += check_tokenizer(tokenizer, where=where, kwargs=values)
    splits = prepare_splits(run.files, tokenizer, run.config)
    _require_test_split(run.config, splits, run.files)
    notes += span_notes(splits, run.config)

    started = time.monotonic()
    policy = _prepare_policy(run, tokenizer, splits)
    notes += policy.notes
    _claim_to_start_over(run)
    if is_main():
        write_rejects(splits, output)
        notes += record_date(run.config, run.cache_folder)
    logps, reference_counts = _compute_reference(run, policy, splits)
    referenced = time.monotonic()
    with signals.deferred():
        fitted = _fit(run, policy, splits, logps, signals=signals)
        if is_main():
            notes += _save(run, policy, tokenizer, fitted)
        counts = count_splits(splits) | reference_counts | _count_steps(fitted)
        if is_main():
            _mark_finished(run, counts=counts, timings=_timings(started, referenced))
        wait_for_all()
    notes += [*_stop_notes(run.config, fitted), *fitted.notes]
    return StageResult(
        output=output,
        num_rows=splits.num_rows,
        failures=splits.failures,
        counts=counts,
        notes=notes + drop_notes(splits, output),
    )


def _join(config: TrainConfig) -> TrainConfig:
    """Join the other processes of the run; returns the settings for this one."""
    require_packages(config)
    join_processes(cpu=config.device == "cpu", has_adapter=config.lora is not None)
    quiet_library_bars()
    return config.model_copy(update={"progress": config.progress and is_main()})


def _plan(config: TrainConfig, *, dataset: Path | PairFiles, output: Path) -> _Run:
    """Find the inputs of the run and decide its identity, before anything is loaded."""
    files = dataset if isinstance(dataset, PairFiles) else find_pair_files(dataset)
    model_folder = resolve_model(config)
    trust = config.trust_remote_code
    # Only the main process reads all weights for this: the others would read the same disk.
    weights_hash = as_main_says(hash_weights(model_folder, trust=trust) if is_main() else "")
    cache_folder = config.reference_dir or output.parent / "reference"
    refuse_overlap(output, model=model_folder, dataset=files.root, reference=cache_folder)
    config = freeze_date(config, model_folder, output=output, cache=cache_folder)
    return _Run(
        config=config,
        output=output,
        files=files,
        model_folder=model_folder,
        weights_hash=weights_hash,
        cache_folder=cache_folder,
        identity=_identify(config, files, model_folder, weights_hash),
    )


def _claim_to_continue(run: _Run) -> FinishedRun | None:
    """Adopt the folder of an equal run; returns its result if it is finished."""
    if not run.config.resume:
        refuse_undeletable(run.output)
        return None
    with main_first():
        return claim_folder(run.output, run.identity, resume=True)


def _claim_to_start_over(run: _Run) -> None:
    """Delete the folder of an earlier run; only after every check has passed.

    Only the main process deletes; the others adopt the new folder.
    """
    if not run.config.resume:
        with main_first():
            claim_folder(run.output, run.identity, resume=not is_main())


def _prepare_policy(run: _Run, tokenizer: Any, splits: Splits) -> _Policy:
    """The loaded and checked model, and how it computes."""
    from trainer.head import head_bytes

    config, folder = run.config, run.model_folder
    device = pick_device(config.device)
    dtype = pick_dtype(config.dtype, device)
    with explain_out_of_memory(device, doing="loading the model", remedy=_MEMORY_OF_WEIGHTS):
        model = load_model(
            folder,
            device=device,
            dtype=_weights_dtype(config, dtype),
            trust=config.trust_remote_code,
        )
        check_vocabulary(model, tokenizer, where=str(folder))
        check_router(model, where=str(folder))
        notes = check_positions(
            model, max_length=config.max_length, lengths=splits.lengths, where=str(folder)
        )
        if config.lora is not None:
            check_adapter(model, config.lora)
        choice = choose_layout(
            model,
            splits.train.examples,
            setting=config.layout,
            max_length=config.max_length,
            max_bytes=head_bytes(config.head_megabytes, device),
            dtype=dtype,
        )
    notes = [*notes, *choice.notes]
    return _Policy(model=model, choice=choice, device=device, dtype=dtype, notes=notes)


def _compute_reference(
    run: _Run, policy: _Policy, splits: Splits
) -> tuple[Mapping[str, Any], dict[str, int]]:
    """Log-probabilities of the reference, from the cache or computed, with the count of each."""
    config, dtype = run.config, policy.dtype
    cache = ReferenceCache(
        run.cache_folder,
        ReferenceModel(
            weights_hash=run.weights_hash,
            compute_dtype=str(dtype),
            weights_dtype=str(_weights_dtype(config, dtype)),
            device=policy.device.type,
        ),
    )
    with (
        explain_full_disk(run.cache_folder, doing="storing log-probabilities of the reference"),
        explain_out_of_memory(
            policy.device,
            doing="computing the reference",
            remedy="lower train.reference_batch_size or train.head_megabytes",
        ),
    ):
        return reference_logps(
            policy.model, splits.examples, cache, config=config, dtype=dtype, choice=policy.choice
        )


def _save(run: _Run, policy: _Policy, tokenizer: Any, fitted: Fitted) -> list[str]:
    return save_model(
        run.config,
        policy.model,
        tokenizer,
        source=run.model_folder,
        output=run.output,
        weights=fitted.weights,
    )


def _timings(started: float, referenced: float) -> dict[str, float]:
    """Seconds before and after the reference pass, from readings of the monotonic clock."""
    return {
        "reference_seconds": referenced - started,
        "train_seconds": time.monotonic() - referenced,
    }


def _weights_dtype(config: TrainConfig, dtype: Any) -> Any:
    """float32 for weights that train; the precision of computing for frozen weights."""
    import torch

    return torch.float32 if config.lora is None else dtype


def _rate_notes(config: TrainConfig) -> list[str]:
    if config.lora is None or config.learning_rate >= _LEAST_LORA_RATE:
        return []
    return [
        f"train.learning_rate is {config.learning_rate:g}: too low for an adapter, because its "
        "weights start at zero and move by about that much per step. Start at ten times the rate "
        "for all weights, 5e-6, or higher"
    ]


def _count_steps(fitted: Fitted) -> dict[str, int]:
    best = {} if fitted.best_step is None else {"best_step": fitted.best_step}
    return {"steps": fitted.num_steps} | best


def _require_test_split(config: TrainConfig, splits: Splits, files: PairFiles) -> None:
    if config.early_stopping_patience is not None and not splits.test.examples:
        raise ConfigError(
            f"train.early_stopping_patience needs a test split, and {files.name} has none "
            "that can be used; build one (build.test_share), or remove the setting"
        )


def _mark_finished(run: _Run, *, counts: Mapping[str, int], timings: Mapping[str, float]) -> None:
    write_manifest(run.output, run.identity, finished=True, counts=counts, timings=timings)
    if not run.config.keep_checkpoints:
        shutil.rmtree(run.output / CHECKPOINTS, ignore_errors=True)


def _fit(
    run: _Run, policy: _Policy, splits: Splits, logps: Mapping[str, Any], *, signals: StopSignals
) -> Fitted:
    config, model = run.config, policy.model
    reference = _frozen_copy(model) if _needs_copy(config) else None
    if config.lora is not None:  # after the reference, which is the model without its adapter
        add_adapter(model, config.lora, seed=config.seed)
    return fit(
        config,
        model,
        train=with_reference(splits.train.examples, logps),
        test=with_reference(splits.test.examples, logps),
        output=run.output,
        dtype=policy.dtype,
        signals=signals,
        choice=policy.choice,
        reference=reference,
    )


def _identify(
    config: TrainConfig, files: PairFiles, model_folder: Path, weights_hash: str
) -> RunIdentity:
    tested = {"test pairs": files.test_fingerprint()} if config.early_stopping_patience else {}
    num_processes = count_processes()
    return RunIdentity(
        settings=run_settings(config, num_processes=num_processes),
        computed=compute_settings(config, num_processes=num_processes),
        content={
            "weights": weights_hash,
            "tokenizer": hash_tokenizer(model_folder),
            "training pairs": files.fingerprint(),
            **tested,
        },
        trusted_code=trusted_code(config, model_folder),
        dataset=files.origin,
    )


def _stop_notes(config: TrainConfig, fitted: Fitted) -> list[str]:
    if not fitted.stopped_early:
        return []
    return [
        f"training stopped after step {fitted.num_steps}, when the loss on the test split had "
        f"not fallen for {config.early_stopping_patience} evaluations; the weights are those "
        f"of step {fitted.best_step}"
    ]


def _trust_notes(identity: RunIdentity) -> list[str]:
    """The model's own code that may run; reported before it runs, and again with the result."""
    if not identity.trusted_code:
        return []
    files = ", ".join(identity.trusted_code["files"]) or "no files"
    note = f"train.trust_remote_code is on: code of {identity.trusted_code['model']} runs ({files})"
    logger.warning("%s", note)
    return [note]


def _finished_result(output: Path, finished: FinishedRun) -> StageResult:
    return StageResult(
        output=output,
        num_rows=finished.counts.get("rows", 0),
        failures=_read_failures(output),
        counts=finished.counts,
        notes=[
            f"{output}: this run is already finished, nothing to do (train.resume=false repeats it)"
        ],
    )


def _read_failures(output: Path) -> list[Failure]:
    """The failed rows that a finished run wrote next to its folder."""
    path = failures_path(output)
    return read_records(path, Failure) if path.exists() else []


def _needs_copy(config: TrainConfig) -> bool:
    return not config.precompute and config.lora is None


def _frozen_copy(model: Any) -> Any:
    """A second model, for a reference that is computed in each step."""
    return copy.deepcopy(model).requires_grad_(False).eval()
