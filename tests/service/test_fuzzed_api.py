"""Requests made up from `/api/openapi.json`, good and bad ones, against a real bridge: it never
fails, errors have their form, and every answer is one that the document tells of.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import Failure, FailureGroup
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.end_to_end.running import RunningBridge

KEY = "a-key-of-the-right-length"
WITHIN_S = 10.0
OURS = {"X-Api-Key": KEY}
TURNS_MAX = 5
"""An operation without parameters can be asked in few ways: how many requests a turn makes depends
on what operations there are; it is some 4,500."""

TOLD_MAX = 20
"""Findings that a failure tells; the first ones say enough."""

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
AS_LISTED = {"select": {"all": True}, "set": {"enabled": None, "guide_number": None}}


class Fuzzed:
    """One bridge, what was asked of it, and what was found."""

    def __init__(self, bridge: RunningBridge) -> None:
        self.bridge = bridge
        self.session = requests.Session()
        self.statuses: Counter[int] = Counter()
        self.found: dict[tuple[str, str], str] = {}
        """By operation and kind, the first request that shows it."""
        document = self._get("/api/openapi.json")
        schema = schemathesis.openapi.from_dict(document)
        schema.validate()
        schema.config.generation.update(with_security_parameters=False)
        self.operations = sorted(
            (result.ok() for result in schema.get_all_operations()),
            key=lambda operation: (not _said(operation, "x-endless"), operation.label),
        )

    def _get(self, path: str) -> Any:
        answer = self.session.get(self.bridge.base + path, headers=OURS, timeout=WITHIN_S)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def known(self, path: str) -> list[str]:
        """Something of each kind that the bridge knows, for a path of an operation."""
        if "session" in path:
            return [one["id"] for one in self._get("/api/sessions?limit=3")]
        if "source" in path:
            return ["demo"]
        if "{asked}" in path:
            return ["v1", "v2", "v9"]
        if "{name}" in path:
            return ["now.js", "live.js"]
        return [one["id"] for one in self._get("/api/channels?limit=3")]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """With two viewers, and the lineup as it is listed."""
        url = self.bridge.base
        bulk = self.session.post(f"{url}/api/channels/bulk", json=AS_LISTED, headers=OURS)
        assert bulk.status_code == 200, bulk.text
        with contextlib.ExitStack() as stack:
            for number in (1, 2):
                path = f"{url}/auto/v{number}"
                stack.enter_context(requests.get(path, stream=True, timeout=WITHIN_S))
            yield

    def fuzz(self, operation: Any, cases: int, start: int) -> None:
        """That many requests of one operation: good and bad ones, of things known and unknown."""
        known = self.known(operation.path)
        assert known, operation.label
        takes = bool(operation.path_parameters or operation.query or operation.body)
        modes = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]
        kinds = [operation.as_strategy(generation_mode=mode) for mode in modes]

        @seed(start)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.one_of(*kinds), st.sampled_from([None, *known]))
        def ask(case: Case, instead: str | None) -> None:
            for name in case.path_parameters or {}:
                if name != "tuner" and instead is not None:
                    case.path_parameters[name] = instead
            if not {".", ".."} & {str(one) for one in (case.path_parameters or {}).values()}:
                self._ask(case)  # a client takes those for steps, and asks another operation

        ask()

    def _ask(self, case: Case) -> None:
        case.headers = {**(case.headers or {}), **OURS}
        asked = case.as_transport_kwargs(base_url=self.bridge.base)
        endless = _said(case.operation, "x-endless")
        try:
            answer = self.session.request(
                **asked, stream=endless, allow_redirects=False, timeout=WITHIN_S
            )
        except requests.RequestException as error:
            self._finding(case, type(error).__name__, repr(error))
            return
        self.statuses[answer.status_code] += 1
        with answer:
            if endless and answer.status_code == 200:
                next(answer.iter_content(188))
                return
            self._judge(case, answer)

    @property
    def asked(self) -> int:
        """Requests that were answered."""
        return self.statuses.total()

    def _judge(self, case: Case, answer: requests.Response) -> None:
        status, players = answer.status_code, _said(case.operation, "x-surface") == "players"
        refused = status == 503 and players and "X-HDHomeRun-Error" in answer.headers
        if status >= 500 and not refused:
            self._finding(case, f"{status}", answer.text)
        if status >= 400 and not (players and not answer.content):
            self._finding_unless(_has_the_form(case, answer), case, f"form of {status}", answer)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                assert isinstance(failure, Failure)
                self._finding(case, f"{failure.title} {status}", f"{failure}\n{answer.text}")

    def _finding_unless(self, good: bool, case: Case, kind: str, answer: requests.Response) -> None:
        if not good:
            self._finding(case, kind, answer.text)

    def _finding(self, case: Case, kind: str, text: str) -> None:
        shown = f"{case.as_curl_command()[:600]}\n{text[:1_000]}"
        self.found.setdefault((case.operation.label, kind), shown)


def _said(operation: Any, name: str) -> Any:
    return operation.definition.raw.get(name, False)


def _has_the_form(case: Case, answer: requests.Response) -> bool:
    """`{error, detail}`; nothing to HEAD."""
    if case.method == "HEAD":
        return not answer.content
    if answer.headers.get("content-type") != "application/json":
        return False
    told = answer.json()
    return isinstance(told.get("error"), str) and isinstance(told.get("detail"), str)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """The demo, with a key; one for all, for whatever was asked of it, it goes on."""
    data_dir = tmp_path_factory.mktemp("fuzzed") / "data"
    with RunningBridge(data_dir, "--demo", PLEXBRIDGE_ADMIN_KEY=KEY) as bridge:
        made = Fuzzed(bridge)
        with made.session:
            yield made


def everything(fuzzed: Fuzzed, cases: int, start: int) -> None:
    """Every operation that many times; afterwards the bridge still serves, and says no fault."""
    for operation in fuzzed.operations:
        if not _said(operation, "x-websocket"):
            with fuzzed.watched():
                fuzzed.fuzz(operation, cases, start)
    told = [f"{label}: {kind}\n{shown}" for (label, kind), shown in fuzzed.found.items()]
    assert not told, f"seed {start}, {len(told)} findings:\n\n" + "\n\n".join(told[:TOLD_MAX])
    assert fuzzed.bridge.answers("/readyz")
    fuzzed.bridge.errors.flush()
    fuzzed.bridge.errors.seek(0)
    assert "Traceback" not in fuzzed.bridge.errors.read()


def test_no_request_makes_the_bridge_fail(fuzzed: Fuzzed) -> None:
    """Some hundred of them, the same ones every time."""
    everything(fuzzed, cases=4, start=4_711)
    assert fuzzed.asked >= 300


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_none_of_ten_thousand_requests_makes_the_bridge_fail(fuzzed: Fuzzed) -> None:
    """Others every time; a failure says which."""
    start = int.from_bytes(os.urandom(4))
    for turn in range(TURNS_MAX):
        everything(fuzzed, cases=60, start=start + turn)
        if fuzzed.asked >= 10_000:
            break
    print(f"\n{fuzzed.asked} requests of {len(fuzzed.operations)} operations, seed {start}")
    print(f"by status: {dict(fuzzed.statuses.most_common())}")
    assert fuzzed.asked >= 10_000


BODIES = (
    *(b"", b"{", b"\xff", b"null", b"[]", b'"x"', b"-0", b"9" * 400, b"[" * 5_000, b"NaN"),
    *(
        b'{"reason": "\\ud800", "password": "\\ud800"}',
        b'{"each": {"": {}}}',
        b'{"set": {"": 1e999}}',
    ),
    *(b'{"reason": null, "password": 1, "name": 1}', b" " * (16 * 1024 * 1024 + 1)),
)


def test_bodies_that_are_no_wish_are_refused_in_the_form(fuzzed: Fuzzed) -> None:
    """Cut short, no JSON, no text, too deep, too long: of every operation that takes a body."""
    taking = [one for one in fuzzed.operations if "requestBody" in one.definition.raw]
    assert len(taking) >= 6
    headers = {**OURS, "Content-Type": "application/json"}
    for operation in taking:
        path = operation.path.replace("{id}", fuzzed.known(operation.path)[0])
        for body in BODIES:
            answer = fuzzed.session.request(
                operation.method, fuzzed.bridge.base + path, data=body, headers=headers, timeout=60
            )
            shown = f"{operation.label} {body[:40]!r}: {answer.text[:200]}"
            assert 400 <= answer.status_code < 500, shown
            assert isinstance(answer.json()["detail"], str), shown


LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=("Cc",)), max_size=80)
NAMES = (
    *("X-Api-Key", "Cookie", "Host", "Origin", "Accept", "Accept-Encoding", "Last-Event-ID"),
    *("If-None-Match", "If-Modified-Since", "Range", "Content-Type", "X-Forwarded-For"),
    *("X-Forwarded-Proto", "X-Forwarded-Prefix", "User-Agent", "Referer", "Expect"),
)


def test_no_header_makes_the_bridge_fail(fuzzed: Fuzzed) -> None:
    """Whatever it holds, on every surface."""

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(
        st.sampled_from(["/", "/api/sessions", "/access", "/static/now.js", "/xmltv.xml", "/time"]),
        st.dictionaries(st.sampled_from(NAMES), LATIN.map(str.strip), max_size=3),
    )
    def ask(path: str, headers: dict[str, str]) -> None:
        answer = requests.get(
            fuzzed.bridge.base + path, headers=headers, allow_redirects=False, timeout=WITHIN_S
        )
        assert answer.status_code < 500, answer.text

    ask()


@pytest.mark.parametrize("query", ["rooms=", "rooms=x", "rooms=streaming,%00", "rooms=metrics,é"])
def test_rooms_that_there_are_not_close_a_socket_with_their_names(
    fuzzed: Fuzzed, query: str
) -> None:
    """4400, after the handshake; the bridge goes on."""
    url = fuzzed.bridge.base.replace("http", "ws", 1)
    with (
        connect(f"{url}/ws?{query}", additional_headers=OURS, proxy=None) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=WITHIN_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400
    assert fuzzed.bridge.answers("/livez")


def test_head_of_the_feed_is_answered_and_over(fuzzed: Fuzzed) -> None:
    """Its connection takes the next request."""
    ask: Callable[..., requests.Response] = fuzzed.session.request
    for method, path in (("HEAD", "/api/live"), ("GET", "/api/log/head")):
        answer = ask(method, fuzzed.bridge.base + path, headers=OURS, timeout=WITHIN_S)
        assert answer.status_code == 200


def test_no_rows_are_found_where_none_are_wanted(fuzzed: Fuzzed) -> None:
    """Also where there would be some, and without a place to go on from."""
    base = fuzzed.bridge.base
    with fuzzed.watched():
        ended = fuzzed.session.delete(f"{base}/api/sessions?all=true", headers=OURS)
        assert len(ended.json()["ended"]) == 2
    for path in ("/api/history", "/api/sessions", "/api/channels", "/api/events"):
        answer = fuzzed.session.get(f"{base}{path}?limit=0", headers=OURS)
        assert answer.status_code == 200, answer.text
        if path == "/api/history":
            assert (answer.json()["sessions"], answer.json()["next_after"]) == ([], None)
        else:
            assert answer.text in ("[]", "")
