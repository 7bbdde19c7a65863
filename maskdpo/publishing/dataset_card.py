"""The data set's card: README.md with the YAML header that `datasets` and the Hub read.

The rule: everything in the card comes from the manifest and the statistics, except for one pair
that it quotes; and a name, a setting or a sentence is a value, never markup
(`maskdpo.publishing.markdown`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.config import BuildConfig, Granularity, Strategy, Weighting
from dataset_builder.folder.agreement_record import AGREEMENT_FIGURES
from dataset_builder.folder.provenance import NUM_HASH_CHARS
from dataset_builder.folder.write import pair_schema, parquet_name, sentence_schema
from dataset_builder.splits.splits import Split
from dataset_builder.unused import EXPLANATIONS
from maskdpo.publishing.card_example import CardExample
from maskdpo.publishing.card_merge import EXAMPLE
from maskdpo.publishing.markdown import (
    Trusted,
    code,
    compose_card,
    counted_names,
    render_sections,
)

TEMPLATE = Path(__file__).parent / "templates" / "dataset.md.jinja"
SECTIONS = (
    "summary",
    EXAMPLE,
    "use",
    "splits",
    "source",
    "labels",
    "pictures",
    "agreement",
    "selection",
    "settings",
    "limits",
    "files",
)
CONFIG_NAMES = ("pairs", "sentences")
MAX_SETTING_CHARS = 500
TAGS = ("dpo", "factuality", "hallucination", "mask-dpo", "preference", "trl")
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
SUMMARIES = (
    ("score_chosen", "score of chosen"),
    ("score_rejected", "score of rejected"),
    ("margin", "margin between them"),
    ("length_chosen", "characters of chosen"),
    ("length_rejected", "characters of rejected"),
    ("active_share_chosen", "share of chosen that trains"),
    ("active_share_rejected", "share of rejected that trains"),
)
STRATEGIES = {
    Strategy.BEST_WORST: "For each question, the response with the highest score is chosen and "
    "the one with the lowest is rejected (Mask-DPO, arXiv 2503.02846).",
    Strategy.MIRRORED: "A question's responses, ordered by score, are paired from both ends: "
    "best with worst, second best with second worst, and so on.",
    Strategy.ABOVE_MARGIN: "All pairs of a question's responses above the smallest margin are "
    "used, widest first, up to `max_pairs`.",
    Strategy.TWO_SIGMA: "For each question, the response with the highest score is chosen; the "
    "one nearest to two standard deviations below the mean is rejected (arXiv 2502.16825).",
    Strategy.LENGTH_MATCHED: "For each question, the widest pair of nearly equal length is used "
    "(`max_length_ratio`), against length bias.",
}
_LANGUAGE = re.compile(r"^[a-z]{2,3}$")


def render_card(
    manifest: Mapping[str, Any],
    config: BuildConfig,
    statistics: Mapping[str, Any] | None = None,
    example: CardExample | None = None,
) -> str:
    """The card of the data set that `manifest` describes; `example` is one of its pairs."""
    counts = manifest["counts"]
    explained = {Trusted(reason): Trusted(text) for reason, text in EXPLANATIONS.items()}
    values = {
        "title": _title(config),
        "license": config.license,
        "counts": counts,
        "example": example,
        "splits": _splits(manifest),
        "labels": _labels(counts),
        "unused": _reasons(counts, "unused_", explained),
        "dropped": _reasons(counts, "dropped_", explained),
        "policies": counted_names(manifest["policies"]),
        "judges": counted_names(manifest["judges"]),
        "protocols": counted_names(_named(manifest.get("protocols", {}))),
        "judging": _judging(manifest.get("judging", [])),
        "prompts": _prompts(manifest.get("judging", [])),
        "sampling": counted_names(_named(manifest.get("sampling", {}))),
        "system_prompts": counted_names(_named(manifest.get("system_prompts", {}))),
        "quoted": counted_names(manifest.get("quoted", {})),
        "num_responses": _range(manifest.get("responses_per_question", {})),
        "agreement": _agreement(manifest.get("agreement")),
        "interval": _interval(manifest.get("agreement") or {}),
        "figures": _figures(statistics["all"] if statistics else {}),
        "longer": _longer_share(statistics["all"] if statistics else {}),
        "pictures": [
            (Trusted(picture["file"]), picture["alt"]) for picture in manifest.get("pictures", [])
        ],
        "settings": [
            (code(key), code(json.dumps(value, ensure_ascii=False), MAX_SETTING_CHARS))
            for key, value in manifest["config"].items()
        ],
        "strategy": Trusted(STRATEGIES[config.strategy]),
        "confidence": config.weighting is Weighting.CONFIDENCE,
        "granularity": str(config.granularity),
        "pieces": _pieces(statistics["all"] if statistics else {}),
        "reviewed": bool(counts.get("reviews_applied") or counts.get("conflicts")),
        "named": config.publish_names,
        "num_conflicts": counts.get("conflicts", 0),
        "num_dropped_pairs": counts.get("pairs_dropped_by_people", 0),
        "version": manifest["version"],
    }
    sections = render_sections(TEMPLATE, SECTIONS, values)
    return compose_card(_header(manifest, config), sections)


def _title(config: BuildConfig) -> str:
    """The title; not the default one where it would be wrong."""
    is_default = config.title == BuildConfig.model_fields["title"].default
    return "Preference pairs" if is_default and not config.has_spans else config.title


def yaml_features(schema: Any) -> list[dict[str, Any]]:
    """The columns of an Arrow schema, in the form of `dataset_info.features` of `datasets`."""
    return [{"name": field.name, **_yaml_type(field.type)} for field in schema]


def _yaml_type(kind: Any) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {"struct": yaml_features(kind)}
    if pa.types.is_list(kind):
        inner = _yaml_type(kind.value_type)
        return {"list": inner.get("struct") or inner["dtype"]}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind))}


def _header(manifest: Mapping[str, Any], config: BuildConfig) -> dict[str, Any]:
    """The values of the YAML between the `---` lines."""
    num_pairs = manifest["counts"]["pairs"]
    languages = sorted(name for name in manifest["languages"] if _LANGUAGE.match(name))
    size = next((name for limit, name in SIZES if num_pairs < limit), "n>100M")
    return {
        "pretty_name": _title(config),
        **({"license": config.license} if config.license else {}),
        **({"language": languages} if languages else {}),
        "task_categories": ["text-generation"],
        "tags": list(TAGS),
        "size_categories": [size],
        "configs": [_data_files(name, manifest) for name in CONFIG_NAMES],
        "dataset_info": [_dataset_info(name, manifest) for name in CONFIG_NAMES],
    }


def _data_files(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "config_name": name,
        **({"default": True} if name == CONFIG_NAMES[0] else {}),
        "data_files": [
            {"split": str(split), "path": path} for split, path, _ in _files(name, manifest)
        ],
    }


def _dataset_info(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    make_schema = pair_schema if name == CONFIG_NAMES[0] else sentence_schema
    schema = make_schema(pieces=manifest["config"].get("granularity") == Granularity.SPAN)
    files = list(_files(name, manifest))
    return {
        "config_name": name,
        "features": yaml_features(schema),
        "splits": [
            {"name": str(split), "num_bytes": entry["raw_bytes"], "num_examples": entry["rows"]}
            for split, _, entry in files
        ],
        "download_size": sum(entry["bytes"] for _, _, entry in files),
        "dataset_size": sum(entry["raw_bytes"] for _, _, entry in files),
    }


def _files(name: str, manifest: Mapping[str, Any]) -> Iterable[tuple[Split, str, Any]]:
    for split in Split:
        path = parquet_name(name, split)
        if path in manifest["files"]:
            yield split, path, manifest["files"][path]


def _splits(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = manifest["files"]
    return [
        {
            "name": Trusted(split),
            **{
                name: files.get(parquet_name(name, split), {}).get("rows", 0)
                for name in CONFIG_NAMES
            },
        }
        for split in Split
    ]


def _labels(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    prefix = "label_"
    labels = [key.removeprefix(prefix) for key in counts if key.startswith(prefix)]
    return [
        {
            "label": code(label),
            "count": counts[prefix + label],
            "share": f"{counts[prefix + label] / counts['sentences']:.1%}",
        }
        for label in labels
    ]


def _reasons(
    counts: Mapping[str, int], prefix: str, explained: Mapping[Trusted, Trusted]
) -> list[tuple[Trusted, Trusted, int]]:
    return [
        (code(reason), text, counts[prefix + reason])
        for reason, text in explained.items()
        if prefix + reason in counts
    ]


def _named(counted: Mapping[str, int]) -> Mapping[str, int]:
    """Without the rows that lack the value; empty if all lack it."""
    return {name: count for name, count in counted.items() if name}


def _judging(entries: Sequence[Mapping[str, Any]]) -> list[tuple[Trusted, Trusted]]:
    """(judge, its settings and its servers' reports), from the annotations' sidecars."""
    return [
        (
            code(entry["judge"]),
            code(
                json.dumps(
                    entry["settings"] | ({"served": entry["served"]} if entry["served"] else {}),
                    ensure_ascii=False,
                ),
                MAX_SETTING_CHARS,
            ),
        )
        for entry in entries
    ]


def _prompts(entries: Sequence[Mapping[str, Any]]) -> list[tuple[Trusted, Trusted]]:
    """(hash, language) of the judges' prompts; empty if none is recorded."""
    found = {(digest, name) for entry in entries for name, digest in entry["prompts"].items()}
    return [(code(digest[:NUM_HASH_CHARS]), code(name)) for digest, name in sorted(found)]


def _range(counted: Mapping[str, int]) -> Trusted:
    """Number of responses per question: '8' or '3 to 8'; '' if it was not counted."""
    numbers = sorted(int(number) for number in counted)
    if not numbers:
        return Trusted("")
    low, high = numbers[0], numbers[-1]
    return Trusted(low if low == high else f"{low} to {high}")


def _agreement(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The figures of `maskdpo agreement` as a table: the judge's line, then the baselines'."""
    if not report:
        return None
    lines = [(report["judge"], report), *report.get("baselines", {}).items()]
    rows = [
        (code(name), [_figure(line.get(key)) for key in AGREEMENT_FIGURES]) for name, line in lines
    ]
    return {**report, "rows": rows}


def _interval(report: Mapping[str, Any]) -> Trusted:
    low, high = (report.get(f"balanced_accuracy_{end}") for end in ("low", "high"))
    return Trusted("" if low is None or high is None else f"{low:.3f} to {high:.3f}")


def _figure(value: float | None) -> Trusted:
    return Trusted("-" if value is None else f"{value:.3f}")


def _figures(statistics: Mapping[str, Any]) -> list[tuple[Trusted, list[Trusted]]]:
    rows = []
    for key, title in SUMMARIES:
        summary = statistics.get(key, {})
        if summary.get("count"):
            values = [summary[name] for name in ("p10", "median", "p90", "mean")]
            rows.append((Trusted(title), [Trusted(f"{value:,.4g}") for value in values]))
    return rows


def _pieces(statistics: Mapping[str, Any]) -> list[tuple[Trusted, list[Trusted]]]:
    """Figures of sentences with error spans: (side, cells); empty without any."""
    return [
        (
            Trusted(side),
            [
                Trusted(f"{counted['sentences']:,}"),
                Trusted(f"{counted['wrong_words']:,}"),
                Trusted(f"{counted['wrong_characters'] / counted['characters']:.1%}"),
                Trusted(f"{counted['active_characters'] / counted['characters']:.1%}"),
            ],
        )
        for side, counted in statistics.get("pieces", {}).items()
    ]


def _longer_share(statistics: Mapping[str, Any]) -> Trusted:
    bias = statistics.get("length_bias", {})
    longer, equal, shorter = (
        bias.get(name, 0) for name in ("chosen_longer", "equal", "chosen_shorter")
    )
    total = longer + equal + shorter
    return Trusted(f"{longer / total:.1%}" if total else "")
