"""`run_train`: from a data set and a policy to a trained model folder.

The rule: read, check and mask everything first, then spend. A data set or a setting that cannot
train is told before the model is loaded, with the count of every reason.

    OUTPUT/
        config.json, model.safetensors, tokenizer, chat template     the trained model
        training_log.jsonl      a line a logging step
        training.json           sidecar: key, settings, counts; `finished` once the model is whole
        dropped.jsonl           pairs that could not train, each with its reason
        checkpoints/            while running; see `trainer.run_folder`
    OUTPUT/../reference/        log-probabilities of the reference; see `trainer.reference`
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, InputError
from schemas.files import read_records, write_records
from schemas.records import Failure
from schemas.stage import StageResult, failures_path, write_failures
from trainer.batches import ReferencedExample
from trainer.choice import Choice, choose_layout
from trainer.config import TrainConfig, run_settings
from trainer.data import PairFiles, PairSet, find_pair_files, read_pairs
from trainer.examples import Example, Prepared, prepare_examples
from trainer.failures import StopSignals, explain_full_disk
from trainer.fit import Fitted, fit, save_model
from trainer.lora import add_adapter
from trainer.models import (
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
    count_processes,
    is_main,
    join_processes,
    main_first,
    process_index,
    wait_for_all,
)
from trainer.reference import ReferenceCache, compute_missing, sequence_key
from trainer.render import check_tokenizer
from trainer.run_folder import (
    CHECKPOINTS,
    FinishedRun,
    RunIdentity,
    claim_folder,
    refuse_overlap,
    write_manifest,
)

logger = logging.getLogger(__name__)

DROPPED = "dropped.jsonl"


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Both splits: the rows read, and what became of them."""

    train_rows: PairSet
    train: Prepared
    test_rows: PairSet
    test: Prepared

    @property
    def num_rows(self) -> int:
        """Rows read, good and bad."""
        return self.train_rows.num_rows + self.test_rows.num_rows

    @property
    def failures(self) -> list[Failure]:
        """Rows that are no pairs."""
        return [*self.train_rows.failures, *self.test_rows.failures]

    @property
    def dropped(self) -> list[Failure]:
        """Pairs that cannot train."""
        return [*self.train.dropped, *self.test.dropped]

    @property
    def examples(self) -> list[Example]:
        """The examples of both splits."""
        return [*self.train.examples, *self.test.examples]


def run_train(config: TrainConfig, *, dataset: Path, output: Path) -> StageResult:
    """Train `config.model` on the pairs of `dataset` into the folder `output`.

    Raises InputError (data or model unusable), ConfigError (a setting, or another run's folder),
    BackendError (device, Hub, non-finite loss, full disk, a signal) and MissingPackageError.
    """
    writing = explain_full_disk(output, doing="writing the files of the run")
    with StopSignals() as signals, writing:
        return _run(config, dataset=dataset, output=output, signals=signals)


