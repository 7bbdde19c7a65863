"""The card of a trained model: its sources, settings and scores.

The rule: figures and settings come from training.json and scores.json; what is not there (names on
the Hub, a licence) is given with the push, and otherwise the card says that it is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_builder.pairs import public_name
from maskdpo.publishing.markdown import Trusted, code, compose_card, render_sections
from schemas.errors import InputError

TEMPLATE = Path(__file__).parent / "templates" / "model.md.jinja"
TRAINING_NAME = "training.json"
SECTIONS = ("summary", "use", "made", "scores", "settings", "limits")
TAGS = ("dpo", "factuality", "hallucination", "mask-dpo")
HASH_CHARS = 16
MAX_SETTING_CHARS = 500
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a push adds about a model to training.json.

    base, dataset   names; those of the form ORG/NAME are also in the header
    license         by its Hub id
    scores          scores.json of maskdpo evaluate
    """

    title: str = ""
    base: str = ""
    dataset: str = ""
    license: str = ""
    scores: Mapping[str, Any] | None = None


def read_scores(path: Path) -> dict[str, Any]:
    """The scores that `maskdpo evaluate` wrote. Raises InputError when the file has none."""
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        for row in scores["models"].values():
            row["score"], row["low"], row["high"], row["num_responses"]
        return dict(scores)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        message = "is not a scores.json; make one with: maskdpo evaluate"
        raise InputError.of(path, message) from None


def render_model_card(training: Mapping[str, Any], facts: ModelFacts) -> str:
    """The card of the model that training.json describes."""
    base, dataset = public_name(facts.base), public_name(facts.dataset)
    settings = training.get("config", {})
    counts = training.get("counts", {})
    has_masks = counts.get("pairs_without_spans", 0) < counts.get("pairs", 1)
    method = "Mask-DPO" if settings.get("use_spans", True) and has_masks else "DPO"
    title = facts.title or f"A model trained with {method}"
    values = {
        "title": title,
        "method": method,
        "base": code(base) if base else None,
        "dataset": code(dataset) if dataset else None,
        "hub_id": Trusted("FOLDER_OR_HUB_ID"),
        "counts": {key: counts.get(key) for key in ("pairs", "test_pairs", "steps")},
        "tokens": _share(counts.get("active_tokens"), counts.get("tokens")),
        "hashes": [
            (Trusted(name), code(str(value)[:HASH_CHARS]))
            for name, value in training.get("content", {}).items()
        ],
        "packages": [
            (code(name), code(str(version)))
            for name, version in training.get("packages", {}).items()
        ],
        "settings": [
            (code(key), code(json.dumps(value, ensure_ascii=False), MAX_SETTING_CHARS))
            for key, value in settings.items()
        ],
        "scores": _scores(facts.scores),
        "license": facts.license,
    }
    header = {
        **({"license": facts.license} if facts.license else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": list(TAGS if method == "Mask-DPO" else TAGS[:-1]),
        **({"base_model": base} if _HUB_ID.match(base) else {}),
        **({"datasets": [dataset]} if _HUB_ID.match(dataset) else {}),
    }
    return compose_card(header, render_sections(TEMPLATE, SECTIONS, values))


def _share(part: int | None, whole: int | None) -> Trusted | None:
    if part is None or not whole:
        return None
    return Trusted(f"{part:,} of {whole:,} completion tokens ({part / whole:.1%})")


def _scores(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    rows = [
        (
            code(name),
            [
                _figure(row["score"]),
                Trusted(f"{_figure(row['low'])} to {_figure(row['high'])}"),
                _figure(row.get("correct_per_response")),
                _figure(row.get("hallucinated_per_response")),
                Trusted(row["num_responses"]),
            ],
        )
        for name, row in scores["models"].items()
    ]
    return {
        "rows": rows,
        "score": str(scores.get("score", "")),
        "interval": str(scores.get("interval", "")),
        "warnings": [str(text) for text in scores.get("warnings", [])],
    }


def _figure(value: float | None) -> Trusted:
    return Trusted("-" if value is None else f"{value:.3f}")
