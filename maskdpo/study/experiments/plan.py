"""What an experiment is: its question, its worlds, its arms and the comparisons it answers.

The rule: an experiment only names arms; how an arm becomes a model is decided once, in
`maskdpo.study.arms`, and how numbers become intervals once, in `maskdpo.study.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from maskdpo.study.arms import ALL_KINDS, METHODS, Arm, Method, Setup

BASE = "base"
Rates = Mapping[str, float]

MASK, DPO, SPAN, RANDOM = "mask_dpo", "dpo", "span_masks", "random_masks"
CONFIDENT = Method(masks="sentence", weights="confidence")
SMOOTHED = Method(masks="sentence", label_smoothing=0.1)
NOISE = (0.0, 0.1, 0.2, 0.4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """An experiment of the study.

    name, question   as typed, and what it asks
    num_worlds       by default; --quick uses fewer
    comparisons      pairs of arms by name: the first minus the second
    paper            the published figures next to ours, or ""
    """

    name: str
    question: str
    num_worlds: int
    comparisons: tuple[tuple[str, str], ...]
    paper: str = ""

    def arms(self, setup: Setup, rates: Rates, world: int) -> list[Arm]:
        """The arms in one world, after the last step unless the experiment reads paths."""
        return _ARMS[self.name](setup, rates, world)


def _arm(name: str, setup: Setup, rates: Rates, world: int, method: str = MASK) -> Arm:
    return Arm(
        name=name, world=world, method=METHODS[method], rate=rates[method], steps=setup.last_step
    )


def _methods(setup: Setup, rates: Rates, world: int) -> list[Arm]:
    arms = [_arm(name, setup, rates, world, name) for name in METHODS]
    return [replace(arm, steps=steps) for arm in arms for steps in setup.steps]


def _topics(setup: Setup, rates: Rates, world: int) -> list[Arm]:
    whole = num_topics(setup)
    arms = []
    for part in (1, 2, 3):
        arm = _arm(f"topics_{part}_of_3", setup, rates, world)
        topics = None if part == 3 else whole * part // 3
        arms.append(replace(arm, topics=topics, steps=_share(setup.last_step, part)))
    for count in (1, 2):
        arm = _arm(f"questions_{count}_of_3", setup, rates, world)
        arms.append(replace(arm, kinds=ALL_KINDS[:count], steps=_share(setup.last_step, count)))
    return arms


def _noise(setup: Setup, rates: Rates, world: int) -> list[Arm]:
    arms = []
    methods = {"plain": METHODS[MASK], "cdpo": SMOOTHED, "confidence": CONFIDENT}
    for noise in NOISE:
        for name, method in methods.items():
            arm = _arm(noise_name(name, noise), setup, rates, world)
            if noise or method is not CONFIDENT:  # without errors the judge is sure of everything
                arms.append(replace(arm, method=method, noise=noise))
    return arms


def _best_of_n(setup: Setup, rates: Rates, world: int) -> list[Arm]:
    return [_arm(name, setup, rates, world, name) for name in (DPO, MASK)]


def _samples(setup: Setup, rates: Rates, world: int) -> list[Arm]:
    own = _arm("own", setup, rates, world)
    return [
        own,
        replace(own, name="other_model", source="other"),
        replace(own, name="document_shown", source="document"),
    ]


def noise_name(weights: str, noise: float) -> str:
    """The name of an arm of the experiment `noise`: plain_20 has 20% of the labels wrong."""
    return f"{weights}_{round(100 * noise)}"


def num_topics(setup: Setup) -> int:
    """Number of people in the preference data."""
    from maskdpo.study.world.config import WorldConfig

    config = WorldConfig(**setup.world)
    return config.num_people - config.num_unseen


def _share(steps: int, part: int) -> int:
    """Steps for a part of 3 of the pairs, so that all arms have the same number of epochs."""
    return max(1, round(steps * part / 3))


_ARMS = {
    "methods": _methods,
    "topics": _topics,
    "noise": _noise,
    "best-of-n": _best_of_n,
    "samples": _samples,
}
EXPERIMENTS: Mapping[str, Experiment] = {
    item.name: item
    for item in (
        Experiment(
            name="methods",
            question="Does Mask-DPO gain more than DPO, and do the masks matter?",
            num_worlds=10,
            comparisons=(
                (MASK, DPO),
                (SPAN, MASK),
                (MASK, RANDOM),
                (RANDOM, DPO),
                (DPO, BASE),
                (MASK, BASE),
            ),
            paper="Llama-3.1-8B, ANAH score: base 49.19, DPO 68.44, Mask-DPO 77.53.",
        ),
        Experiment(
            name="topics",
            question="At equal numbers of pairs, do more topics help more than more questions?",
            num_worlds=5,
            comparisons=(
                ("topics_3_of_3", "topics_1_of_3"),
                ("questions_1_of_3", "topics_1_of_3"),
                ("questions_2_of_3", "topics_2_of_3"),
            ),
            paper="A third, two thirds and all of the topics with 3 questions each: 65.04, 71.56, "
            "77.53; all topics with 1, 2 and 3 questions: 69.03, 73.03, 77.53.",
        ),
        Experiment(
            name="noise",
            question="How many wrong labels does Mask-DPO bear, and what helps against them?",
            num_worlds=5,
            comparisons=tuple(
                (noise_name(ours, noise), noise_name("plain", noise))
                for noise in NOISE
                for ours in ("cdpo", "confidence")
                if noise or ours == "cdpo"
            )
            + tuple((noise_name("plain", noise), noise_name("plain", 0.0)) for noise in NOISE[1:]),
            paper="Not in the paper.",
        ),
        Experiment(
            name="best-of-n",
            question="Does training do more than choosing the best of n samples?",
            num_worlds=5,
            comparisons=((MASK, BASE), (DPO, BASE), (MASK, DPO)),
            paper="Best of 1, 16 and 256: base 47.79, 73.38, 80.98; Mask-DPO 70.67, 89.80, 94.09.",
        ),
        Experiment(
            name="samples",
            question="Does it matter who wrote the responses that are compared?",
            num_worlds=5,
            comparisons=(("own", "other_model"), ("own", "document_shown"), ("own", BASE)),
            paper="The policy itself 77.53, another model 59.43, the policy shown the document "
            "39.43 (base 49.19).",
        ),
    )
}
