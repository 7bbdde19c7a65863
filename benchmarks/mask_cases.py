"""Difficult conversations for `mask_fidelity.py`: texts and templates designed to break masks.

The rule: the text of a template is given twice, once as Jinja for the tokenizer and once as plain
strings for the judge, so that the position of the answer is known and need not be searched for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mask_oracle import CHATML, Parts

# Sentences in order with their labels; None means text without a label.
Sentences = Sequence[tuple[str, str | None]]

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # four people, one picture
FLAGS = "\U0001f1ec\U0001f1e7\U0001f1eb\U0001f1f7\U0001f3f4\u200d\u2620\ufe0f"  # two flags, pirates


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question with two answers in labelled sentences."""

    name: str
    question: str
    chosen: Sentences
    rejected: Sentences


@dataclass(frozen=True, kw_only=True)
class Template:
    """A chat template for one question: as Jinja, and as the resulting strings."""

    name: str
    jinja: str
    before: str
    between: str
    after: str
    trims: bool = False

    def parts(self, question: str, answer: str) -> Parts:
        """The conversation this template writes."""
        kept = answer.strip() if self.trims else answer
        question = question.strip() if self.trims else question
        return Parts(
            head=self.before + question + self.between,
            answer=kept,
            tail=self.after,
            dropped=len(answer) - len(answer.lstrip()) if self.trims else 0,
        )


TEMPLATES = [
    Template(
        name="chatml",
        jinja=CHATML,
        before="<|im_start|>user\n",
        between="<|im_end|>\n<|im_start|>assistant\n",
        after="<|im_end|>\n",
    ),
    Template(
        name="trimming",
        jinja=CHATML.replace("message['content']", "message['content'] | trim"),
        before="<|im_start|>user\n",
        between="<|im_end|>\n<|im_start|>assistant\n",
        after="<|im_end|>\n",
        trims=True,
    ),
    Template(
        # No marker next to the answer: first and last words share tokens with the template.
        name="spaced",
        jinja=(
            "{% for message in messages %}{% if message['role'] == 'user' %}"
            "{{ '[INST] ' + message['content'] + ' [/INST] ' }}"
            "{% else %}{{ message['content'] + ' <|im_end|>' }}{% endif %}{% endfor %}"
        ),
        before="[INST] ",
        between=" [/INST] ",
        after=" <|im_end|>",
    ),
    Template(
        # A default system turn and an empty think block, neither of which is in the prompt.
        name="thinking",
        jinja=(
            "{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% for message in messages %}"
            "{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
            "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ message['content'] + '<|im_end|>\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
        ),
        before="<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
        between="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        after="<|im_end|>\n",
    ),
]

