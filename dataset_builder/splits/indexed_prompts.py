"""The prompts and topics of the input, in the scratch database of the build.

The rule: a topic has one name, the least of its spellings in the whole input, and no other part of
the builder uses a spelling. So the name is known only after all files were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dataset_builder.reading.scratch import Scratch
from dataset_builder.splits.topics import topic_key


class IndexedPrompts:
    """Fill it with `add_all`, then call `name_topics`."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._respelled: dict[str, str] = {}
        scratch.execute(
            "CREATE TABLE prompts (question_id TEXT, text TEXT, topic TEXT,"
            " PRIMARY KEY (question_id, text, topic)) WITHOUT ROWID"
        )
        scratch.execute("CREATE TABLE topics (topic TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")

    def add_all(self, prompts: Iterable[tuple[str, str, str]]) -> None:
        """Store (question id, topic, prompt text) of rows; equal ones are kept once."""
        self._scratch.add_all(
            "INSERT OR IGNORE INTO prompts (question_id, topic, text) VALUES (?, ?, ?)", prompts
        )

    def name_topics(self) -> None:
        """Find the spellings of each topic; few topics have several."""
        run = self._scratch.execute
        run("CREATE TEMP TABLE spellings (key TEXT, topic TEXT, PRIMARY KEY (key, topic))")
        self._scratch.add_all(
            "INSERT INTO spellings VALUES (?, ?)",
            ((topic_key(topic), topic) for (topic,) in run("SELECT DISTINCT topic FROM prompts")),
        )
        run(
            "INSERT INTO topics SELECT topic, (SELECT MIN(topic) FROM spellings AS other"
            " WHERE other.key = spellings.key) FROM spellings"
        )
        run("DROP TABLE spellings")
        self._respelled = dict(run("SELECT topic, name FROM topics WHERE topic <> name"))
        # The questions of one topic, in order; the others are in no split.
        run(
            "CREATE TABLE asked AS SELECT DISTINCT question_id, name, text"
            " FROM prompts JOIN topics USING (topic) WHERE question_id NOT IN ("
            "  SELECT question_id FROM prompts JOIN topics USING (topic)"
            "  GROUP BY question_id HAVING MIN(name) <> MAX(name)"
            " ) ORDER BY question_id, text"
        )

    def topic_name(self, topic: str) -> str:
        """The least spelling of a topic in the input; the topic itself if it has only one."""
        return self._respelled.get(topic, topic)

    def all(self) -> Iterator[tuple[str, str, str]]:
        """(question id, topic or question id, prompt text) of all questions of one topic.

        In order of question ids, in every shard; a question has several if its rows differ.
        """
        rows = self._scratch.execute("SELECT question_id, name, text FROM asked ORDER BY rowid")
        for question_id, name, text in rows:
            yield question_id, name or question_id, text

    def num_topics(self, is_mine: Callable[[str], bool]) -> int:
        """Topics whose least question `is_mine`, so that the numbers of shards add up."""
        rows = self._scratch.execute(
            "SELECT MIN(question_id) FROM prompts JOIN topics USING (topic)"
            " GROUP BY IIF(name = '', question_id, name)"
        )
        return sum(is_mine(question_id) for (question_id,) in rows)
