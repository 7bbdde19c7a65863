"""Phrases that plain technical English does not need, counted in all text that a person reads.

The rule: a phrase is listed with what to write instead, an example it must find and, where its
words also have an ordinary use, an example it must leave alone (`tests/test_words.py` runs both).
Text that is sent to a model is never checked: its wording decides the content key of a paid call.

    python tests/words.py                        a table of counts: phrases by kinds of places
    python tests/words.py --list annotator docs  each occurrence below these paths
    python tests/words.py --checkout DIR         the same for another checkout
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("schemas", "formats", "annotator", "dataset_builder", "trainer", "maskdpo", "benchmarks"),
)
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
KINDS = ("pages", "docstrings", "comments", "messages", "settings files")

# Files whose strings are data or are sent to a model, each with its reason: only their comments and
# docstrings are read. Of YAML files, which hold prompts and domains, only comments are read.
# A folder ends with a slash.
ONLY_COMMENTS = {
    "schemas/text/sense_words.py": "words that questions are compared by",
    "annotator/text/function_words.py": "words without content",
    "annotator/text/rules/english.py": "words that begin sentences, and abbreviations",
    "annotator/judging/lexical/words.py": "words, and forms of verbs",
    "annotator/judging/lexical/refusals.py": "sentences in which models decline to answer",
    "annotator/documents/readers/pdf/hyphens.py": "words that are joined by a hyphen",
    "annotator/sampling/question_wording.py": "words of questions",
    **dict.fromkeys(
        (
            f"annotator/judging/protocols/{name}.py"
            for name in ("anah", "anah_reply", "copied", "read_reply", "repairs", "response")
        ),
        "descriptions of faults, which a repair sends to the model",
    ),
    "annotator/judging/protocols/steps.py": "descriptions of faults, which a repair sends",
    "annotator/judging/protocols/window_reply.py": "descriptions of faults, which a repair sends",
    "annotator/judging/domains/domain.py": "headings of prompts, which are part of content keys",
    "annotator/sampling/questions_prompt.py": "a prompt: its text is part of content keys",
    "formats/sheets/labels.py": "what people may write into a cell",
    "dataset_builder/splits/prompt_template.py": "words without content",
    "benchmarks/ingest_documents_html.py": "text of generated documents",
    "benchmarks/ingest_documents_pdf_pages.py": "text of generated documents",
    "benchmarks/prompt_economy.py": "prompts and replies",
    "benchmarks/mask_cases.py": "prompts and answers",
    "benchmarks/sentence_cases/": "sentences to divide",
}


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Words to avoid: what to write instead, an example, and an ordinary use to leave alone."""

    name: str
    pattern: str
    instead: str
    example: str
    ordinary: str = ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A piece of prose; `words` has single blanks, and no code."""

    path: str
    line: int
    kind: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One occurrence of a phrase."""

    phrase: str
    text: Text
    found: str = field(default="")


_NUMBER = (
    r"(?:\d[\d,]*(?:\.\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand)"
)
_UNIT = (
    r"(?:token|pair|device|step|sentence|span|response|reply|call|request|row|line|file|second|"
    r"minute|hour|question|document|passage|page|judge|model|topic|label|section|split|field|"
    r"process|rank|key|prompt|answer|window|shard|group|parameter|logit|character|claim|quote|"
    r"store|run|batch|user|person|job|method|node|card|table|sheet|column|domain|language)"
)
_COUNTED = (
    r"(?:tokens|pairs|bytes|rows|sentences|seconds|milliseconds|ms|characters|replies|responses|"
    r"questions|passages|documents|verdicts|samples|requests|spans|steps|words|letters|"
    r"prompts|answers|tries|entries|figures|operations|FLOPs|GiB|MiB|kB|KB)"
)
_BETWEEN = (
    r"(?:(?!(?:of|in|on|for|with|that|is|to|from|at|by|as|and|or|than|per|into|has|have|had|takes|"
    r"gives|holds|needs|makes|was|are|be|may|can|where|says|share|about|behind|after|before|"
    r"between)\b)[\w-]+ )"
)
# What follows where "a" is an article: "the sentences a judge decided", "two of a row that ...".
_NO_RATE = r"of|that|which|is|may|must|can|could|will|should|has|had|does|or|\w+ed|(?!as\b)\w+s"

