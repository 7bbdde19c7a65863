"""Settings of the review desk: its address, who reviews, and how much is read twice.

The rule: what decides who reads what (`people`, `second_share`, `seed`) is a setting of the run, so
that it is the same at each start and for each person.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from annotator.service.config import check_host_names, check_reachable
from schemas.config import Section


class ReviewConfig(Section):
    """Settings of `review`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address that the desk listens on. Any other than a loopback address can be reached from
    other machines: put a proxy with TLS in front, and name it in `hosts`."""

    port: int = Field(default=8766, ge=0, le=65535)
    """The port that the desk listens on; 0 chooses a free one. The next free one is taken if this
    one is not and you have not set it."""

    hosts: tuple[str, ...] = ()
    """Names in addition to 127.0.0.1, localhost and [::1] by which browsers may reach the desk,
    without a port. A request with another `Host` is refused."""

    blind: bool = True
    """Whether a session begins blind: a sentence shows nothing of the judge, or of other people,
    until the person has decided it. Each person can change it for their session."""

    people: tuple[str, ...] = ()
    """The people among whom the responses are divided; each response belongs to one of them. With
    none, everybody may review everything."""

    second_share: float = Field(default=0.1, ge=0, le=1)
    """The share of the sentences that a second person reads, who does not see the first
    decision."""

    seed: int = 0
    """Chooses who reads what, and what is read twice: the same seed, the same choice."""

    @field_validator("hosts")
    @classmethod
    def _are_host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return check_host_names(hosts)

    @field_validator("people")
    @classmethod
    def _are_names(cls, people: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(" ".join(name.split()) for name in people)
        if "" in names:
            raise ValueError("a name of a person is empty")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is given twice; give each person once")
        return names

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        check_reachable(self.host, self.hosts, "review.hosts")
        return self
