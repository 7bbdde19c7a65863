"""Row noise makes an exact sample: distribution, nucleus, and independence of the batch."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.models.local.row_noise import RowNoise, keep_nucleus, steps_a_block
from annotator.models.reasoning import split_reasoning

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")


def draw(logits_V, *, seeds, temperature=1.0, top_p=1.0, num_steps=1):
    """Sampled tokens [B, S] of a model whose logits are the same at every step."""
    noise = RowNoise(seeds=seeds, prompt_size=3, temperature=temperature, top_p=top_p)
    scores_BV = logits_V.expand(len(seeds), -1)
    steps = []
    for step in range(num_steps):
        steps.append(noise(torch.zeros(len(seeds), 3 + step), scores_BV).argmax(-1))
    return torch.stack(steps, dim=1)


def p_value(tokens, probs_V):
    kept = probs_V > 0
    counts = torch.bincount(tokens.flatten(), minlength=len(probs_V))
    assert counts[~kept].sum() == 0
    expected = probs_V[kept] / probs_V.sum() * tokens.numel()
    return stats.chisquare(counts[kept], expected).pvalue


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize(("num_rows", "num_steps"), [(4000, 5), (4, 5000)])
def test_samples_follow_the_softmax(temperature, num_rows, num_steps):
    logits_V = torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5, -0.5])
    tokens = draw(logits_V, seeds=range(num_rows), temperature=temperature, num_steps=num_steps)
    assert p_value(tokens, (logits_V.double() / temperature).softmax(-1)) > 0.001


def test_samples_of_a_nucleus_follow_its_renormalised_softmax():
    probs_V = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).double()
    tokens = draw(probs_V.log().float(), seeds=range(8000), top_p=0.75)
    assert p_value(tokens, torch.tensor([0.4, 0.3, 0.15, 0, 0]).double() / 0.85) > 0.001


def test_steps_of_a_row_are_independent():
    tokens = draw(torch.zeros(4), seeds=range(40), num_steps=500)
    joint = 4 * tokens[:, :-1] + tokens[:, 1:]
    assert p_value(joint, torch.full((16,), 1 / 16).double()) > 0.001


def test_a_row_draws_the_same_alone_and_in_any_batch():
    logits_V = torch.randn(50, generator=torch.Generator().manual_seed(0))
    num_steps = 2 * steps_a_block(50) + 3
    batch = draw(logits_V, seeds=[5, 6, 7], num_steps=num_steps)
    for row, seed in enumerate([5, 6, 7]):
        assert torch.equal(draw(logits_V, seeds=[seed], num_steps=num_steps)[0], batch[row])
    turned = draw(logits_V, seeds=[7, 5], num_steps=num_steps)
    assert torch.equal(turned, batch[[2, 0]])
    assert not torch.equal(batch[0], batch[1])


def test_blocks_grow_smaller_with_the_vocabulary_and_never_empty():
    sizes = [steps_a_block(vocabulary) for vocabulary in (1, 300, 5_000, 152_000, 10**9)]
    assert sizes == [64, 64, 13, 1, 1]
    assert all(before >= after for before, after in pairwise(sizes))


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True),
    st.floats(0.01, 1.0),
)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(weights, top_p):
    probs = [weight / sum(weights) for weight in weights]
    ranked = sorted(range(len(probs)), key=lambda token: -probs[token])
    kept: list[int] = []
    for token in ranked:
        if kept and sum(probs[other] for other in kept) >= top_p - 1e-6:
            break
        kept.append(token)
    logits_BV = torch.tensor([probs], dtype=torch.float64).log()
    found = keep_nucleus(logits_BV, top_p - 1e-6)[0].isfinite()
    assert set(found.nonzero().flatten().tolist()) == set(kept)


@pytest.mark.parametrize(
    ("text", "prompt", "expected"),
    [
        ("<think>a b</think>\n\nYes.", "user:", ("a b", "Yes.")),
        ("\n<think>\na\n</think>Yes.", "user:", ("a", "Yes.")),
        ("a</think>Yes.", "user:<think>\n", ("a", "Yes.")),
        ("<think>cut of", "user:", ("cut of", "")),
        ("cut of", "user:<think>", ("cut of", "")),
        ("Yes.", "user:<think></think>\n", ("", "Yes.")),
        ("Use <think>x</think> here.", "user:", ("", "Use <think>x</think> here.")),
        ("No tags </think> opened.", "user:", ("", "No tags </think> opened.")),
    ],
)
def test_reasoning_is_told_apart_only_where_it_was_opened(text, prompt, expected):
    assert split_reasoning(text, prompt=prompt, template="{{ '</think>' }}") == expected
    assert split_reasoning(text, prompt=prompt, template="no such tags") == ("", text)
