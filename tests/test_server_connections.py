"""What goes over the wire: retries, redirects, proxies, the key, broken and endless replies."""

import gzip
import shutil
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
from sample_server import completion
from test_served_model import ask_once, backend_of
from wire_server import Wire, WireServer

from annotator.models.backend import Reply, RequestFailure
from annotator.models.openai import connections, retries
from annotator.models.openai.proxies import find_proxy
from annotator.models.openai.retries import is_retried, retry_after, retry_delay
from schemas.errors import BackendError, ConfigError

KEY = "sk-very-secret-0123"
SOON = {"retry-after-ms": "1"}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def outcome_of(backend):
    ((_, outcome),) = ask_once(backend)
    return outcome


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_status_that_another_try_may_cure_is_sent_again(status):
    with WireServer(lambda n: Wire(status=status, headers=SOON) if n < 3 else Wire()) as server:
        assert isinstance(outcome_of(backend_of(server, max_retries=2)), Reply)
        assert len(server.seen) == 3
        assert len({seen.body for seen in server.seen}) == 1


@pytest.mark.parametrize("status", [400, 402, 413, 418, 422])
def test_a_status_that_is_about_the_request_is_not_sent_again(status):
    with WireServer(lambda _: Wire(status=status, headers=SOON, body=b"{}")) as server:
        assert outcome_of(backend_of(server, max_retries=2)).reason == f"http_{status}"
        assert len(server.seen) == 1


@pytest.mark.parametrize(("said", "asked"), [("true", 2), ("false", 1)])
def test_a_server_that_says_whether_to_retry_is_obeyed(said, asked):
    status = 400 if said == "true" else 500
    headers = {**SOON, "x-should-retry": said}
    with WireServer(lambda n: Wire(status=status, headers=headers) if n == 1 else Wire()) as server:
        outcome_of(backend_of(server, max_retries=1))
        assert len(server.seen) == asked


@pytest.mark.parametrize("broken", [None, Wire(cut=10)])
def test_a_broken_connection_is_sent_again_and_then_a_failure(monkeypatch, broken):
    monkeypatch.setattr(retries, "FIRST_DELAY_S", 0.001)
    with WireServer(lambda n: broken if n == 1 else Wire()) as server:
        assert isinstance(outcome_of(backend_of(server, max_retries=1)), Reply)
    with WireServer(lambda _: broken) as server:
        assert outcome_of(backend_of(server, max_retries=1)).reason == "connection"
        assert len(server.seen) == 2


def test_what_a_server_asks_to_wait_is_read_in_every_form():
    date = formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert 28 <= retry_after({"retry-after": date}) <= 30
    for unreadable in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": ""}):
        assert retry_after(unreadable) is None


def test_the_wait_is_what_was_asked_for_or_doubles_and_is_bounded():
    assert retry_delay(5, 2.5) == 2.5
    for asked in (None, -3.0, 0.0, 999.0):
        for num_retries, longest in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0]):
            delays = [retry_delay(num_retries, asked) for _ in range(200)]
            assert 0.75 * longest <= min(delays) and max(delays) <= longest
            assert max(delays) - min(delays) > 0.1 * longest  # spread out
    assert retry_delay(10**6, None) <= 8.0


@pytest.mark.parametrize("seconds", ["121", "1e999"])
def test_a_server_that_asks_for_a_long_wait_is_not_asked_again(seconds):
    assert not is_retried(503, {"retry-after": seconds})
    assert is_retried(503, {"retry-after": "120"})


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b'{"sent": "correcthorse"}', "bad_response"),
        (200, b'{"choices": [{"message": {"refusal": "not with correcthorse"}}]}', "refused"),
        (422, b'{"error": {"message": "not with correcthorse"}}', "http_422"),
    ],
)
def test_a_failure_does_not_repeat_a_key_of_plain_words(monkeypatch, status, body, reason):
    """Such as a server of one's own has; no shape gives it away."""
    monkeypatch.setenv("OPENAI_API_KEY", "correcthorse")
    with WireServer(lambda _: Wire(status=status, body=body)) as server:
        failure = outcome_of(backend_of(server, max_retries=0))
    assert failure.reason == reason
    assert "correcthorse" not in failure.detail
    assert "***" in failure.detail


def test_a_redirect_to_another_server_does_not_carry_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with WireServer() as other:
        there = f"http://127.0.0.1:{other.port}/elsewhere"
        moved = Wire(status=307, headers={"Location": there}, body=b"")
        with WireServer(lambda _: moved) as server:
            assert isinstance(outcome_of(backend_of(server)), Reply)
            assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
        (seen,) = other.seen
    assert seen.path == "/elsewhere"
    assert KEY not in str(seen.headers)


def test_a_redirect_within_a_server_is_followed_with_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    moved = Wire(status=308, headers={"Location": "/v2/chat"}, body=b"")
    with WireServer(lambda n: moved if n == 1 else Wire()) as server:
        assert isinstance(outcome_of(backend_of(server)), Reply)
        assert [seen.path for seen in server.seen] == ["/v1/chat/completions", "/v2/chat"]
        assert server.seen[1].headers["authorization"] == f"Bearer {KEY}"
        assert server.seen[1].body == server.seen[0].body


