"""Keys, passwords and tokens in texts: found by their form, and never shown.

The rule: any part of a user's input or of a server's reply that is printed, logged or stored goes
through here. There are two filters. `hide_keys` hides only what is certainly a key (its issuer's
prefix, a Bearer header, a password in a URL), and is safe for every message. `hide_likely_keys`
also hides strings that look random, UUIDs among them; paths, model names, words and hashes of 40 or
64 hex digits (commits, SHA-256) stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

HIDDEN = "(hidden: it looks like a key)"
ADVICE = (
    "a key is read from the environment only: export it as OPENAI_API_KEY (or under another name, "
    "given as api_key_env) and remove it here"
)
# Bounded, and behind a prefix: a long run of letters (Chinese has no spaces) is read once.
_DIGIT_INSIDE = r"(?=[\w+/=.~-]{0,400}[0-9])"
_CERTAIN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    rf"sk-{_DIGIT_INSIDE}[\w-]{{16,}}"
    r"|sk-(?:proj|ant|or|svcacct|admin)-[\w-]{6,}"  # OpenAI, Anthropic, OpenRouter
    r"|(?:[rs]k|pk)_(?:live|test)_\w{8,}"  # Stripe
    r"|hf_[A-Za-z0-9]{16,}|gsk_[A-Za-z0-9]{16,}|r8_[A-Za-z0-9]{16,}|tgp_v1_[\w-]{16,}"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{16,}"  # AWS, Google
    r"|gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    rf"|(?:xai|pplx|nvapi|csk|fw|pypi|npm)[-_]{_DIGIT_INSIDE}[\w-]{{20,}}|xox[abeoprs]-[\w-]{{10,}}"
    r"|dapi[0-9a-f]{32}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON Web Tokens
    rf"|(?i:bearer)\s+{_DIGIT_INSIDE}[\w.~+/=-]{{12,}}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
    r")"
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_NAME = (
    r"(?:api|secret|private|access|auth)[-_ ]?key(?![-_ ]?env)|(?:access|auth|api|hf|bearer|secret)"
    r"[-_ ]?token|client[-_ ]?secret|passw(?:or)?d|passphrase|credentials?|authorization"
)
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAME})\Z")
_ASSIGNED = re.compile(
    rf"(?i)(?<![A-Za-z])((?:{_NAME})[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic)\s+)?)"
    r"(?!\(hidden)[^\s\"',;]{5,}[^\s\"',;:]"
)
_UUID = re.compile(r"(?i)(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+=-]{19,}")
_RUN = re.compile(r"[A-Za-z0-9]+")
_HEX = re.compile(r"(?:[0-9a-f]+|[0-9A-F]+)\Z")
_SAME_KIND = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_MIN_RANDOM = 20


def hide_keys(text: str) -> str:
    """`text` without what is certainly a key."""
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    return _CERTAIN.sub(HIDDEN, _URL_PASSWORD.sub(HIDDEN, text))


def holds_key(text: str) -> bool:
    """Whether `text` certainly contains a key, by the form its issuer uses."""
    return _CERTAIN.search(text) is not None


def hide_likely_keys(text: str) -> str:
    """`text` without what is certainly a key, and without strings that look random."""
    text = _UUID.sub(HIDDEN, hide_keys(text))
    return _TOKEN.sub(lambda match: HIDDEN if _is_random(match[0]) else match[0], text)


def looks_like_key(text: str) -> bool:
    """Whether any part of `text` is, or may be, a key."""
    return hide_likely_keys(text) != text


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name holds a secret: api_key, password, hf_token, ..."""
    return _SECRET_NAME.search(name) is not None


def find_keys(value: object, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Places inside settings whose text certainly contains a key."""
    for inside, text in _texts(value, place):
        if holds_key(text):
            yield inside


def find_secret_names(value: object, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Places inside settings that have the name of a secret and hold any text."""
    return (inside for inside, text in _texts(value, place) if text and is_secret_name(inside[-1]))


def _texts(value: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*place, str(key)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, place)


def _is_random(token: str) -> bool:
    """Whether a token changes between small letters, capitals and digits as often as random ones
    do."""
    runs = _RUN.findall(token)
    if any(_mixes_at_random(run) or _is_base36(run) for run in runs):
        return True
    # A random one has a "-" or "_" at irregular places, a name after each word.
    return len(runs) - 1 <= len(token) / 12 and _mixes_at_random("".join(runs))


def _mixes_at_random(text: str) -> bool:
    """Capitals, small letters and digits. Random ones change every 1.6 characters, names rarely."""
    if len(text) < _MIN_RANDOM or text.islower() or text.isupper():
        return False
    num_digits = sum(character.isdigit() for character in text)
    needed = 1 if len(text) >= 30 else 2
    return num_digits >= needed and len(text) <= 2.2 * len(_SAME_KIND.findall(text))


def _is_base36(text: str) -> bool:
    """Letters of one case and digits, such as hex. Random ones change every 2.5 characters."""
    if _HEX.match(text) and len(text) in (40, 64):
        return False  # a commit or a SHA-256
    num_digits = sum(character.isdigit() for character in text)
    if len(text) < _MIN_RANDOM or num_digits < 4 or not (text.islower() or text.isupper()):
        return False
    longest = 3.5 if len(text) >= 30 else 2.8
    return len(text) <= longest * len(_SAME_KIND.findall(text))