PHRASES = (
    Phrase(
        name="told",
        pattern=r"\btold\b",
        instead="reported, printed, raised",
        example="The error is told once.",
    ),
    Phrase(
        name="says so",
        pattern=r"\b(?:says?|said|saying) so\b(?! far\b)",
        instead="reports it, prints a warning",
        example="A run that stops says so.",
    ),
    Phrase(
        name="tell",
        pattern=r"\btell(?:s|ing)?\b",
        instead="report, show, distinguish",
        example="The hash tells the two apart.",
        ordinary="the tellers and storytellers",
    ),
    Phrase(
        name="held against",
        pattern=r"\bh(?:e|o)ld(?:s|ing)? (?:\w+ )?against\b",
        instead="compared with",
        example="A verdict is held against a label.",
    ),
    Phrase(
        name="puts a judge to",
        pattern=r"\bputs? (?:a|the|this|it|any|every|each|both)(?: \w+)? to\b",
        instead="runs a judge on",
        example="It puts a judge to labelled sentences.",
    ),
    Phrase(
        name="stands",
        pattern=r"\b(?:stand|stands|stood|standing)\b(?!-| alone\b| by itself\b)",
        instead="is, is written, represents",
        example="The table stands above.",
        ordinary="a stand-in, which can stand alone",
    ),
    Phrase(
        name="beside",
        pattern=r"\bbesides?\b",
        instead="next to, in addition to",
        example="A sidecar lies beside the file.",
    ),
    Phrase(
        name="lay over",
        pattern=r"\b(?:lays?|laid|laying) (?:\w+ )?over\b",
        instead="apply to, replace",
        example="Reviews are laid over verdicts.",
        ordinary="A layout is handed over.",
    ),
    Phrase(
        name="lies in",
        pattern=r"\b(?:lie|lies|lay|lying) (?:in|at|on|there|here|next|under|beside|behind|with|"
        r"side)\b",
        instead="is in",
        example="The file lies in the folder.",
        ordinary="the mean lies between both",
    ),
    Phrase(
        name="a for per",
        pattern=rf"\b(?:{_NUMBER} {_BETWEEN}{{0,2}}|{_COUNTED} )an? {_UNIT}\b"
        rf"(?! (?:{_NO_RATE})\b)|\ba device and step\b",
        instead="per",
        example="It has one weight a token.",
        ordinary="the two of a file, and sentences a judge decided",
    ),
    Phrase(
        name="answers (of a function)",
        pattern=r"(?-i:(?:^|[.:;] )Answers (?:the|a|an|whether|True|False|None|with|how|what|which|"
        r"CODE)\b)|\b(?:function|method|property) answers\b|"
        r"\bit answers (?:whether|with the|the number|None)\b",
        instead="returns",
        example="Answers the number of rows.",
        ordinary="Answers side by side: a server answers with status 429",
    ),
    Phrase(
        name="goes on",
        pattern=r"\b(?:go|goes|going|went|gone) on\b(?! top\b)",
        instead="continue",
        example="The others go on.",
        ordinary="it goes on top of main",
    ),
    Phrase(name="anew", pattern=r"\banew\b", instead="again", example="It asks anew."),
    Phrase(
        name="so many",
        pattern=r"\bso (?:many|much|few|little|often|long)\b",
        instead="that many, that often",
        example="At most so many calls.",
        ordinary="what is done so far",
    ),
    Phrase(
        name="is no pair",
        pattern=r"\b(?:is|are|was|were|be|been|am) no (?!(?:longer|more|less|better|worse|other|"
        r"one)\b)[\w-]+",
        instead="is not a, invalid",
        example="This row is no pair.",
        ordinary="there is no pair, it is no longer used",
    ),
    Phrase(
        name="meets",
        pattern=r"\b(?:meet|meets|meeting|met)\b",
        instead="computes, finds, reaches, satisfies",
        example="It meets the output matrix.",
    ),
    Phrase(
        name="with weight",
        pattern=r"\bwith(?:out)? (?:a )?weight\b",
        instead="with non-zero weight",
        example="Only tokens with weight train.",
        ordinary="with weight 0.5 and with weights",
    ),
    Phrase(
        name="worth",
        pattern=r"\bworth\b",
        instead="measured accuracy, useful",
        example="what the judge is worth",
    ),
    Phrase(
        name="to beat",
        pattern=r"\b(?:to|must) beat\b",
        instead="a baseline",
        example="This is the line to beat.",
    ),
    Phrase(
        name="nobody",
        pattern=r"\bnobody(?:'s| here| wants)\b",
        instead="not, no one",
        example="Nobody here reads these files.",
        ordinary="a row that nobody reviewed",
    ),
    Phrase(
        name="of ours",
        pattern=r"\bof (?:ours|theirs|yours|hers|mine)\b|\bours to\b",
        instead="our",
        example="This is not a file of ours.",
        ordinary="twice as fast as TRL: ours 2 s, theirs 4 s",
    ),
    Phrase(
        name="that there is",
        pattern=r"\b(?:what is there|that there (?:is|are|was)|was there before)\b"
        r"(?! (?:no|none|a|an)\b)",
        instead="that exists",
        example="It deletes what is there.",
        ordinary="it shows that there is no file",
    ),
    Phrase(
        name="wants to be",
        pattern=r"\bwants? (?:to be|no|none|it|them)\b",
        instead="should be, needs",
        example="beta wants to be larger",
        ordinary="anyone who has no wants",
    ),
    Phrase(
        name="came along",
        pattern=r"\b(?:come|comes|came) along\b",
        instead="were included",
        example="labels only came along",
    ),
    Phrase(
        name="the whole way",
        pattern=r"\bthe whole way\b",
        instead="from start to end",
        example="It runs the whole way.",
    ),
    Phrase(
        name="found out",
        pattern=r"\b(?:find|finds|found|finding) out\b",
        instead="detected",
        example="A change is found out.",
    ),
    Phrase(
        name="wish",
        pattern=r"\bwish(?:es|ed)?\b",
        instead="request",
        example="A signal is a wish.",
    ),
    Phrase(
        name="the price of that",
        pattern=r"\bthe price of (?:that|this|it|both)\b",
        instead="the cost",
        example="The price of that: a slow start.",
        ordinary="the price of a token",
    ),
    Phrase(
        name="turns it round",
        pattern=r"\bturn(?:s|ed)? (?:it|them|that|this) round\b",
        instead="reverses",
        example="More training turns it round.",
    ),
    Phrase(
        name="for good",
        pattern=r"\bfor good\b(?! \w)",
        instead="permanently",
        example="It fails for good.",
        ordinary="a place for good data",
    ),
    Phrase(
        name="pass over",
        pattern=r"\bpass(?:es|ed|ing) over\b(?! (?:the|all|every|each|a|its)\b)",
        instead="skip",
        example="Blank lines are passed over.",
        ordinary="three passes over all pairs",
    ),
    Phrase(
        name="write over",
        pattern=r"\b(?:write|writes|wrote|written|writing) (?:it |them |this )?over\b",
        instead="overwrite",
        example="It is not written over.",
    ),
    Phrase(
        name="mend",
        pattern=r"\bmend(?:s|ed|ing)?\b",
        instead="fix, repair",
        example="The user mends the file.",
    ),
    Phrase(
        name="whoever",
        pattern=r"\bwho(?:m|so)?ever\b",
        instead="the caller, the user, anyone who",
        example="for whoever reads it",
    ),
    Phrase(
        name="old adverbs",
        pattern=r"\b(?:lest|upon|whence|thereof|therein|thereto|hereby|herein|whereof|ere|nought)\b",
        instead="so that not, on, its, in it",
        example="It is kept lest it change.",
    ),
    Phrase(
        name="way out",
        pattern=r"\bthe way out\b",
        instead="what to do next",
        example="with its name and the way out",
    ),
    Phrase(
        name="without a word",
        pattern=r"\bwithout a word\b(?! of\b)",
        instead="silently",
        example="It is ignored without a word.",
    ),
    Phrase(
        name="take for",
        pattern=r"\b(?:takes?|took|taken|taking) (?:it |them |these |this )?for\b"
        r"(?! (?:each|every|all|no|granted)\b)",
        instead="treat as",
        example="A number is taken for a name.",
        ordinary="what it takes for each pair",
    ),
)
_COMPILED = {
    phrase.name: re.compile(phrase.pattern, re.IGNORECASE | re.MULTILINE) for phrase in PHRASES
}
# Ordinary English that shares words with a phrase: removed before the phrases are looked for.
_ORDINARY = re.compile(
    r"\bthere (?:\w+ ){0,2}?(?:is|are|was|were|be|been) no\b|\bwith weight (?:\d|CODE)|"
    r"\bcan(?: ?not|'t) tell,",  # a value that a cell of a sheet may have
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]{2,}")
_CODE = re.compile(r"``[^`]+``|`[^`]+`")
_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_TEMPLATE_CODE = re.compile(
    r"\{#.*?#\}|\{%.*?%\}|<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE
)