def _run(config: TrainConfig, *, dataset: Path, output: Path, signals: StopSignals) -> StageResult:
    require_packages(config)
    join_processes(cpu=config.device == "cpu")
    config = config.model_copy(update={"progress": config.progress and is_main()})
    quiet_library_bars()
    files = find_pair_files(dataset)
    model_folder = resolve_model(config)
    trust = config.trust_remote_code
    weights_hash = hash_weights(model_folder, trust=trust)
    cache_folder = config.reference_dir or output.parent / "reference"
    refuse_overlap(output, model=model_folder, dataset=dataset, reference=cache_folder)
    identity = _identify(config, files, model_folder, weights_hash)
    if config.resume:
        with main_first():
            finished = claim_folder(output, identity, resume=True)
        if finished is not None:
            return _finished_result(output, finished)

    notes = _trust_notes(identity)
    tokenizer = load_tokenizer(model_folder, trust=trust)
    notes += check_tokenizer(tokenizer, where=str(model_folder), kwargs=config.chat_template_kwargs)
    splits = _prepare_splits(files, tokenizer, config, dataset)
    if not config.resume:  # deletes what is there: only once nothing can be refused any more
        with main_first():  # what the others find is theirs, and not to be deleted again
            claim_folder(output, identity, resume=not is_main())
    if config.early_stopping_patience is not None and not splits.test.examples:
        raise ConfigError(
            f"train.early_stopping_patience measures on the test split, and {dataset} has none "
            "that can be used; build one (build.test_share), or leave the setting out"
        )
    if is_main():
        _write_rejects(splits, output)

    started = time.monotonic()
    device = pick_device(config.device)
    dtype = pick_dtype(config.dtype, device)
    model = load_model(model_folder, device=device, trust=trust)
    check_vocabulary(model, tokenizer, where=str(model_folder))
    cache = ReferenceCache(cache_folder, weights_hash=weights_hash, dtype=str(dtype))
    choice = choose_layout(
        model,
        splits.train.examples[: config.batch_size],
        setting=config.layout,
        max_length=config.max_length,
        max_bytes=config.head_megabytes << 20,
    )
    notes += choice.notes
    logger.info("layout: %s", choice.layout)
    with explain_full_disk(cache_folder, doing="storing log-probabilities of the reference"):
        logps, reference_counts = _reference_logps(
            model, splits.examples, cache, config=config, dtype=dtype, choice=choice
        )
    referenced_at = time.monotonic()
    with signals.deferred():
        fitted = _fit(
            config, model, splits, logps, output=output, dtype=dtype, signals=signals, choice=choice
        )
        if is_main():
            save_model(
                config,
                model,
                tokenizer,
                source=model_folder,
                output=output,
                weights=fitted.weights,
            )

    counts = _count(splits) | reference_counts | {"steps": fitted.num_steps}
    if fitted.best_step is not None:
        counts["best_step"] = fitted.best_step
    notes += _stop_notes(config, fitted)
    timings = {
        "reference_seconds": referenced_at - started,
        "train_seconds": time.monotonic() - referenced_at,
    }
    if is_main():
        _mark_finished(config, output, identity, counts=counts, timings=timings)
    wait_for_all()
    return StageResult(
        output=output,
        num_rows=splits.num_rows,
        failures=splits.failures,
        counts=counts,
        notes=notes + _drop_notes(splits, output),
    )


def _mark_finished(
    config: TrainConfig,
    output: Path,
    identity: RunIdentity,
    *,
    counts: Mapping[str, int],
    timings: Mapping[str, float],
) -> None:
    write_manifest(output, identity, finished=True, counts=counts, timings=timings)
    if not config.keep_checkpoints:
        shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)


def _fit(
    config: TrainConfig,
    model: Any,
    splits: Splits,
    logps: Mapping[str, Any],
    *,
    output: Path,
    dtype: Any,
    signals: StopSignals,
    choice: Choice,
) -> Fitted:
    reference = _frozen_copy(model) if _needs_copy(config) else None
    if config.lora is not None:  # only now: without its adapter the model is the reference
        add_adapter(model, config.lora, seed=config.seed)
    return fit(
        config,
        model,
        train=_with_reference(splits.train.examples, logps),
        test=_with_reference(splits.test.examples, logps),
        output=output,
        dtype=dtype,
        signals=signals,
        choice=choice,
        reference=reference,
    )


def _identify(
    config: TrainConfig, files: PairFiles, model_folder: Path, weights_hash: str
) -> RunIdentity:
    tested = {"test pairs": files.test_fingerprint()} if config.early_stopping_patience else {}
    return RunIdentity(
        settings=run_settings(config),
        content={
            "weights": weights_hash,
            "tokenizer": hash_tokenizer(model_folder),
            "training pairs": files.fingerprint(),
            **tested,
        },
        trusted_code=trusted_code(config, model_folder),
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
    """What of the model's own code may run; said before it does, and again with the result."""
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
        notes=[f"{output}: this run is finished, nothing to do (train.resume=false repeats it)"],
    )


def _read_failures(output: Path) -> list[Failure]:
    """The failed rows a finished run left beside its folder."""
    path = failures_path(output)
    return read_records(path, Failure) if path.exists() else []


