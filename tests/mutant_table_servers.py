"""Faults in what goes over the wire: sampling in force, keys, model identity, how replies are read."""

from __future__ import annotations

from mutant_rows import mutants_of

SAMPLING = "test_server_sampling.py"
REPLIES = "test_server_replies.py"
STREAM = "test_server_stream.py"
WIRE = "test_server_connections.py"
PACE = "test_server_pace.py"

SERVERS = [
    *mutants_of(
        "annotator/models/openai/server_kinds.py",
        ("vllm-keeps-its-top-k", '"top_k": -1, ', "", f"{SAMPLING} -k kind_of_server"),
    ),
    *mutants_of(
        "annotator/models/openai/request_body.py",
        (
            "neutral-wins-over-the-user",
            "values |= self.config.extra_body | self.config.params",
            "values = self.config.extra_body | self.config.params | values",
            f"{SAMPLING} -k user_wins",
        ),
        (
            "system-refusal-learned-unproved",
            "folds_system=self.folds_system or other.folds_system",
            "folds_system=self.folds_system",
            f"{REPLIES} -k learned_for_the_run",
        ),
        (
            "server-kind-not-recorded",
            'return values | {"server": kind}',
            "return values",
            f"{SAMPLING} -k rows_record",
        ),
    ),
    *mutants_of(
        "annotator/calls/dialogue.py",
        (
            "way-of-a-schema-always-in-the-key",
            "if decoding.schema is None:\n        backend.pop",
            "if False:\n        backend.pop",
            f"{SAMPLING} -k way_a_schema",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/openai_backend.py",
        (
            "way-of-a-schema-not-in-the-key",
            'values["structured"] = config.structured',
            "pass",
            f"{SAMPLING} -k way_a_schema",
        ),
        (
            "connections-closed-under-another-user",
            "is_last = not connections.num_users",
            "is_last = True",
            f"{STREAM} -k same_connection",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/request_stream.py",
        (
            "replies-not-handed-out-do-not-count",
            "len(self._under_way) - len(self._arrived)",
            "len(self._under_way)",
            f"{STREAM} -k bounded_together",
        ),
        (
            "closed-streams-keep-their-slots",
            "self._pace.leave(self._seat)",
            "pass",
            f"{STREAM} -k exception_of_take",
        ),
        (
            "busy-callers-keep-granted-slots",
            "self._pace.pause(self._seat)\n                    yield finished",
            "yield finished",
            f"{PACE} -k caller_is_busy",
        ),
        (
            "streams-end-while-they-wait-for-room",
            "if self._under_way or is_again or self._pace.is_waiting(self._seat):",
            "if self._under_way or is_again:",
            f"{STREAM} -k first_slot",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/pace.py",
        (
            "free-slots-go-to-the-longest-queue",
            "seat = min(self._waiting, key=",
            "seat = max(self._waiting, key=",
            f"{PACE} -k holds_the_fewest",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/connections.py",
        (
            "endless-replies-read-on",
            "if size > MAX_REPLY_BYTES:",
            "if False:",
            f"{WIRE} -k without_end",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/server_calls.py",
        (
            "failures-repeat-the-key",
            "return replace(outcome, detail=self._access.without_key(outcome.detail))",
            "return outcome",
            f"{WIRE} -k plain_words",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/retries.py",
        (
            "servers-word-on-the-wait-ignored",
            "return asked\n",
            "pass\n",
            f"{WIRE} -k asked_for_or_doubles",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/proxies.py",
        (
            "loopback-through-a-proxy",
            "parts.hostname in LOOPBACK_HOSTS or ",
            "",
            f"{WIRE} -k which_proxy",
        ),
    ),
    *mutants_of(
        "annotator/models/config.py",
        (
            "params-set-the-temperature",
            "if setting is not None and values[name] is not None:",
            "if False:",
            f"{SAMPLING} -k setting_of_its_own",
        ),
    ),
    *mutants_of(
        "annotator/sampling/slots.py",
        (
            "rows-hold-the-prompt-that-was-refused",
            "list(fold_system(messages) if reply.system_in_user else messages)",
            "list(messages)",
            f"{SAMPLING} -k without_system_role",
        ),
        (
            "settings-recorded-that-were-not-sent",
            "dict.fromkeys(settings) | dict(reply.sampling)",
            "settings | dict(reply.sampling)",
            f"{SAMPLING} -k not_sent",
        ),
    ),
    *mutants_of(
        "annotator/models/served_model.py",
        (
            "any-model-is-the-one-asked-for",
            'if item["id"] == model',
            "if True",
            "test_served_model.py -k reports_root",
        ),
    ),
    *mutants_of(
        "annotator/models/openai/reply_parts.py",
        (
            "unknown-parts-dropped",
            "elif kind not in _WITHOUT_TEXT:",
            "elif False:",
            f"{REPLIES} -k without_readable",
        ),
        (
            "thoughts-are-text",
            "thoughts.append(_said(part))",
            "texts.append(_said(part))",
            f"{REPLIES} -k told_apart",
        ),
    ),
    *mutants_of(
        "annotator/models/reasoning.py",
        (
            "mentioned-tags-cut-the-text",
            "if not opened and (not closed or OPEN in answer or CLOSE in answer):",
            "if not opened and not closed:",
            f"{REPLIES} -k only_mentions",
        ),
    ),
    *mutants_of(
        "annotator/models/system_role.py",
        (
            "last-user-message-gets-the-system-text",
            "for at, item in enumerate(rest):",
            "for at, item in reversed(list(enumerate(rest))):",
            f"{REPLIES} -k no_system_text",
        ),
    ),
]