def plain(text: str) -> str:
    """Prose on one line: code in backticks becomes CODE, which keeps the words around it apart."""
    return " ".join(_CODE.sub("CODE", text).split())


def read_texts(root: Path) -> Iterator[Text]:
    """Every piece of prose below `root` that this check covers."""
    pages = [root / page for page in PAGES] + sorted((root / "docs").glob("*.md"))
    for path in pages:
        yield from _paragraphs(path.read_text(encoding="utf-8"), path, root)
    for path in sorted((root / "docs").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                yield from _paragraphs("".join(cell["source"]), path, root)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield from _python(path, root)
        for path in sorted((root / package).rglob("*.jinja")):
            yield from _template(path, root)
    for path in (root / "Makefile", root / ".ci/run", *_yaml_files(root)):
        yield from _hash_comments(path, root)


def _yaml_files(root: Path) -> list[Path]:
    folders = ("configs", *PACKAGES)
    return sorted(path for folder in folders for path in (root / folder).rglob("*.yaml"))


def _paragraphs(source: str, path: Path, root: Path) -> Iterator[Text]:
    """The prose of Markdown text; fenced and indented code is left out, lines keep numbers."""
    text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), source)
    text = re.sub(r"(?m)^ {4,}(?![-*\d]).*$", "", text) if path.name != "CHANGELOG.md" else text
    yield from _blocks(text.splitlines(), path, root, kind="pages")


