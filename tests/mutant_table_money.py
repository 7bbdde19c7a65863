"""Faults in limits, prices, estimates and in what is checked before anything is paid."""

from __future__ import annotations

from mutant_rows import mutants_of

REFUSED = "test_money.py -k cost_without_prices or meter_without"
FREE = "test_money.py -k prices_of_0"
SHOWN = "test_money.py -k money_is_shown"
SUM = "test_money.py -k one_budget or on_the_sum"
JUDGES = "test_money.py -k both_judges"
FAILED = "test_money.py -k all_fail or one_reply"
STOPPED = "test_money.py -k partial"
DOCUMENTS = "test_money.py -k documents"
ESTIMATES = "test_money.py -k estimated"

MONEY = [
    *mutants_of(
        "annotator/calls/usage.py",
        (
            "cost-without-prices",
            "limits.max_cost is not None and unknown:",
            "False:",
            REFUSED,
        ),
        (
            "currencies-are-added",
            "if len({currency for _, currency in paid}) > 1:",
            "if len({currency for _, currency in paid}) > 9:",
            "test_money.py -k currencies",
        ),
        (
            "what-is-free-has-a-currency",
            "for section, item in prices if item and not item.is_free]",
            "for section, item in prices if item]",
            "test_money.py -k currencies",
        ),
        (
            "a-budget-for-each-meter",
            "limits if isinstance(limits, Budget) else Budget(limits=limits)",
            "Budget(limits=getattr(limits, 'limits', limits))",
            f"{SUM} or both_judges",
        ),
        (
            "every-model-at-one-price",
            "sum(item.cost_of(tokens) or",
            "sum(meter.cost_of(tokens) or",
            SUM,
        ),
        (
            "one-reply-is-none",
            "if failure is None or self.has_reply:",
            "if failure is None:",
            FAILED,
        ),
        (
            "prose-is-a-success",
            "if self.all_failed or not self.useless.is_all or self.num_served:",
            "if True:",
            "test_money.py -k useful",
        ),
        (
            "money-at-price-0",
            "item for item in self.meters if item.is_priced]",
            "item for item in self.meters]",
            FREE,
        ),
        (
            "table-without-cost",
            "if self.prices is not None and self.is_priced:",
            "if False:",
            SHOWN,
        ),
    ),
    *mutants_of(
        "annotator/models/prices.py",
        (
            "any-number-is-free",
            "    if value:\n        raise",
            "    if value is None:\n        raise",
            "test_money.py -k two_numbers",
        ),
    ),
    *mutants_of(
        "maskdpo/evaluation/run.py",
        (
            "judge-unpriced",
            'prices += [("annotate.llm", item)',
            'prices += [("x", item)',
            REFUSED,
        ),
        (
            "mostly-undetermined-is-a-success",
            "troubles.extend([result.trouble] if result.trouble else [])",
            "troubles.extend([])",
            "test_money.py -k mostly",
        ),
        (
            "judge-fails-unseen",
            "    budget.meters[-1].check_replies()  # the judge's: calls that it cannot do are not paid again\n",
            "",
            "test_money.py -k judge_whose_calls",
        ),
    ),
    *mutants_of(
        "annotator/calls/stored_calls.py",
        ("stored-failures-unseen", "self.meter.note(outcome)", "pass", FAILED),
    ),
    *mutants_of(
        "annotator/sampling/sample.py",
        (
            "output-emptied",
            "Counter() if is_kept else _write_rows",
            "Counter() if False else _write_rows",
            "test_money.py -k survives",
        ),
        ("partial-file-stays", "    partial_path(output).unlink(missing_ok=True)\n", "", STOPPED),
    ),
    *mutants_of(
        "annotator/sampling/input_checks.py",
        (
            "unknown-documents-pass",
            "for name in row.record.document_ids if name not in known",
            "for name in ()",
            DOCUMENTS,
        ),
        ("any-topic-has-a-document", " and question.topic in topics", "", DOCUMENTS),
    ),
    *mutants_of(
        "maskdpo/evaluation/estimate.py",
        ("equal-stand-ins", 'f"{slot.id} {_take_text', 'f"{_take_text', ESTIMATES),
    ),
    *mutants_of(
        "annotator/calls/usage.py",
        (
            "limits-above-do-not-hold",
            "if self.parent is not None and not self.parent.start(requests):",
            "if self.parent is not None and False:",
            "test_jobs_http.py -k together",
        ),
        (
            "refused-calls-stay-counted-above",
            "        if self.parent is not None:\n            self.parent.withdraw(requests)\n        return False",
            "        return False",
            "test_jobs_http.py -k together",
        ),
    ),
]
