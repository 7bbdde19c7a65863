"""Faults in what protects the service from hostile clients."""

from __future__ import annotations

from mutant_rows import mutants_of

GUARD = "test_service_guard.py"
HOSTILE = "test_service_hostile.py"
FOLDER = "annotator/service/guard"

GUARDED = [
    *mutants_of(
        f"{FOLDER}/checks.py",
        ("any-host", "if name not in allowed or", "if", f"{HOSTILE} -k hosts"),
        ("any-port-of-a-host", 'and not (rest[:1] == b":" and rest[1:].isdigit())', "and False",
         f"{HOSTILE} -k hosts"),
        ("header-twice", "if name in found:", "if False:", f"{HOSTILE} -k hosts"),
        ("any-origin", "or place != host:", ":", f"{GUARD} -k own_pages"),
        ("cross-site-passes", "not in _OWN_PAGES:", "in ():", f"{HOSTILE} -k hosts"),
        ("any-content-type", "if kind not in limits or", "if False or", f"{GUARD} -k size_of_a_body"),
        ("largest-limit-for-all", "limit = limits[kind]", "limit = max(limits.values())",
         f"{GUARD} -k size_of_a_body"),
        ("compressed-body", 'if found.get(b"content-encoding", b"identity").lower() != b"identity":',
         "if False:", f"{HOSTILE} -k bodies"),
        ("encoding-of-a-body-unchecked", 'if found.get(b"transfer-encoding", b"chunked").lower() != b"chunked":',
         "if False:", f"{HOSTILE} -k framing"),
    ),
    *mutants_of(
        f"{FOLDER}/tokens.py",
        ("token-by-its-start", "if hmac.compare_digest(given, self._token):",
         "if self._token.startswith(given):", f"{GUARD} -k only_the_token"),
        ("right-token-rationed", "if hmac.compare_digest(given, self._token):",
         "if not self._ration(address) and hmac.compare_digest(given, self._token):",
         f"{GUARD} -k by_address_and_together"),
        ("addresses-never-forgotten", "if len(self._by_address) > self.MAX_ADDRESSES:", "if False:",
         f"{GUARD} -k by_address_and_together"),
        ("no-common-ration", "return bucket.take(now) or self._all.take(now)", "return bucket.take(now)",
         f"{GUARD} -k by_address_and_together"),
        ("ration-never-refilled", "(now - self.since) * self.per_s", "0",
         f"{GUARD} -k by_address_and_together"),
    ),
    *mutants_of(
        f"{FOLDER}/settings.py",
        ("token-with-a-blank", '"!" <= character', '" " <= character', f"{GUARD} -k cannot_serve"),
        ("token-in-the-repr", "token: str = field(repr=False)", "token: str = field()",
         f"{GUARD} -k is_not_shown"),
    ),
    *mutants_of(
        f"{FOLDER}/body.py",
        ("chunks-not-counted", "if self._received > self._limit:", "if False:",
         f"{GUARD} -k in_chunks"),
        ("body-without-an-end-in-time", "async with asyncio.timeout_at(deadline):",
         "async with asyncio.timeout_at(deadline + 60):", f"{GUARD} -k slow_body"),
    ),
    *mutants_of(
        f"{FOLDER}/middleware.py",
        ("closed-while-the-client-sends", "await self.body.drain()", "pass",
         f"{GUARD} -k still_sending"),
        ("path-in-the-access-log", 'getattr(scope.get("route"), "path", "-")', 'scope["path"]',
         f"{GUARD} -k repeat_no_text"),
        ("public-by-prefix", "if path not in self._public and", "if not path.startswith(tuple(self._public)) and",
         f"{GUARD} -k only_the_token"),
        ("clients-that-leave-as-failures", "except ClientDisconnect:", "except ZeroDivisionError:",
         f"{HOSTILE} -k leave or log_has_no"),
    ),
    *mutants_of(
        f"{FOLDER}/errors.py",
        ("message-in-the-log", "type(error).__name__, place", "error, place",
         f"{GUARD} -k repeat_no_text"),
    ),
    *mutants_of(
        f"{FOLDER}/json_body.py",
        ("key-twice", "if len(found) < len(pairs):", "if False:", f"{GUARD} -k ambiguous_json"),
        ("half-pairs", "if _HALF_PAIR.search(text):", "if False:", f"{GUARD} -k ambiguous_json"),
        ("infinite-number", "if math.isinf(value):", "if False:", f"{GUARD} -k ambiguous_json"),
    ),
    *mutants_of(
        f"{FOLDER}/protocol.py",
        ("headers-without-a-limit", "if self._section_bytes > self._limits.max_header_bytes:", "if False:",
         f"{HOSTILE} -k framing or lines"),
        ("number-of-headers-without-a-limit", "if len(self.headers) > self._limits.max_headers:",
         "if False:", f"{HOSTILE} -k framing"),
        ("chunk-extensions-without-a-limit", "if self._overhead > allowed:", "if False:",
         f"{HOSTILE} -k framing"),
        ("address-of-another-host", 'or self.url[:1] != b"/"', "", f"{HOSTILE} -k hosts"),
        ("version-unchecked", "if not is_known or", "if", f"{HOSTILE} -k lines"),
        ("headers-without-a-time", "elif self._in_section and self._timer is None:", "elif False:",
         f"{GUARD} -k slow_second"),
        ("requests-have-the-time-of-headers",
         "        self._stop_timer()\n        self._waiting.pop(self, None)\n        super().on_headers_complete()",
         "        self._waiting.pop(self, None)\n        super().on_headers_complete()",
         f"{GUARD} -k longer_than_its_headers"),
        ("idle-connections-keep-their-place", "next(iter(self._waiting)).give_way()", "pass",
         f"{GUARD} -k oldest_idle"),
        ("requests-lose-their-place", "        self._waiting.pop(self, None)\n        super().on_headers_complete()",
         "        super().on_headers_complete()", f"{GUARD} -k without_an_idle"),
        ("stalled-readers-stay", "self.loop.call_later(stalled_s, self.transport.abort)",
         "self.loop.call_later(600, self.transport.abort)", f"{GUARD} -k does_not_read"),
        ("floods-of-requests-at-once", "or len(self.pipeline) >= self._limits.max_pipelined", "",
         f"{HOSTILE} -k many_requests"),
    ),
    *mutants_of(
        f"{FOLDER}/docs_page.py",
        ("page-without-escaping", "autoescape=True", "autoescape=False", f"{GUARD} -k page_escapes"),
    ),
    *mutants_of(
        "annotator/service/api/status_routes.py",
        ("addresses-without-a-token", "name: READY if what == READY else NOT_READY", "name: what",
         f"{HOSTILE} -k learns_no_address"),
        slow=True,
    ),
    *mutants_of(
        "annotator/service/api/annotation_routes.py",
        ("status-outside-the-document", "422, ", "", "test_service_schema.py"),
        slow=True,
    ),
]  # fmt: skip