def _blocks(lines: list[str], path: Path, root: Path, *, kind: str) -> Iterator[Text]:
    block: list[str] = []
    begins = 1
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and not (block and re.match(r"\s*(?:[-*|#]|\d+\.) ?", line)):
            begins = begins if block else number
            block.append(line)
            continue
        if block:
            yield _text("\n".join(block), path, root, begins, kind)
        block, begins = ([line] if line.strip() else []), number


def _text(words: str, path: Path, root: Path, line: int, kind: str) -> Text:
    where = path.relative_to(root).as_posix()
    return Text(path=where, line=line, kind=kind, words=plain(words))


def _hash_comments(path: Path, root: Path) -> Iterator[Text]:
    """The comments of YAML, shell and make files, with the help texts of a Makefile's targets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [
        match[1] if (match := re.search(r"(?:^|\s)#+\s(.*)", line)) else "" for line in lines
    ]
    yield from _blocks(comments, path, root, kind="settings files")


def _template(path: Path, root: Path) -> Iterator[Text]:
    """What a template prints around its values; a value becomes CODE."""
    source = path.read_text(encoding="utf-8")
    bare = re.sub(r"\{\{.*?\}\}", "CODE", source, flags=re.DOTALL)
    bare = _TEMPLATE_CODE.sub(lambda match: "\n" * match[0].count("\n"), bare)
    yield from _blocks(bare.splitlines(), path, root, kind="messages")


def _python(path: Path, root: Path) -> Iterator[Text]:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    docstrings = {id(node) for node in _docstrings(tree)}
    for docstring in _docstrings(tree):
        yield from _docstring(docstring, path, root)
    parts: set[int] = set()
    has_messages = not path.relative_to(root).as_posix().startswith(tuple(ONLY_COMMENTS))
    for node in ast.walk(tree) if has_messages else ():
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield _text(_joined(node), path, root, node.lineno, "messages")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_prose = len(_WORD.findall(node.value)) > 1 and " " in node.value
            if is_prose and id(node) not in parts | docstrings:
                yield _text(node.value, path, root, node.lineno, "messages")
    yield from _blocks(_comments(source), path, root, kind="comments")


def _docstring(node: ast.Constant, path: Path, root: Path) -> Iterator[Text]:
    """A docstring by paragraph, without examples."""
    text = re.sub(r"(?m)^\s*>>>.*\n(?:(?!\s*>>>|\s*$).*\n?)*", "\n", str(node.value))
    for block in _blocks(text.splitlines(), path, root, kind="docstrings"):
        line = block.line + node.lineno - 1
        yield Text(path=block.path, line=line, kind=block.kind, words=block.words)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Docstrings, and the strings below a field that describe it (also shown by --help)."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value


def _joined(node: ast.JoinedStr) -> str:
    return "".join(
        str(value.value) if isinstance(value, ast.Constant) else "CODE" for value in node.values
    )


def _comments(source: str) -> list[str]:
    """The comment of each line, '' where a line has none."""
    lines = [""] * (source.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = token.string.lstrip("#: ")
    return lines


def find_hits(text: Text) -> Iterator[Hit]:
    """All phrases in one text."""
    words = _ORDINARY.sub("--", text.words)
    for name, pattern in _COMPILED.items():
        for match in pattern.finditer(words):
            around = words[max(match.start() - 30, 0) : match.end() + 30]
            yield Hit(phrase=name, text=text, found=around)


def count(root: Path, below: tuple[str, ...] = ()) -> list[Hit]:
    """Every hit below `root`, or only in files whose path begins with one of `below`."""
    texts = (text for text in read_texts(root) if not below or text.path.startswith(below))
    return [hit for text in texts for hit in find_hits(text)]


def table(hits: list[Hit]) -> str:
    """Counts by phrase and kind of place."""
    counts = Counter((hit.phrase, hit.text.kind) for hit in hits)
    rows: list[tuple[str, ...]] = [("phrase", *KINDS, "all")]
    for phrase in PHRASES:
        cells = [counts[phrase.name, kind] for kind in KINDS]
        rows.append((phrase.name, *map(str, cells), str(sum(cells))))
    by_kind = Counter(hit.text.kind for hit in hits)
    rows.append(("all", *(str(by_kind[kind]) for kind in KINDS), str(len(hits))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def main(show: Callable[[str], None] = print) -> None:
    """Print the counts, or each occurrence."""
    parser = argparse.ArgumentParser(description="Count phrases that plain English does not need.")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="folder of a checkout")
    parser.add_argument("--list", action="store_true", help="print each occurrence")
    parser.add_argument("below", nargs="*", help="only files whose path begins so")
    args = parser.parse_args()
    hits = count(args.checkout.resolve(), tuple(args.below))
    if args.list:
        for hit in sorted(hits, key=lambda hit: (hit.text.path, hit.text.line)):
            show(f"{hit.text.path}:{hit.text.line}  [{hit.phrase}]  {hit.found}")
    show(table(hits))


if __name__ == "__main__":
    main()
