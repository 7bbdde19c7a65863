"""YAML 1.2, read and written: the core schema, unique keys, and text that every reader reads as
text.

Two rules. A plain word is text: `no` is Norwegian, `1:30` and `2024-01-31` are not numbers; only
true, false, null and numbers are not text, as in the core schema of YAML 1.2. And readers of YAML
1.1, such as the Hub's libraries, read what is written here with equal values.

A file that cannot be read is a ConfigError with its name and line, never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

# The core schema: tag, what a plain scalar looks like, the characters it can begin with.
_TAG = "tag:yaml.org,2002:"
_CORE_SCHEMA = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("merge", r"<<", "<"),  # of YAML 1.1, for a config whose sections share keys
)
# Plain words that YAML 1.1 or 1.2 does not read as text, in upper or lower case.
_WORDS = frozenset("y yes n no on off true false null ~ << = .inf +.inf -.inf .nan".split()) | {""}
# Numbers of every kind, dates, times and their mixtures: 1_000, 1:30, 0o7, 1e3, 2024-01-31 10:00Z.
_LIKE_A_NUMBER = re.compile(
    r"[-+.]?[0-9][0-9a-fA-FoOxX_:.+\- \tTZz]*|[-+]?[._][0-9_]+\S*|[-+][._]\S*"
)
_ALWAYS_ESCAPED = re.compile(r"[\x85\u2028\u2029\ufeff]")  # PyYAML reads them as line ends
_UNFOLDED = 1_000_000_000  # columns; no value is folded over lines


class YamlFault(ValueError):
    """Text that is not valid YAML.

    `problem` is the reason, `line` counts from 1 (None: not known).
    """

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def read_yaml(path: Path) -> Any:
    """The value a YAML file holds; None for an empty file.

    Raises ConfigError for a file that cannot be read, is not UTF-8 or not YAML, or has a key twice.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except YamlFault as fault:
        line = f":{fault.line}" if fault.line else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {fault.problem}") from None


def parse_yaml(text: str) -> Any:
    """The value of YAML text; None for an empty one. Raises YamlFault."""
    return _load(_yaml("safe"), text)


def parse_yaml_texts(text: str) -> Any:
    """As `parse_yaml`, with every scalar as the text in the file: `007` and `no` stay."""
    return _load(_yaml("base"), text)


def dump_yaml(values: Mapping[str, Any]) -> str:
    """YAML in the order of the keys, one line per value, equal for readers of YAML 1.1 and 1.2.

    `values` holds what JSON can hold. Returns '' for no values.
    """
    if not values:
        return ""
    out = StringIO()
    _yaml("safe").dump(dict(values), out)
    return out.getvalue()


def _load(yaml: YAML, text: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return yaml.load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or type(error).__name__)
        raise YamlFault(problem, mark.line + 1 if mark else None) from None
    except (ValueError, RecursionError) as error:  # a tag that does not fit; nested too deep
        raise YamlFault(type(error).__name__, None) from None


def _yaml(kind: str) -> YAML:
    """The one set-up: 'safe' reads scalars by the core schema, 'base' as text.

    Both write the same.
    """
    from ruamel.yaml import YAML

    resolver, constructor, representer = _classes()
    yaml = YAML(typ=kind, pure=True)
    if kind == "safe":
        yaml.Resolver, yaml.Constructor = resolver, constructor
    yaml.Representer = representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = _UNFOLDED
    return yaml


@lru_cache(maxsize=1)
def _classes() -> tuple[type[Any], type[Any], type[Any]]:
    """Resolver, constructor and representer; made late, since ruamel.yaml takes 0.1 s to import."""
    from ruamel.yaml.constructor import ConstructorError, SafeConstructor
    from ruamel.yaml.representer import SafeRepresenter
    from ruamel.yaml.resolver import BaseResolver

    class CoreResolver(BaseResolver):
        """Plain scalars by the core schema, whatever version a file declares."""

        processing_version = (1, 2)

        def __init__(self, version: Any = None, loader: Any = None) -> None:
            super().__init__(loader)

    for kind, pattern, first in _CORE_SCHEMA:
        expression = re.compile(rf"(?:{pattern})\Z")
        CoreResolver.add_implicit_resolver_base(_TAG + kind, expression, list(first))

    class UniqueConstructor(SafeConstructor):
        """A key that is given twice is refused with our message."""

        def check_mapping_key(
            self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any
        ) -> bool:
            if key in mapping:
                message = f"the key {key!r} is given twice"
                raise ConstructorError(None, None, message, key_node.start_mark)
            return True

    class QuotingRepresenter(SafeRepresenter):
        """Quotes every text that some reader would not read as text."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent_text(representer: Any, text: str) -> Any:
        style = '"' if _needs_quotes(text) else None
        return representer.represent_scalar(_TAG + "str", text, style=style)

    def represent_float(representer: Any, number: float) -> Any:
        whole, exponent, power = repr(number).partition("e")
        point = "" if "." in whole or not exponent else ".0"  # YAML 1.1 needs it in 1.0e-05
        return representer.represent_scalar(_TAG + "float", whole + point + exponent + power)

    QuotingRepresenter.add_representer(str, represent_text)
    QuotingRepresenter.add_representer(float, represent_float)
    return CoreResolver, UniqueConstructor, QuotingRepresenter


def _needs_quotes(text: str) -> bool:
    return (
        text.lower() in _WORDS
        or _LIKE_A_NUMBER.fullmatch(text) is not None
        or _ALWAYS_ESCAPED.search(text) is not None
    )
