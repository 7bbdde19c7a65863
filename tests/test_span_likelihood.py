"""The benchmark of likelihoods of wrong words: its pairs, its tokens and its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import span_likelihood as benchmark
from sklearn.metrics import roc_auc_score
from span_likelihood_data import (
    KINDS,
    build_same_pairs,
    choose_answers,
    places_of_kind,
    read_halves,
    rest_of,
)
from span_likelihood_figures import (
    CLEAN,
    FIGURES,
    INNOCENT,
    WRONG,
    Tokens,
    collect_tokens,
    estimate,
    make_tables,
    mean_ratio,
    overall_auc,
    remove_likelihood,
    sentence_auc,
    summarise,
    wrong_below,
)
from tiny_models import byte_level_tokenizer, save_model_folder

from schemas.errors import InputError

METHODS = benchmark.build_settings(0.2)
DOCUMENT = "The river rises in the north; it is 1,204 km long. It freezes in most winters!"


def make_row(document: int, answer: int) -> dict[str, Any]:
    """Three answers to a document: the first is right, the others have wrong words."""
    first = f"Ada Ling was born in Lima in {1870 + document}."
    wrong = ["", "in Oslo", "eleven novels"][answer]
    second = ["She studied law.", "She studied in Oslo.", "She wrote eleven novels, truly."][answer]
    response = f"{first} {second}"
    start = len(first) + 1
    at = response.find(wrong, start) if wrong else 0
    spans = [{"start": at, "end": at + len(wrong), "label": "unverifiable", "kind": "made up"}]
    text = f"Document {document}. {DOCUMENT}"
    return {
        "id": f"row-{document}-{answer}",
        "source": "people",
        "language": "en",
        "group": f"document-{document}",
        "question": f"Summarise it.\n\n{text}",
        "documents": [{"id": f"document-{document}", "text": text}],
        "response": response,
        "generator": "someone",
        "sentences": [
            {"start": 0, "end": len(first), "label": "factual"},
            {"start": start, "end": len(response), "label": "hallucinated" if wrong else "factual"},
        ],
        "spans": spans if wrong else [],
    }


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    rows = [make_row(document, answer) for document in range(8) for answer in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("model"))


def test_halves_share_no_document_and_prompts_hold_the_cut_document(labels: Path) -> None:
    halves = read_halves(labels, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
    assert halves.num_rows == 24
    assert halves.num_too_long == 0
    train, measured = ({row.topic for row in half} for half in (halves.train, halves.measured))
    assert not train & measured
    assert len(train) == len(measured) == 4
    for row in halves.train:
        content = row.prompt[0].content
        assert content.startswith("Summarise it.\n\nDocument ")
        assert len(byte_level_tokenizer()(content.split("\n\n")[1])["input_ids"]) == 9


def test_long_answers_are_left_out_and_counted(labels: Path) -> None:
    tokenizer = byte_level_tokenizer()
    halves = read_halves(labels, tokenizer, document_tokens=9, answer_tokens=20)
    kept = [*halves.train, *halves.measured]
    assert 0 < len(kept) < 24
    assert halves.num_too_long == 24 - len(kept)
    assert all(len(tokenizer(row.text)["input_ids"]) <= 20 for row in kept)


def test_labels_without_spans_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(make_row(0, 0)) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no 'spans'"):
        read_halves(path, byte_level_tokenizer(), document_tokens=9, answer_tokens=99)


def test_methods_train_the_same_pairs_with_their_own_weights(labels: Path) -> None:
    halves = read_halves(labels, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
    pairs = build_same_pairs(halves.train, METHODS, num_pairs=4)
    identities = [[(pair.id, pair.chosen_id) for pair in rows] for rows in pairs.values()]
    assert len(set(map(tuple, identities))) == 1
    assert len(identities[0]) == 4
    for whole, sentence, span, context in zip(*pairs.values(), strict=True):
        assert whole.rejected_spans is None
        text = span.rejected[0].content
        by_method = []
        for pair in (sentence, span, context):
            by_method.append(
                [(text[s.start : s.end], s.weight) for s in pair.rejected_spans if s.weight]
            )
        (whole_sentence,), marked, with_context = by_method
        assert whole_sentence[0].startswith("She ")
        assert [(words.strip(" .,"), weight) for words, weight in marked] in (
            [("in Oslo", 1.0)],
            [("eleven novels", 1.0)],
        )
        assert {weight for _, weight in with_context} == {1.0, 0.2}


def test_a_pair_that_one_method_cannot_train_is_in_none(labels: Path, tmp_path: Path) -> None:
    """In documents 8 and 9 people marked the full stop only, which trains nothing with spans."""
    path = tmp_path / "labels.jsonl"
    rows = [make_row(document, answer) for document in (8, 9) for answer in (0, 1)]
    for row in rows[1::2]:
        end = len(row["response"])
        row["spans"] = [{"start": end - 1, "end": end, "label": "unverifiable", "kind": ""}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    both = [
        read_halves(name, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
        for name in (labels, path)
    ]
    more = [*both[1].train, *both[1].measured]
    sentence = {"sentence": METHODS["sentence"]}
    assert len(build_same_pairs(more, sentence, num_pairs=2)["sentence"]) == 2
    pairs = build_same_pairs([*both[0].train, *more], METHODS, num_pairs=4)
    for one in pairs.values():
        assert [pair.id for pair in one] == [pair.id for pair in pairs["span"]]
        assert not {pair.topic for pair in one} & {"document-8", "document-9"}


def test_more_pairs_than_there_are_is_refused(labels: Path) -> None:
    halves = read_halves(labels, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
    with pytest.raises(InputError, match="5 wanted"):
        build_same_pairs(halves.train, METHODS, num_pairs=5)


def test_a_document_gives_a_faulty_answer_and_the_best_other(labels: Path) -> None:
    halves = read_halves(labels, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
    chosen = choose_answers(halves.measured, num_documents=4)
    assert {item.document for item in chosen} == {row.topic for row in halves.measured}
    assert all(item.faulty.id[-1] in "12" and item.other.id[-1] == "0" for item in chosen)
    with pytest.raises(InputError, match=r"4 documents .* 5 wanted"):
        choose_answers(halves.measured, num_documents=5)


def test_kinds_of_text_are_words_rest_and_clean_sentences(labels: Path) -> None:
    halves = read_halves(labels, byte_level_tokenizer(), document_tokens=9, answer_tokens=400)
    row = next(row for row in halves.train if row.id.endswith("-2"))
    texts = {
        kind: [(row.text[s.start : s.end], s.weight) for s in places_of_kind(row, kind)]
        for kind in KINDS
    }
    assert texts["wrong"] == [("eleven novels", 2.0)]
    assert texts["innocent"] == [("She wrote ", 2.0), (", truly.", 2.0)]
    assert [weight for _, weight in texts["clean"]] == [1.0]
    assert rest_of((0, 10), [(0, 4)]) == [(4, 10)]


def test_a_token_of_an_answer_has_the_kind_of_its_characters(labels: Path) -> None:
    from span_likelihood_model import encode_answer

    tokenizer = byte_level_tokenizer()
    halves = read_halves(labels, tokenizer, document_tokens=9, answer_tokens=400)
    row = next(row for row in halves.train if row.id.endswith("-2"))
    answer = encode_answer(row, tokenizer)
    ids = answer.sequence.token_ids[answer.sequence.first :]
    assert tokenizer.decode(ids) == row.text
    by_kind = {
        kind: tokenizer.decode([i for i, own in zip(ids, answer.kinds, strict=True) if own == kind])
        for kind in (*KINDS, "mixed")
    }
    assert by_kind["wrong"].strip() == "eleven novels"
    assert by_kind["clean"] == row.text[: row.sentences[0].end]
    assert by_kind["innocent"].strip().startswith("She wrote")
    numbers = {(kind, number) for kind, number in zip(answer.kinds, answer.sentences, strict=True)}
    assert {("wrong", 2), ("innocent", 2), ("clean", 1)} <= numbers


def command(model: Path, labels: Path, work: Path, *more: str) -> list[str]:
    values = {
        "--model": model,
        "--labels": labels,
        "--work": work,
        "--pairs": 4,
        "--documents": 3,
        "--document-tokens": 9,
        "--batch-size": 2,
        "--seeds": "3",
        "--learning-rate": 0.01,
        "--lora-rank": 2,
    }
    return [*(str(part) for item in values.items() for part in item), *more]


@pytest.mark.slow
def test_a_benchmark_trains_each_method_once_and_measures_what_it_did(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import span_likelihood_model

    given = command(model, labels, tmp_path)
    benches = []
    make = span_likelihood_model.Workbench.__init__
    trained = []
    train = span_likelihood_model.Workbench.train

    def note(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        benches.append(self)

    def count(self: Any, pairs: Any, **settings: Any) -> Any:
        trained.append([pair.id for pair in pairs])
        return train(self, pairs, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_likelihood_model.Workbench, "__init__", note)
        patch.setattr(span_likelihood_model.Workbench, "train", count)
        benchmark.main(given)
        assert len(trained) == 3
        assert trained[0] == trained[1] == trained[2]
        assert benches[0].num_reference == 6  # 2 answers about each of 3 documents, once
        first = capsys.readouterr().out
        assert set(json.loads(first.splitlines()[-1])["methods"]) == {
            "response",
            "sentence",
            "span",
        }
        benchmark.main(given)  # everything is there
        assert len(trained) == 3
        benchmark.main([*given, "--methods", "sentence", "--learning-rate", "0.02"])
        assert len(trained) == 4
    assert "| span less sentence |" in first
    assert (tmp_path / "table.md").exists()
    check_measured(benches[0], tmp_path)


def check_measured(bench: Any, work: Path) -> None:
    """The reference compared with itself, with a plain forward pass, and with each policy."""
    import torch

    for answer in bench.measure(bench.model):
        assert set(answer["ratios"]) == set(answer["kl"]) == {0.0}
    answer, (side, _) = bench.measure(bench.model)[0], bench.answers[0]
    ids = torch.tensor([side.sequence.token_ids])
    with torch.no_grad():
        logps = bench.model(input_ids=ids).logits[0].log_softmax(-1)
    plain = [
        float(logps[index - 1, ids[0, index]]) for index in range(side.sequence.first, ids.shape[1])
    ]
    assert answer["reference"] == pytest.approx(plain, abs=1e-4)
    for path in (work / "results").iterdir():
        measured = json.loads(path.read_text(encoding="utf-8"))["answers"]
        divergences = [value for answer in measured for value in answer["kl"]]
        assert min(divergences) > -1e-5  # rounding
        assert max(divergences) > 1e-6
        assert len(divergences) == sum(len(answer["ratios"]) for answer in measured)


def test_only_complete_seeds_are_reported(
    model: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(model, labels, tmp_path, "--seeds", "0,1", "--report-only")
    arguments = benchmark.parse_arguments(given)
    runs = benchmark.plan_runs(arguments)
    assert [(run.seed, run.method) for run in runs[:4]] == [
        (0, "response"), (0, "sentence"), (0, "span"), (1, "response"),
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="no seed with a result"):
        benchmark.main(given)
    for run in runs[:4]:
        run.path.write_text(json.dumps({"answers": make_answers()}), encoding="utf-8")
    benchmark.main(given)
    assert "seeds: 1." in capsys.readouterr().out


def test_settings_and_seeds_have_their_own_results(
    model: Path, labels: Path, tmp_path: Path
) -> None:
    def names(*more: str) -> set[str]:
        given = command(model, labels, tmp_path, *more)
        return {run.path.name for run in benchmark.plan_runs(benchmark.parse_arguments(given))}

    assert names() == names("--threads", "2", "--context-weight", "0.5")
    every = ["--methods", "span_context"]
    assert not names(*every) & names(*every, "--context-weight", "0.5")
    for change in (("--pairs", "3"), ("--seeds", "4"), ("--beta", "0.2"), ("--dtype", "bfloat16")):
        assert not names() & names(*change)


def make_answers(ratios: dict[str, list[float]] | None = None) -> list[dict[str, Any]]:
    """Two documents: sentence 1 has two wrong and two innocent tokens, sentence 2 is clean."""
    values = ratios or {"a": [-2.0, -1.0, 0.0, -1.5, 0.5, 9.0], "b": [1.0, 0.0, 0.0, 0.0, 0.0, 9.0]}
    return [
        {
            "document": name,
            "kinds": ["wrong", "wrong", "innocent", "innocent", "clean", "mixed"],
            "sentences": [1, 1, 1, 1, 2, 0],
            "ratios": own,
            "kl": [0.1, 0.1, 0.1, 0.1, 0.1, 0.7],
            "reference": [-1.0, -2.0, -0.5, -0.5, -0.5, -0.5],
        }
        for name, own in values.items()
    ]


def test_auc_is_that_of_scikit_learn() -> None:
    tokens = collect_tokens([make_answers()])
    kept = tokens.kinds >= 0
    wrong = tokens.kinds[kept] == WRONG
    expected = roc_auc_score(wrong, -tokens.ratios[0][kept])
    assert overall_auc(tokens, kept) == pytest.approx(expected)
    assert overall_auc(tokens, np.ones(12, dtype=bool)) == pytest.approx(expected)  # not mixed ones
    assert wrong_below(np.array([1.0, 2.0]), np.array([True, True])) != wrong_below(
        np.array([1.0, 2.0]), np.array([True, False])
    )


def test_auc_in_sentences_is_averaged_over_sentences() -> None:
    tokens = collect_tokens([make_answers()])
    every = np.ones(12, dtype=bool)
    # Document a: of 4 comparisons 3 are right. Document b: 1 loses to both, 0 ties with both.
    assert sentence_auc(tokens, every) == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert sentence_auc(tokens, tokens.documents == 0) == pytest.approx(3 / 4)
    assert np.isnan(sentence_auc(tokens, tokens.kinds == CLEAN))


def test_adjusted_ratios_are_compared_with_clean_tokens_of_like_likelihood() -> None:
    reference = np.repeat([-4.0, -1.0], 60)  # two groups of 50 clean tokens and 10 others
    clean = np.tile([True] * 50 + [False] * 10, 2)
    ratios = np.where(reference < -2, 0.5, 0.1)
    wrong = np.flatnonzero(~clean & (reference < -2))
    ratios[wrong] = 0.3  # more than likely tokens, less than unlikely ones
    adjusted = remove_likelihood(ratios, reference, clean)
    assert adjusted[wrong] == pytest.approx(-0.2)
    assert adjusted[clean] == pytest.approx(0.0)
    assert remove_likelihood(ratios, reference, clean & False).tolist() == ratios.tolist()


def test_changes_and_kl_are_means_over_tokens_and_seeds() -> None:
    later = {"a": [-4.0, -3.0, 0.0, -1.5, 2.5, 9.0], "b": [1.0, 0.0, 0.0, 0.0, 0.0, 9.0]}
    tokens = collect_tokens([make_answers(), make_answers(later)])
    every = np.ones(12, dtype=bool)
    assert mean_ratio(WRONG)(tokens, every) == pytest.approx((-2.0 - 6.0) / 8)
    assert mean_ratio(INNOCENT)(tokens, every) == pytest.approx(-3.0 / 8)
    assert mean_ratio(CLEAN)(tokens, every) == pytest.approx(3.0 / 4)
    kl = next(figure for figure in FIGURES if figure.name == "KL")
    assert kl.compute(tokens, every) == pytest.approx(0.2)


def test_intervals_leave_out_documents_and_differences_are_paired() -> None:
    generator = np.random.default_rng(0)
    own = {
        f"document-{number}": list(generator.normal(size=6) + shift)
        for number, shift in enumerate(generator.normal(size=12))
    }
    first = collect_tokens([make_answers(own)])
    second = collect_tokens([make_answers({key: [x - 1 for x in row] for key, row in own.items()})])
    change = next(figure for figure in FIGURES if figure.name == "change of wrong words")
    found = estimate(change, first)
    means = np.array([row[:2] for row in own.values()]).mean(1)
    error = means.std(ddof=1) / np.sqrt(12)
    assert found["value"] == pytest.approx(means.mean())
    assert found["low"] is not None
    assert found["high"] is not None
    # A t interval over 12 documents, not over 24 tokens.
    assert 2.2 * error < (found["high"] - found["low"]) / 2 < 2.8 * error
    assert list(estimate(change, second, first).values()) == pytest.approx([-1.0, -1.0, -1.0])


def test_tables_have_a_row_per_method_difference_and_seed() -> None:
    seeds = [make_answers(), make_answers()]
    summary = summarise({"response": seeds, "sentence": seeds, "span": seeds})
    text = make_tables(json.loads(json.dumps(summary)))
    assert text.startswith("2 documents; tokens: 4 wrong, 4 innocent, 2 clean, 2 mixed; seeds: 2.")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if "|" in line]
    assert rows == [
        "method", "---", "response", "sentence", "span", "reference alone",
        "difference", "---", "sentence less response", "span less response", "span less sentence",
        "method, by seed", "---", "response", "sentence", "span",
    ]  # fmt: skip
    assert "| -0.500, -0.500 |" in text  # the change of wrong words of each seed


def test_tokens_of_unlike_documents_keep_their_sentences_apart() -> None:
    tokens: Tokens = collect_tokens([make_answers()])
    assert len(set(tokens.sentences[tokens.kinds == WRONG])) == 2
