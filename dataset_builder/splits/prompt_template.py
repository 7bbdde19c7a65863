"""The prompt template: text that the prompts of many topics share, and that filters ignore.

The rule: a text is a template only when at least three topics put different words into it. One
question that is asked three times, with or without a "please", has no other words and so is not a
template. The template is learned from a sample of all prompts that depends only on their content,
so every order of the input and every shard learns the same one.

It is kept as a set of character 5-grams, from two sources:
    5-grams that 10% of the topics have, at least five ("Write a biography of ..."), and those of
    longer runs (32 characters; 16 Chinese or Japanese ones) that 3% have, at least three.
A long run needs fewer topics: unrelated questions hardly ever share one.
"""

from __future__ import annotations

import heapq
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b

from dataset_builder.splits.prompt_text import NGRAM, WORD, flatten, ngrams_of
from schemas.text.scripts import KANA

NGRAM_SHARE, NGRAM_MIN_TOPICS = 0.1, 5
RUN_SHARE, RUN_MIN_TOPICS = 0.03, 3
RUN_WEIGHT = 32  # characters, of which a Chinese or Japanese one counts twice
SAMPLE_TOPICS = 1_000
_PROMPTS_PER_TOPIC = 4
_MAX_CHARS = 1_000  # at each end of a prompt
_MAX_SAMPLE_CHARS = 400_000
_BUCKETS = (1 << 20) - 1  # a mask
_STEM_LETTERS = 5
_WIDE_FROM = ord(KANA[0])

# Words that carry no information about the subject of a question.
_FILLERS = frozenset(
    "a an the of in on at to for from by with and or as is are was were be been do does did has "
    "have had that it its this these there about i me my you your we us our please kindly thanks "
    "thank can could would will tell give write describe explain say show let know just now hello "
    "hi ok one some any "
    "der die das ein eine einen den dem des und bitte le la les un une des du de et el los las y "
    "请 问 你 您 我 们 的 了 是 在 吗 呢 吧 啊 一 下 谢 这 那 个 给 告 诉 说 写 对 于 和 与 及".split()  # noqa: E501
)

_UNKNOWN = re.compile(b"\0+")

Template = frozenset[str]
Content = tuple[str, ...]
Prompts = Iterable[tuple[str, str]]


def sample_prompts(read: Callable[[], Iterable[tuple[str, str, str]]]) -> list[tuple[str, str]]:
    """(topic, prompt text) of about a thousand topics, out of (question id, topic, text) rows.

    `read` is called twice. The topics, and the questions of each, are those with the smallest
    hashes, so neither the order of the rows nor a shard changes the sample.
    """
    kept: dict[str, int] = {}
    heap: list[tuple[int, str]] = []
    for _, topic, _ in read():
        if topic in kept:
            continue
        rank = _hash(topic)
        if len(heap) == SAMPLE_TOPICS and -heap[0][0] <= rank:
            continue
        kept[topic] = rank
        heapq.heappush(heap, (-rank, topic))
        if len(heap) > SAMPLE_TOPICS:
            kept.pop(heapq.heappop(heap)[1])
    texts: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for question_id, topic, text in read():
        if topic in kept:
            texts[topic].append((_hash(question_id), _ends(text)))
            texts[topic].sort()
            del texts[topic][_PROMPTS_PER_TOPIC:]
    topics = sorted(kept, key=lambda topic: (kept[topic], topic))
    return list(_within_budget([(topic, texts[topic]) for topic in topics]))


def learn_template(prompts: Prompts) -> Template:
    """The 5-grams of the templates of (topic, prompt text) rows."""
    of_topic: defaultdict[str, list[str]] = defaultdict(list)
    for topic, text in prompts:
        of_topic[topic].append(flatten(text))
    topics = list(of_topic.values())
    found: set[str] = set()
    for cut, share, least in (
        (ngrams_of, NGRAM_SHARE, NGRAM_MIN_TOPICS),
        (_runs_of, RUN_SHARE, RUN_MIN_TOPICS),
    ):
        enough = max(least, share * len(topics))
        found |= _ngrams_in(_find_shared(topics, cut, enough))
    return _keep_with_other_words(topics, _without_what_fills_it(topics, found))


def open_words(flat: str, template: Template) -> list[tuple[re.Match[str], bool]]:
    """Each word of a folded text, and whether it is open (not part of the template).

    A word is open when two neighbouring characters, one of them its own, are in no 5-gram of the
    template together. It is not enough that each character is in some 5-gram: if a `1` may follow
    "number " and a `7` may come before " of", `17` need not be in the template.
    """
    places = list(WORD.finditer(flat))
    if not template:
        return [(place, True) for place in places]
    broken = _broken_places(flat, template)
    return [(place, broken.find(1, place.start(), place.end() + 1) >= 0) for place in places]


def _broken_places(flat: str, template: Template) -> bytearray:
    """1 where no 5-gram of the template has both the character before and the one after.

    The 5-grams that contain both begin 1 to 4 characters earlier; all of them must be unknown.
    """
    known = bytes(map(template.__contains__, ngrams_of(flat)))
    broken = bytearray(len(flat) + 1)
    for match in _UNKNOWN.finditer(known):
        first = match.start() + NGRAM - 1 if match.start() else 1
        last = match.end() if match.end() < len(known) else len(flat) - 1
        broken[first : last + 1] = b"\1" * max(0, last + 1 - first)
    return broken


