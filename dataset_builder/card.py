"""The data set's card: README.md with the YAML header that `datasets` and the Hub read.

The rule that makes it safe: whatever comes from data or settings is a value, never part of the
template, and every value is escaped for Markdown on its way out (`_escape`), unless the program
itself made the text. The card says nothing that the manifest does not hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml

from dataset_builder.config import BuildConfig
from dataset_builder.reasons import EXPLANATIONS
from dataset_builder.splits import Split
from dataset_builder.write import parquet_name

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE_NAME = "card.md.jinja"
CONFIG_NAMES = ("pairs", "sentences")
MAX_NAMES = 20
MAX_NAME_CHARS = 100
MAX_SETTING_CHARS = 500
TAGS = ("dpo", "factuality", "hallucination", "mask-dpo", "preference")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_LANGUAGE = re.compile(r"^[a-z]{2,3}$")


class Trusted(str):
    """Text this program made, or has escaped already; it goes into the card as it is."""


def render_card(manifest: Mapping[str, Any], config: BuildConfig) -> str:
    """The card of the data set that `manifest` describes."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=_escape,
        autoescape=False,  # the output is Markdown; `finalize` escapes for it
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    counts = manifest["counts"]
    explained = {Trusted(reason): Trusted(text) for reason, text in EXPLANATIONS.items()}
    return environment.get_template(TEMPLATE_NAME).render(
        header=Trusted(_header(manifest, config)),
        title=config.title,
        license=config.license,
        counts=counts,
        splits=_splits(manifest),
        labels=_labels(counts),
        unused=_reasons(counts, "unused_", explained),
        dropped=_reasons(counts, "dropped_", explained),
        policies=_names(manifest["policies"]),
        judges=_names(manifest["judges"]),
        settings=[
            (_code(key), _code(json.dumps(value, ensure_ascii=False), MAX_SETTING_CHARS))
            for key, value in manifest["config"].items()
        ],
        version=manifest["version"],
    )


def _header(manifest: Mapping[str, Any], config: BuildConfig) -> str:
    """The YAML between the `---` lines, without them."""
    num_pairs = manifest["counts"]["pairs"]
    languages = sorted(name for name in manifest["languages"] if _LANGUAGE.match(name))
    header: dict[str, Any] = {"pretty_name": config.title}
    if config.license:
        header["license"] = config.license
    if languages:
        header["language"] = languages
    header["task_categories"] = ["text-generation"]
    header["tags"] = list(TAGS)
    header["size_categories"] = [next((name for limit, name in SIZES if num_pairs < limit), "n>1M")]
    header["configs"] = [
        {
            "config_name": name,
            **({"default": True} if name == CONFIG_NAMES[0] else {}),
            "data_files": [
                {"split": str(split), "path": parquet_name(name, split)}
                for split in Split
                if parquet_name(name, split) in manifest["files"]
            ],
        }
        for name in CONFIG_NAMES
    ]
    text: str = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=1_000)
    return text.rstrip("\n")


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
            "label": _code(label),
            "count": counts[prefix + label],
            "share": f"{counts[prefix + label] / counts['sentences']:.1%}",
        }
        for label in labels
    ]


def _reasons(
    counts: Mapping[str, int], prefix: str, explained: Mapping[Trusted, Trusted]
) -> list[tuple[Trusted, Trusted, int]]:
    return [
        (_code(reason), text, counts[prefix + reason])
        for reason, text in explained.items()
        if prefix + reason in counts
    ]


def _names(counted: Mapping[str, int]) -> list[tuple[Trusted, int]]:
    """Names with their counts, most frequent first, at most MAX_NAMES."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    shown = [(_code(name), count) for name, count in ordered]
    if len(shown) <= MAX_NAMES:
        return shown
    others = sum(count for _, count in shown[MAX_NAMES:])
    return [*shown[:MAX_NAMES], (Trusted(f"{len(shown) - MAX_NAMES} others"), others)]


def _code(value: str, max_chars: int = MAX_NAME_CHARS) -> Trusted:
    """A value as a code span that nothing inside can end, on one line, also within a table."""
    flat = " ".join(value.split()).replace("`", "'").replace("|", "/")
    if not flat:
        return Trusted("not named")
    if len(flat) > max_chars:
        flat = flat[: max_chars - 3] + "..."
    return Trusted(f"`{flat}`")


def _escape(value: object) -> object:
    """What jinja2 puts in for each expression of the template."""
    if isinstance(value, Trusted) or not isinstance(value, str):
        return value
    return _MARKDOWN.sub(r"\\\1", escape(" ".join(value.split()), quote=False))
