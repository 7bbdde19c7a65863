"""Domains: guidance for the judge by the owner of the documents, one YAML file each.

The rule: a domain is written by the owner, so it may be in the system message; its text is
still neutralised, so that an example copied from a document cannot open a tag or a chat
template's marker there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from annotator.judging.protocols.label_words import LABEL_WORDS
from annotator.judging.protocols.prompts import wording_language
from annotator.text.config import RetrievalConfig, TextConfig
from annotator.text.neutral import neutralise
from schemas.config import Section
from schemas.errors import ConfigError, nearest
from schemas.files.yaml_files import read_yaml
from schemas.hashing import content_key
from schemas.labels import Label, LabelPolicy
from schemas.text.language import detect_language
from schemas.text.language_codes import AUTO, LanguageCode

JUDGED_LABELS = tuple(LABEL_WORDS)
_HEADINGS = {
    "en": {
        "fact": "In this domain, a fact that can be checked is:",
        "guidance": "How the labels are meant in this domain:",
        "glossary": "Terms of this domain:",
        "examples": "Examples, each with the document it was held against:",
        "document": "Document: ",
        "sentence": "Sentence: ",
        "label": "Label: ",
        "reason": "Reason: ",
        "colon": ": ",
    },
    "zh": {
        "fact": "在本领域中，可核对的事实是指：",
        "guidance": "各标签在本领域中的含义：",
        "glossary": "本领域的术语：",
        "examples": "示例，每条附有所对照的文档：",
        "document": "文档：",
        "sentence": "句子：",
        "label": "标签：",
        "reason": "理由：",
        "colon": "：",
    },
}
FOLDER = Path("configs") / "domains"  # a user's own, in the folder where the command runs
SHIPPED = Path(__file__).resolve().parent / "shipped"
_SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"\w[\w-]{0,63}")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class DomainExample(Section):
    """One sentence as the owner would label it."""

    document: Text
    """The passage of a document that decides the label."""

    sentence: Text
    """A sentence of a response."""

    label: Label
    """no_hallucination, contradictory, unverifiable or no_fact."""

    reason: Text
    """The reason, in one sentence."""

    @field_validator("label")
    @classmethod
    def _is_a_judges(cls, label: Label) -> Label:
        return _check_label(label)


class Domain(Section):
    """Knowledge that a judge needs to label responses about one kind of document."""

    name: str
    """Letters, digits, '_' and '-'; the name of the file."""

    language: LanguageCode = AUTO
    """ISO code of the responses and of the prompts ('en', 'zh', ...); 'auto' detects it for each
    response."""

    checkable_fact: Text
    """What counts as a fact that can be checked against the documents."""

    guidance: dict[Label, Text] = Field(default={})
    """What each label means here, by label: no_hallucination, contradictory, unverifiable,
    no_fact."""

    glossary: dict[Text, Text] = Field(default={}, max_length=500)
    """Terms and their meaning: abbreviations, names with one meaning in this domain."""

    examples: tuple[DomainExample, ...] = Field(default=(), max_length=50)
    """Sentences with their labels, at best one per label."""

    text: TextConfig = TextConfig()
    """The sentence splitter; `annotate.text` overrides it."""

    retrieval: RetrievalConfig = RetrievalConfig()
    """The parts of long documents that a judge model reads; `annotate.retrieval` overrides single
    keys."""

    label_policy: LabelPolicy = LabelPolicy()
    """Which labels train on which side. It belongs in the section `build` of the run config, as
    `label_policy`; `maskdpo domain check` prints the line."""

    @field_validator("guidance", "glossary", "text", "retrieval", mode="before")
    @classmethod
    def _only_comments_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("examples", mode="before")
    @classmethod
    def _no_examples_yet(cls, value: object) -> object:
        return () if value is None else value

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        return check_name(name)

    @field_validator("guidance")
    @classmethod
    def _are_a_judges(cls, guidance: dict[Label, str]) -> dict[Label, str]:
        for label in guidance:
            _check_label(label)
        return guidance

    @model_validator(mode="after")
    def _has_one_language(self) -> Self:
        if "language" in self.text.model_fields_set:
            raise ValueError("text.language: give the language once, as the key 'language'")
        return self

    @property
    def wording(self) -> str:
        """The language of the guidance, 'en' or 'zh': that of its headings."""
        language = self.language
        if language == AUTO:
            language = detect_language(self.checkable_fact)
        return wording_language(language)

    @property
    def prompt_language(self) -> str:
        """The language of the judge's prompts: 'en', 'zh', or 'auto' by the response."""
        return AUTO if self.language == AUTO else self.wording