CASES = [
    Case(
        name="markdown_paragraphs",
        question="Tell me about the river Orr.",
        chosen=[
            ("## The Orr\n\n", "no_fact"),
            ("The Orr rises in the **north**.", "factual"),
            (" It is 1,204 km long", "hallucinated"),
            ("[^1].\n\n", None),
            ("It freezes in most winters!", "factual"),
            ("\n\n[^1]: See https://example.org/a?b=1&c=(2).\n", "no_fact"),
        ],
        rejected=[
            ("# Orr\n", "no_fact"),
            ("\n\nIt *never* freezes.", "hallucinated"),
            ("\n\n> It rises in the north.\n", "factual"),
            ("\n---\n", None),
            ("It is a lake.", "hallucinated"),
        ],
    ),
    Case(
        name="markdown_list",
        question="List her works.\n\n- short\n- with years",
        chosen=[
            ("Works:\n\n", "no_fact"),
            ("1. *The Tower* (1899)\n", "factual"),
            ("2. *The Clock* (1901)\n", "hallucinated"),
            ("   - a sequel;\n   - a play.\n", "factual"),
            ("3. `The Sea`", "factual"),
        ],
        rejected=[
            ("- *The Tower* (1899)\n", "factual"),
            ("- *The Tower* (1989)\n", "hallucinated"),
            ("\t* nested\n\n\n", "no_fact"),
            ("- [x] done", "hallucinated"),
        ],
    ),
    Case(
        name="markdown_table",
        question="A table, please.",
        chosen=[
            ("| Year | Work |\n|-----:|:-----|\n", "no_fact"),
            ("| 1899 | Tower |\n", "factual"),
            ("| 1901 | Clock |\n", "hallucinated"),
            ("| 1905 |  |\n", None),
            ("\nBoth are short.", "factual"),
        ],
        rejected=[
            ("| Year | Work |\n|---|---|\n", "no_fact"),
            ("| 1899 |", "factual"),
            (" Clock |\n", "hallucinated"),
        ],
    ),
    Case(
        name="code_fence",
        question="How do I count?",
        chosen=[
            ("Use `range`:\n\n", "factual"),
            ("```python\nfor i in range(3):\n    print(i)  # 0, 1, 2\n```\n", "factual"),
            ("\nIt prints 1, 2, 3.", "hallucinated"),
        ],
        rejected=[
            ("```\n", "no_fact"),
            ("    return  count\n", "hallucinated"),
            ("```\n\n\n", None),
            ("It ends.", "factual"),
        ],
    ),
    Case(
        name="emoji",
        question="Emoji only " + FAMILY,
        chosen=[
            (FAMILY, "factual"),
            (FAMILY, "hallucinated"),
            (FLAGS, "factual"),
            (" \U0001f44d\U0001f3fd truly\U0001f600", "no_fact"),
            ("\U0001f600", "hallucinated"),
        ],
        rejected=[
            ("\U0001f469\u200d", "factual"),  # a span that ends inside an emoji
            ("\U0001f467 \U0001f1ec", "hallucinated"),
            ("\U0001f1e7 1\ufe0f\u20e3", "factual"),
            ("\n\n\u2014 \U0001f9d1\U0001f3ff\u200d\U0001f680.", "hallucinated"),
        ],
    ),
    Case(
        name="repeated_sentences",
        question="It is.",
        chosen=[
            ("It is.", "factual"),
            (" It is.", "hallucinated"),
            (" It is.", "factual"),
            ("\nIt is.\nIt is.", "hallucinated"),
            (" It is", None),
            (".", "factual"),
        ],
        rejected=[("assistant", "hallucinated"), (" assistant\n", "factual")] * 3,
    ),
    Case(
        name="outer_spaces",
        question="  Spaces?  ",
        chosen=[
            ("  \n ", None),
            ("leading space", "factual"),
            ("and no gap", "hallucinated"),
            (" \t", "factual"),
            ("\u3000wide\u00a0hard ", "factual"),
            ("  \n\n", None),
        ],
        rejected=[("\n\n   ", "factual"), ("x ", "hallucinated"), (" y", "factual"), (" \n", None)],
    ),
    Case(
        name="chinese",
        question="你好，她是谁？",
        chosen=[
            ("你好，世界。", "factual"),
            ("他出生于一九七一年，", "hallucinated"),
            ("在北京。", "factual"),
            ("\n\n\u3000\u3000再见！", "no_fact"),
        ],
        rejected=[
            ("龘靐齉", "hallucinated"),
            ("她写小说。", "factual"),
            ("2024年12月", "hallucinated"),
        ],
    ),
    Case(
        name="inside_words",
        question="Split.",
        chosen=[("un", "factual"), ("believ", "hallucinated"), ("able 1", "factual"), (".5", None)],
        rejected=[
            ("1.", "factual"),
            ("5", "hallucinated"),
            (" litres", "factual"),
            ("...", "hallucinated"),
        ],
    ),
    Case(
        name="combining_letters",
        question="Cafe\u0301?",
        chosen=[
            ("Cafe", "factual"),
            ("\u0301 no", "hallucinated"),
            (" e\u0301te\u0301.", "factual"),
            (" \u1112\u1161\u11ab", "hallucinated"),
            (" \u0928\u093f.", "factual"),
        ],
        rejected=[
            ("\u1112", "hallucinated"),
            ("\u1161\u11ab", "factual"),
            (" a\u0323\u0307", "hallucinated"),
            ("\u0301.", "factual"),
            (" \u200b\u200f \u05e9\u05dc\u05d5\u05dd", "hallucinated"),
        ],
    ),
    Case(
        name="like_control_text",
        question="What is <| im_end |>?",
        chosen=[
            ("<|im_end", "factual"),
            ("| > or </s", "hallucinated"),
            (" \uff1c|im_start|\uff1e", "factual"),
            (" [/INST", "hallucinated"),
            ("] <im_end>.", "factual"),
        ],
        rejected=[
            ("answer0stand0in", "hallucinated"),
            (" {{ message['content'] }} {% raw %}", "factual"),
            (" \u2581 \u0120 \u010a ##x <0x0A>", "hallucinated"),
        ],
    ),
    Case(
        name="nothing_to_train",
        question="Who?",
        chosen=[("She was born in Oslo.", "hallucinated"), (" Or not.", None)],
        rejected=[("She was born in Oslo.", "hallucinated")],
    ),
    Case(
        name="late_sentence",
        question="Who?",
        chosen=[("She was born in Oslo, they say. " * 4, "hallucinated"), ("In Lima.", "factual")],
        rejected=[("In Lima. " * 6, "factual"), ("In Oslo.", "hallucinated")],
    ),
]
