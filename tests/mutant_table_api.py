"""Mutants of the Python API: inputs, results, files, pairs, tokens, the loss, hidden packages."""

from __future__ import annotations

from mutant_rows import mutants_of

API = "test_api.py"
TRL = "test_api_trl.py"

PYTHON_API = [
    *mutants_of(
        "maskdpo/api/inputs.py",
        (
            "a-text-has-no-documents",
            "        if len(self._ids) <= MAX_COMPARED:\n            return self._ids\n",
            "        if len(self._ids) <= MAX_COMPARED:\n            return self._ids[:1]\n",
            f"{API} -k every_document",
        ),
        (
            "no-search-among-many-documents",
            "        if len(self._ids) <= MAX_COMPARED:\n",
            "        if True:\n",
            f"{API} -k search_chooses",
        ),
        (
            "own-rule-for-documents-is-ignored",
            'if self._config.find_documents != "auto":',
            "if False:",
            f"{API} -k find_documents_are_kept",
        ),
        (
            "a-topic-names-no-documents",
            " or response.topic in self._topics:",
            ":",
            f"{API} -k keeps_the_documents",
        ),
        (
            "the-id-of-the-question-is-lost",
            'return f"{self._question.id[:_MAX_STEM]}-{number}" if self._question else str(number)',
            "return str(number)",
            f"{API} -k names_documents_too",
        ),
        (
            "equal-ids",
            "    if identifier in first:\n",
            "    if False:\n",
            f"{API} -k wrong_documents",
        ),
        (
            "the-name-of-a-file-is-judged",
            "    if Path(text).is_file():\n",
            "    if False:\n",
            f"{API} -k name_of_a_file",
        ),
        (
            "a-question-is-left-out",
            '                asked = read_question(given.pop("question"))',
            '                given.pop("question")',
            f"{API} -k question_of_its_own",
        ),
    ),
    *mutants_of(
        "maskdpo/api/annotate.py",
        (
            "the-store-stays-open",
            "            return stack.enter_context(Store(self.store))",
            "            return Store(self.store)",
            f"{API} -k caller_stops",
        ),
        (
            "an-own-store-is-closed",
            "            return self.store\n",
            "            return stack.enter_context(self.store)\n",
            f"{API} -k stays_open",
        ),
        (
            "the-scratch-store-is-left",
            'stack.enter_context(tempfile.TemporaryDirectory(prefix="maskdpo-"))',
            'tempfile.mkdtemp(prefix="maskdpo-")',
            f"{API} -k one_use_only",
        ),
        (
            "limits-are-not-passed-on",
            "                limits=self.limits,\n",
            "",
            f"{API} -k does_not_fit",
        ),
        (
            "a-limit-on-cost-without-prices",
            "if limits.max_cost is not None and None in judge_prices(config):",
            "if False:",
            f"{API} -k does_not_fit",
        ),
        (
            "a-bar-hides-events",
            "        on_event(event)\n",
            "",
            f"{API} -k reach_the_listener",
        ),
        (
            "evidence-without-its-text",
            "JudgedResponse.of(row, self.documents)",
            "JudgedResponse.of(row, {})",
            f"{API} -k judged_at_once",
        ),
    ),
    *mutants_of(
        "annotator/judging/annotator.py",
        (
            "a-given-failure-is-lost",
            "        if isinstance(response, Failure):\n            return response\n",
            "",
            f"{API} -k rest_continue",
        ),
        (
            "a-failure-is-never-finished",
            "                    self._report(1)\n",
            "",
            f"{API} -k nothing_is_printed",
        ),
    ),
    *mutants_of(
        "maskdpo/api/judge.py",
        (
            "faults-of-a-judge-are-lists",
            "        except ValidationError as error:",
            "        except KeyError as error:",
            f"{API} -k judge_model_is_one_sentence",
        ),
        (
            "a-key-in-the-repr",
            'return hide_keys(f"Judge({shown})")',
            'return f"Judge({shown})"',
            f"{API} -k never_a_key",
        ),
        (
            "settings-of-annotate-are-lost",
            "        return {name: getattr(judge, name) for name in judge.model_fields_set}, None\n"
            "    if isinstance(judge, LlmConfig)",
            "        return {}, None\n    if isinstance(judge, LlmConfig)",
            f"{API} -k own_judges",
        ),
    ),
    *mutants_of(
        "maskdpo/api/results.py",
        (
            "evidence-of-a-changed-document",
            "is_there = document is not None and place.end <= len(document.text)",
            "is_there = document is not None",
            f"{API} -k read_back",
        ),
    ),
    *mutants_of(
        "maskdpo/api/shown.py",
        (
            "an-id-is-not-escaped",
            "<i>{escape(quote.document_id)}</i>",
            "<i>{quote.document_id}</i>",
            f"{API} -k escaped",
        ),
    ),
    *mutants_of(
        "maskdpo/api/files.py",
        (
            "labels-of-people-are-written-over",
            "        refuse_labels_of_people(path, lambda _: False",
            "        refuse_labels_of_people(path, lambda _: True",
            f"{API} -k work_of_others",
        ),
        (
            "notes-are-written-over",
            '    if not has_keys("id", "sentences")(path):',
            "    if False:",
            f"{API} -k work_of_others",
        ),
    ),
    *mutants_of(
        "maskdpo/api/pairs.py",
        (
            "settings-of-build-are-ignored",
            "BuildConfig.parse(config or {}",
            "BuildConfig.parse({}",
            f"{API} -k pairs_are_those",
        ),
    ),
    *mutants_of(
        "maskdpo/api/tokens.py",
        (
            "eos-is-ignored",
            '            "eos": eos,\n',
            "",
            f"{TRL} -k those_of_train",
        ),
        (
            "prompt-counts-as-completion",
            "completion_mask=[0] * num_prompt + [1] * sequence.num_completion",
            "completion_mask=[1] * len(sequence.token_ids)",
            f"{TRL} -k tokens_and_weights",
        ),
    ),
    *mutants_of(
        "maskdpo/api/loss.py",
        (
            "sides-are-taken-by-turns",
            "        rows % num_pairs,\n        rows // num_pairs,\n",
            "        rows // 2,\n        rows % 2,\n",
            f"{TRL} -k its_gradients",
        ),
        (
            "padding-is-multiplied",
            "torch.nonzero(weights, as_tuple=True)",
            "torch.nonzero(weights + 1, as_tuple=True)",
            f"{TRL} -k its_gradients",
        ),
        (
            "beta-of-the-loss-is-ignored",
            '        "beta": beta,\n',
            "",
            f"{TRL} -k its_gradients",
        ),
    ),
    *mutants_of(
        "maskdpo/api/trl.py",
        (
            "trl-trains-masked-tokens",
            "        return [int(weight) for weight in side.weights]",
            "        return side.completion_mask",
            f"{TRL} -k of_trl_equal",
        ),
        (
            "trl-rounds-weights",
            "        if other is not None:",
            "        if False:",
            f"{TRL} -k fractional",
        ),
        (
            "a-reference-without-weights",
            '        if isinstance(rows[0], Mapping) and "ref_chosen_logps" in rows[0]:',
            "        if False:",
            f"{TRL} -k in_advance",
        ),
    ),
    *mutants_of(
        "maskdpo/shadows.py",
        (
            "a-hidden-package-is-not-seen",
            "        if place is not None and place.parent != home:",
            "        if False:",
            "test_shadows.py -k names_the_file",
        ),
        (
            "a-folder-without-init-is-not-seen",
            "    if spec.submodule_search_locations:",
            "    if spec.submodule_search_locations and spec.origin:",
            "test_shadows.py -k without_init",
        ),
        (
            "links-of-an-installer-are-followed",
            "    home = _absolute(__file__).parent.parent",
            "    home = Path(__file__).resolve().parent.parent",
            "test_shadows.py -k are_links",
        ),
    ),
    *mutants_of(
        "maskdpo/__init__.py",
        (
            "the-api-imports-what-hides-ours",
            "        refuse_shadows()\n",
            "",
            "test_shadows.py -k api_raises",
        ),
    ),
]