def _prepare_splits(files: PairFiles, tokenizer: Any, config: TrainConfig, dataset: Path) -> Splits:
    """Read and mask both splits. Raises InputError when no training pair is left."""
    train_rows, test_rows = read_pairs(files.train), read_pairs(files.test)
    splits = Splits(
        train_rows=train_rows,
        train=prepare_examples(train_rows.pairs, tokenizer, config),
        test_rows=test_rows,
        test=prepare_examples(test_rows.pairs, tokenizer, config),
    )
    if splits.train.examples:
        return splits
    if not train_rows.num_rows:
        raise InputError.of(dataset, "holds no training pairs: its files have no rows")
    lost = [*train_rows.failures, *splits.train.dropped]
    raise InputError.of(
        dataset,
        f"no training pair is left of {train_rows.num_rows} ({_listed_reasons(lost)}; "
        f"first: {lost[0].id}: {lost[0].detail})",
    )


def _needs_copy(config: TrainConfig) -> bool:
    return not config.precompute and config.lora is None


def _frozen_copy(model: Any) -> Any:
    """A second model, for a reference that is computed as the policy trains."""
    return copy.deepcopy(model).requires_grad_(False).eval()


def _reference_logps(
    model: Any,
    examples: Sequence[Example],
    cache: ReferenceCache,
    *,
    config: TrainConfig,
    dtype: Any,
    choice: Choice,
) -> tuple[Mapping[str, Any], dict[str, int]]:
    """Log-probabilities by sequence key, with how many were computed and how many reused."""
    from tqdm import tqdm

    if not config.precompute:
        return {}, {}
    keys = {
        example.id: (sequence_key(example.chosen), sequence_key(example.rejected))
        for example in examples
    }
    wanted = {key for pair in keys.values() for key in pair}
    stored = cache.load(wanted)
    owed = wanted - set(stored)
    missing: list[Example] = []
    for example in examples:
        if owed & set(keys[example.id]):
            owed -= set(keys[example.id])
            missing.append(example)
    logger.info("reference: %d pairs to compute", len(missing))
    computed = wanted - set(stored)
    wait_for_all()  # all have seen the same cache, before anyone adds to it
    if missing:
        missing = missing[process_index() :: count_processes()]
        with tqdm(total=len(missing), desc="reference", disable=not config.progress) as bar:
            compute_missing(
                model,
                missing,
                cache,
                choice=choice,
                batch_size=config.reference_batch_size,
                dtype=dtype,
                on_progress=bar.update,
            )
        wait_for_all()
        stored = cache.load(wanted)
    return stored, {
        "reference_computed": len(computed),
        "reference_reused": len(wanted) - len(computed),
    }


def _with_reference(
    examples: Sequence[Example], logps: Mapping[str, Any]
) -> list[ReferencedExample]:
    return [
        ReferencedExample(
            example=example,
            chosen_logps=logps.get(sequence_key(example.chosen)),
            rejected_logps=logps.get(sequence_key(example.rejected)),
        )
        for example in examples
    ]


def _count(splits: Splits) -> dict[str, int]:
    """Counts of rows, pairs and tokens; tokens are completion tokens of the training split."""
    sides = [
        side for example in splits.train.examples for side in (example.chosen, example.rejected)
    ]
    counts = {
        "rows": splits.num_rows,
        "pairs": len(splits.train.examples),
        "test_pairs": len(splits.test.examples),
        "tokens": sum(side.num_completion for side in sides),
        "active_tokens": sum(side.num_active for side in sides),
    }
    reasons = Counter(failure.reason for failure in splits.dropped)
    return counts | {f"dropped_{reason}": count for reason, count in sorted(reasons.items())}


def _write_rejects(splits: Splits, output: Path) -> None:
    """Failed rows beside the folder, dropped pairs inside it."""
    write_failures(output, splits.failures)
    if splits.dropped:
        write_records(output / DROPPED, splits.dropped)
    else:
        (output / DROPPED).unlink(missing_ok=True)


def _drop_notes(splits: Splits, output: Path) -> list[str]:
    if not splits.dropped:
        return []
    count = len(splits.dropped)
    return [
        f"{count} pairs could not train ({_listed_reasons(splits.dropped)}); see {output / DROPPED}"
    ]


def _listed_reasons(failures: Sequence[Failure]) -> str:
    reasons = Counter(failure.reason for failure in failures)
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