def open_stretches(marked: Sequence[tuple[re.Match[str], bool]]) -> list[list[int]]:
    """What a prompt puts into its template: for each stretch, the offsets of its words.

    marked    as returned by `open_words`

    Filler words are not part of a stretch and do not end one: "bridge of Karsted" is one.
    """
    stretches: list[list[int]] = [[]]
    for number, (place, is_open) in enumerate(marked):
        if is_filler(place[0]):
            continue
        if is_open:
            stretches[-1].append(number)
        else:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def contents_of(flat: str, template: Template) -> list[Content]:
    """The words of each of the `open_stretches` of a folded text."""
    marked = open_words(flat, template)
    return [tuple(marked[number][0][0] for number in part) for part in open_stretches(marked)]


def shared_contents(prompts: Prompts, template: Template) -> frozenset[Content]:
    """The words that prompts of at least RUN_MIN_TOPICS topics put into one slot of the template.

    In a template with several slots, such as a disease and a group of patients, these words do not
    distinguish topics.
    """
    topics_of: defaultdict[Content, set[str]] = defaultdict(set)
    for topic, text in prompts if template else ():
        for content in contents_of(flatten(text), template):
            topics_of[content].add(topic)
    return frozenset(one for one, topics in topics_of.items() if len(topics) >= RUN_MIN_TOPICS)


def is_filler(word: str) -> bool:
    """Whether a word carries no information about the subject of a question."""
    return word in _FILLERS


def stem(word: str) -> str:
    """The part that inflected forms of one word have in common."""
    return word if any(map(str.isdigit, word)) else word[:_STEM_LETTERS]


def _without_what_fills_it(topics: list[list[str]], found: set[str]) -> Template:
    """The 5-grams, without those that are too rare in their prompts to be part of the template.

    Names share words ("Lake Venn", "Lake Orm"), so parts of what is put into a template are
    frequent too, but rarer than the template around them. A 5-gram is kept if it is at least 40% as
    frequent as the median of its prompt, in the prompts of RUN_MIN_TOPICS topics.
    """
    counts: Counter[str] = Counter()
    for flats in topics:
        counts.update({ngram for flat in flats for ngram in ngrams_of(flat)} & found)
    num_fitting: Counter[str] = Counter()
    for flats in topics:
        fitting: set[str] = set()
        for flat in flats:
            ngrams = set(ngrams_of(flat)) & found
            if ngrams:
                median = sorted(counts[ngram] for ngram in ngrams)[len(ngrams) // 2]
                fitting |= {ngram for ngram in ngrams if 5 * counts[ngram] >= 2 * median}
        num_fitting.update(fitting)
    return frozenset(ngram for ngram in found if num_fitting[ngram] >= RUN_MIN_TOPICS)


def _keep_with_other_words(topics: list[list[str]], found: Template) -> Template:
    """The 5-grams around which topics put different words.

    Every 5-gram, frequent or not, needs RUN_MIN_TOPICS different contents; its share was counted
    before.
    """
    contents: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for flats in topics:
        for flat in flats:
            content = tuple(stem(word) for part in contents_of(flat, found) for word in part)
            for ngram in set(ngrams_of(flat)) & found:
                if len(contents[ngram]) < RUN_MIN_TOPICS:
                    contents[ngram].add(content)
    return frozenset(ngram for ngram, seen in contents.items() if len(seen) >= RUN_MIN_TOPICS)


def _find_shared(
    topics: list[list[str]], cut: Callable[[str], Iterable[str]], enough: float
) -> set[str]:
    """The pieces that at least `enough` topics have.

    First counted by hash in a table of fixed size, so that memory does not hold every piece; those
    that may be frequent enough are then counted exactly, so the hash decides nothing.
    """
    buckets = array("H", bytes(2 * (_BUCKETS + 1)))
    for flats in topics:
        for bucket in {hash(piece) & _BUCKETS for flat in flats for piece in cut(flat)}:
            buckets[bucket] += 1  # at most SAMPLE_TOPICS
    may_be = {place for place, count in enumerate(buckets) if count >= enough}
    counts: Counter[str] = Counter()
    for flats in topics:
        pieces = {piece for flat in flats for piece in cut(flat)}
        counts.update(piece for piece in pieces if hash(piece) & _BUCKETS in may_be)
    return {piece for piece, count in counts.items() if count >= enough}


def _runs_of(flat: str) -> Iterator[str]:
    """Every stretch of a folded text that has the weight RUN_WEIGHT."""
    weights = [1 if ord(one) < _WIDE_FROM else 2 for one in flat]
    end = total = 0
    for start in range(len(flat)):
        while end < len(flat) and total < RUN_WEIGHT:
            total += weights[end]
            end += 1
        if total < RUN_WEIGHT:
            return
        yield flat[start:end]
        total -= weights[start]


def _ngrams_in(pieces: Iterable[str]) -> set[str]:
    return {ngram for piece in pieces for ngram in ngrams_of(piece) if len(ngram) == NGRAM}


def _within_budget(
    texts: Sequence[tuple[str, Sequence[tuple[int, str]]]],
) -> Iterator[tuple[str, str]]:
    """One prompt of each topic, then the second of each, up to _MAX_SAMPLE_CHARS."""
    budget = _MAX_SAMPLE_CHARS
    for rank in range(_PROMPTS_PER_TOPIC):
        for topic, ranked in texts:
            if rank >= len(ranked):
                continue
            if budget < 0:
                return
            budget -= len(ranked[rank][1])
            yield topic, ranked[rank][1]


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _MAX_CHARS else f"{text[:_MAX_CHARS]}\n{text[-_MAX_CHARS:]}"


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
