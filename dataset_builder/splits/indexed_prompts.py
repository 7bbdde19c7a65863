"""The prompts and topics of the input, in the scratch database of the input index.

The rule: a topic has one name, the least of its spellings in the whole input, and no other part of
the builder uses a spelling. So the name is known only after all files were read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from dataset_builder.splits.topics import topic_key


class IndexedPrompts:
    """Fill it with `add`, then call `name_topics`. Also reads the index's table `rows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._last: tuple[str, str] | None = None
        self._respelled: dict[str, str] = {}
        self._run(
            "CREATE TABLE prompts (question_id TEXT, topic TEXT, text TEXT,"
            " PRIMARY KEY (question_id, text)) WITHOUT ROWID"
        )
        self._run("CREATE TABLE topics (topic TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")

    def add(self, question_id: str, topic: str, text: str) -> None:
        """Store the prompt of one row."""
        if self._last == (question_id, text):
            return  # most rows come after another row of the same question
        self._last = (question_id, text)
        self._run("INSERT OR IGNORE INTO prompts VALUES (?, ?, ?)", (question_id, topic, text))

    def name_topics(self) -> None:
        """Find the spellings of each topic; few topics have several."""
        self._run("CREATE TEMP TABLE spellings (key TEXT, topic TEXT, PRIMARY KEY (key, topic))")
        for (topic,) in self._run("SELECT DISTINCT topic FROM rows"):
            self._run("INSERT INTO spellings VALUES (?, ?)", (topic_key(topic), topic))
        self._run(
            "INSERT INTO topics SELECT topic, (SELECT MIN(topic) FROM spellings AS other"
            " WHERE other.key = spellings.key) FROM spellings"
        )
        self._run("DROP TABLE spellings")
        self._respelled = dict(self._run("SELECT topic, name FROM topics WHERE topic <> name"))

    def topic_name(self, topic: str) -> str:
        """The least spelling of a topic in the input; the topic itself if it has only one."""
        return self._respelled.get(topic, topic)

    def all(self) -> Iterator[tuple[str, str, str]]:
        """(question id, topic or question id, prompt text) of all questions of one topic.

        In order of question ids, in every shard; a question has several if its rows differ.
        """
        rows = self._run(
            "SELECT question_id, name, text FROM prompts JOIN topics USING (topic) "
            "WHERE question_id NOT IN ("
            " SELECT question_id FROM rows JOIN topics USING (topic)"
            " GROUP BY question_id HAVING MIN(name) <> MAX(name)"
            ") ORDER BY question_id, text"
        )
        for question_id, name, text in rows:
            yield question_id, name or question_id, text

    def num_topics(self, is_mine: Callable[[str], bool]) -> int:
        """Topics whose least question `is_mine`, so that the numbers of shards add up."""
        rows = self._run(
            "SELECT MIN(question_id) FROM rows JOIN topics USING (topic)"
            " GROUP BY IIF(name = '', question_id, name)"
        )
        return sum(is_mine(question_id) for (question_id,) in rows)