def check_name(name: str) -> str:
    """`name`, or a ValueError that says which names are allowed."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"domain name {name!r}: use at most 64 letters, digits, '_' and '-', and no '-' at the "
            "start"
        )
    return name


def _check_label(label: Label) -> Label:
    if label not in JUDGED_LABELS:
        raise ValueError(
            f"{label.value!r} is not a label of a judge; {nearest(label, _LABEL_NAMES)}"
        )
    return label


_LABEL_NAMES = [label.value for label in JUDGED_LABELS]


def domain_folders() -> list[Path]:
    """The folders where a domain is looked up by name: the user's first, then the packaged ones."""
    return [FOLDER, SHIPPED]


def known_domains() -> list[str]:
    """The names that `load_domain` finds, sorted."""
    found = {path.stem for folder in domain_folders() for path in folder.glob("*.yaml")}
    return sorted(found)


def find_domain(name: str | Path) -> Path:
    """The file of a domain, by its path (ending in .yaml) or its name.

    Raises ConfigError for one that does not exist, naming those that do.
    """
    path = Path(name)
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        if not path.is_file():
            raise ConfigError(
                f"domain file {str(path)!r} not found; make one with: maskdpo domain new NAME"
            )
        return path
    for folder in domain_folders():
        found = folder / f"{name}.yaml"
        if found.is_file():
            return found
    known = known_domains()
    hint = nearest(str(name), known) if known else "no domain exists"
    raise ConfigError(f"no domain {str(name)!r}; {hint}; make one with: maskdpo domain new {name}")


def load_domain(name: str | Path) -> Domain:
    """The checked domain of a name or path; see `find_domain`.

    Raises ConfigError that names the file and the key for any fault in it.
    """
    path = find_domain(name)
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold the keys of a domain, found {type(values).__name__}")
    return Domain.parse(values, where=str(path))


def render_guidance(domain: Domain) -> str:
    """What is appended to the judge's system message, in the domain's own language.

    Begins with a blank line, because it directly follows the system message.
    """
    words = _HEADINGS[domain.wording]
    parts = [f"{words['fact']}\n{domain.checkable_fact}"]
    if domain.guidance:
        lines = [
            f"- {LABEL_WORDS[label]}{words['colon']}{domain.guidance[label]}"
            for label in JUDGED_LABELS
            if label in domain.guidance
        ]
        parts.append("\n".join([words["guidance"], *lines]))
    if domain.glossary:
        lines = [f"- {term}{words['colon']}{said}" for term, said in domain.glossary.items()]
        parts.append("\n".join([words["glossary"], *lines]))
    if domain.examples:
        examples, document = [words["examples"]], None
        for example in domain.examples:
            examples.append(_render_example(example, words, after=document))
            document = example.document
        parts.append("\n\n".join(examples))
    return "\n\n" + neutralise("\n\n".join(parts))


def _render_example(example: DomainExample, words: dict[str, str], *, after: str | None) -> str:
    """One example; its document is left out where the example before (`after`) has the same."""
    lines = [] if example.document == after else [f"{words['document']}{example.document}"]
    return "\n".join(
        [
            *lines,
            f"{words['sentence']}{example.sentence}",
            f"{words['label']}{LABEL_WORDS[example.label]}",
            f"{words['reason']}{example.reason}",
        ]
    )


def guidance_id(guidance: str) -> str:
    """The digest of rendered guidance that goes into a judge's fingerprint; '' for none."""
    return content_key(guidance) if guidance else ""