def test_a_loop_of_redirects_is_a_failure_without_the_address():
    there = "/v1/chat/completions?signature=secret"
    moved = Wire(status=307, headers={"Location": there}, body=b"")
    with WireServer(lambda _: moved) as server:
        failure = outcome_of(backend_of(server))
    assert failure == RequestFailure(reason="connection", detail="too many redirects")


def test_a_reply_that_is_no_http_is_a_failure_without_the_address():
    """A header that holds a zero byte: the library's own words for it begin with the address."""
    moved = Wire(status=307, headers={"Location": "/elsewhere?signature=secret"}, body=b"")
    odd = Wire(headers={"X-Odd": "a\0b"})
    with WireServer(lambda n: moved if n == 1 else odd) as server:
        failure = outcome_of(backend_of(server))
    assert failure.reason == "connection"
    assert "header" in failure.detail.lower() and "secret" not in failure.detail


def test_the_account_of_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    with WireServer() as server:
        outcome_of(backend_of(server))
        assert server.seen[0].headers["openai-organization"] == "org-7"
        assert "openai-project" not in server.seen[0].headers


def test_other_hosts_are_asked_through_the_proxy_of_the_environment(monkeypatch):
    with WireServer() as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        assert isinstance(outcome_of(backend_of("http://models.invalid/v1")), Reply)
        assert proxy.seen[0].path == "http://models.invalid/v1/chat/completions"


def test_which_proxy_a_server_is_asked_through(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy:1")
    monkeypatch.setenv("https_proxy", "http://me:word@proxy:2")
    monkeypatch.setenv("no_proxy", "lab.example, 10.0.0.7")
    assert find_proxy("http://a.example/v1") == "http://proxy:1"
    assert find_proxy("https://a.example/v1") == "http://me:word@proxy:2"
    for direct in ("gpu.lab.example:8000", "10.0.0.7:8000", "localhost:8000", "[::1]:8000"):
        assert find_proxy(f"http://{direct}/v1") is None, direct
    monkeypatch.delenv("http_proxy")
    assert find_proxy("http://a.example/v1") is None
    monkeypatch.setenv("all_proxy", "http://proxy:3")
    assert find_proxy("http://a.example/v1") == "http://proxy:3"
    monkeypatch.setenv("all_proxy", "socks5://proxy:4")
    with pytest.raises(ConfigError, match=r"socks5://.*NO_PROXY=a\.example"):
        find_proxy("http://a.example/v1")


def test_a_password_file_for_the_host_does_not_replace_the_key(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with WireServer() as server:
        outcome_of(backend_of(server))
        assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_certificates_are_checked(monkeypatch, tmp_path):
    pem = tmp_path / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -batch"
    command += f" -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout {pem} -out {pem}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "server.pem.crt").read_bytes())
    with WireServer(certificate=pem) as server:
        with pytest.raises(BackendError, match="CERTIFICATE_VERIFY_FAILED"):
            outcome_of(backend_of(server))
        monkeypatch.setenv("SSL_CERT_FILE", f"{pem}.crt")
        assert isinstance(outcome_of(backend_of(server)), Reply)


def test_a_host_name_that_cannot_be_one_is_reported():
    with pytest.raises(BackendError, match=r"a\.\.b/v1 .*label empty"):
        outcome_of(backend_of("http://a..b/v1"))


def test_a_compressed_reply_is_read_and_a_broken_one_is_a_failure():
    packed = gzip.compress(completion("Yes.")[2])
    headers = {"Content-Encoding": "gzip"}
    with WireServer(lambda _: Wire(headers=headers, body=packed)) as server:
        assert outcome_of(backend_of(server)).text == "Yes."
    with WireServer(lambda _: Wire(headers=headers, body=b"no gzip")) as server:
        assert outcome_of(backend_of(server)).reason == "connection"


def test_a_reply_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(connections, "MAX_REPLY_BYTES", 2**20)
    with WireServer(lambda _: Wire(body=b"x" * (3 * 2**20))) as server:
        failure = outcome_of(backend_of(server, max_retries=2))
        assert len(server.seen) == 1
    assert (failure.reason, failure.detail) == (
        "bad_response",
        "the server's reply is longer than 1 MiB",
    )


def test_a_refusal_with_half_a_surrogate_pair_can_be_written():
    body = b'{"error": {"message": "odd \\ud800 text"}}'
    with WireServer(lambda _: Wire(status=400, body=body)) as server:
        failure = outcome_of(backend_of(server))
    assert failure.detail.encode() == b"Error code: 400 - odd ? text"


def test_asking_a_server_imports_no_client_library():
    script = """
import sys
sys.path.insert(0, "tests")
from test_served_model import ask_once, backend_of
from sample_server import ChatServer
with ChatServer() as server:
    assert len(ask_once(backend_of(server))) == 1
print(sorted({"openai", "httpx2", "httpx"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
