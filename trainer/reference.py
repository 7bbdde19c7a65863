"""The reference's log-probabilities: computed once, per token, and stored on disk.

The rule: what is stored depends on the reference model, on how it was computed and on the token
ids, and on nothing else. Masks, labels, beta and the loss are not part of the key, so relabelling a
data set, or training on the same pairs with another setting, costs no new pass.

    DIR/KEY/CONTENT.arrow     columns: key (of ids), logps (float32, one per completion token)

| part of KEY          | why                                                            |
|----------------------|----------------------------------------------------------------|
| format               | what the columns mean                                          |
| hash of the weights  | another model has other log-probabilities                      |
| compute dtype        | bfloat16 rounds differently from float32                       |
| dtype of the weights | frozen weights held in bfloat16 are rounded once, norms too    |
| device type          | a GPU's kernels round differently from a CPU's                 |
| torch, transformers  | major.minor: a corrected model implementation computes others  |

Files appear complete (temporary file, then rename) and are never changed. After a race a sequence
may be in two of them; both hold the same values.
"""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, InputError
from schemas.files.sidecar import installed_versions
from schemas.files.writing import atomic_descriptor
from schemas.hashing import content_key
from trainer.batches import ReferencedExample
from trainer.examples import Example, TokenSequence
from trainer.processes import as_main_says, count_processes, process_index, wait_for_all
from trainer.scoring import score_completions

if TYPE_CHECKING:
    import torch

    from trainer.choice import Choice
    from trainer.config import TrainConfig
    from trainer.scoring import Logps

logger = logging.getLogger(__name__)

FORMAT = 2
SEQUENCES_PER_FILE = 512  # at most this many are lost when a run is killed


def sequence_key(sequence: TokenSequence) -> str:
    """Content key of a token sequence and of where its completion begins."""
    ids = array("q", [sequence.first, *sequence.token_ids])
    return hashlib.sha256(ids.tobytes()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ReferenceModel:
    """What decides the log-probabilities of given tokens, apart from the tokens."""

    weights_hash: str
    compute_dtype: str
    weights_dtype: str
    device: str

    @property
    def key(self) -> str:
        """One hash of all fields and of the versions of the libraries that compute."""
        versions = installed_versions(("torch", "transformers"))
        libraries = [versions[name].split(".")[:2] for name in ("torch", "transformers")]
        return content_key([FORMAT, *asdict(self).values(), *libraries])[:32]


class ReferenceCache:
    """Log-probabilities of completion tokens under one model, computed in one way."""

    def __init__(self, folder: Path, model: ReferenceModel) -> None:
        self.folder = folder / model.key
        self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, keys: set[str]) -> dict[str, Logps]:
        """The values of those `keys` that are stored. Raises InputError for a damaged file."""
        import pyarrow as pa

        found: dict[str, Logps] = {}
        for path in sorted(self.folder.glob("*.arrow")):
            try:
                with pa.OSFile(str(path)) as source:
                    table = pa.ipc.open_file(source).read_all()
                names, values = table["key"].to_pylist(), table["logps"].combine_chunks()
            except (OSError, pa.ArrowInvalid, KeyError) as error:
                reason = str(error).splitlines()[0]
                message = f"is not a readable reference cache ({reason}); delete it and rerun"
                raise InputError.of(path, message) from None
            for row, key in enumerate(names):
                if key in keys:
                    found[key] = values[row].values.to_numpy().copy()
        return found

    def store(self, values: Mapping[str, Logps]) -> None:
        """Write one file with these sequences; it appears complete or not at all."""
        import pyarrow as pa

        keys = sorted(values)
        table = pa.table(
            {
                "key": pa.array(keys),
                "logps": pa.array([values[key] for key in keys], type=pa.list_(pa.float32())),
            }
        )
        with (
            atomic_descriptor(self.folder / f"{content_key(keys)[:32]}.arrow") as descriptor,
            os.fdopen(descriptor, "wb", closefd=False) as handle,
            pa.ipc.new_file(handle, table.schema) as writer,
        ):
            writer.write_table(table)


def reference_logps(
    model: Any,
    examples: Sequence[Example],
    cache: ReferenceCache,
    *,
    config: TrainConfig,
    dtype: Any,
    choice: Choice,
) -> tuple[Mapping[str, Any], dict[str, int]]:
    """Log-probabilities by sequence key, with how many were computed and how many reused.

    Each process computes and stores its part of what is missing, with pairs of similar length in
    the same batch. Raises ConfigError when processes do not see each other's files.
    """
    from tqdm import tqdm

    if not config.precompute:
        return {}, {}
    keys = [{sequence_key(example.chosen), sequence_key(example.rejected)} for example in examples]
    wanted = set().union(*keys)
    stored = cache.load(wanted)
    # Another run may add to the cache meanwhile; all processes must divide the same list.
    computed = as_main_says(wanted - stored.keys())
    uncached = set(computed)
    missing: list[Example] = []
    for example, pair in zip(examples, keys, strict=True):
        if uncached & pair:
            uncached -= pair
            missing.append(example)
    logger.info("reference: %d pairs to compute", len(missing))
    if missing:
        missing = sorted(missing, key=lambda example: (example.num_tokens, example.id))
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
    if not wanted <= stored.keys():
        stored = cache.load(wanted)
        if not wanted <= stored.keys():
            raise ConfigError(
                f"{cache.folder}: log-probabilities that another process stored are missing; the "
                "processes of a run share their folders, so put the output and train.reference_dir "
                "on a file system that all machines see"
            )
    return stored, {
        "reference_computed": len(computed),
        "reference_reused": len(wanted) - len(computed),
    }


def with_reference(
    examples: Sequence[Example], logps: Mapping[str, Any]
) -> list[ReferencedExample]:
    """The examples with their log-probabilities, or with None if there are none."""
    return [
        ReferencedExample(
            example=example,
            chosen_logps=logps.get(sequence_key(example.chosen)),
            rejected_logps=logps.get(sequence_key(example.rejected)),
        )
        for example in examples
    ]


def compute_missing(
    model: Any,
    missing: Sequence[Example],
    cache: ReferenceCache,
    *,
    choice: Choice,
    batch_size: int,
    dtype: torch.dtype,
    on_progress: Callable[[int], object],
) -> None:
    """Run the reference on pairs of which a side is not cached, `batch_size` pairs at a time.

    The longest come first, so that a lack of memory shows at once.
    """
    order = sorted(missing, key=lambda example: (-example.num_tokens, example.id))
    done: dict[str, Logps] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        rows = score_completions(model, batch, layout=choice.layout, head=choice.head, dtype=dtype)
        sides = [example.chosen for example in batch] + [example.rejected for example in batch]
        done.update(zip(map(sequence_key, sides), rows, strict=True))
        on_progress(len(batch))
        if len(done) >= SEQUENCES_PER_FILE:
            cache.store(done)
            done = {}
    if done:
        cache.store(done)
