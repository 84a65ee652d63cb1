"""The running service against its own description: data that fit it and data that do not, thousands of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from serving.openapi import description

#: (method, path, data that fit or do not); who asks without any data can send none that do not fit.
CASES = [
    pytest.param(
        method, path, mode, id=f"{method}-{path}-{'fits' if mode is GenerationMode.POSITIVE else 'does-not-fit'}"
    )
    for path, methods in description()["paths"].items()
    for method, operation in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation.get("requestBody") or operation["parameters"]
]
CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.positive_data_acceptance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
]
# No schema can say that a time lies in the past.
PAST = st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1)).map(lambda moment: f"{moment.isoformat()}Z")
schemathesis.openapi.format("date-time", PAST)


@pytest.fixture(scope="module")
def described(service: Any) -> Any:
    # Too large a body is refused before it is read: the library knows 413 no more than that a list can be that long.
    refused = {"checks": {"negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "422"]}}}
    config = SchemathesisConfig.from_dict(refused)
    return schemathesis.openapi.from_url(f"{service.address}/v1/openapi.json", config=config)


def whole(body: Any) -> Any:
    """JSON Schema takes 4.0 for an integer; we do not, and no schema can say so."""
    if isinstance(body, dict):
        return {key: whole(value) for key, value in body.items()}
    if isinstance(body, list):
        return [whole(value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


def of_this_home(path: str, body: Any) -> Any:
    """An outcome's channel is one of the home's; no schema can say which those are."""
    named = path == "/v1/outcomes" and isinstance(body, dict) and isinstance(body.get("channel"), str)
    return body | {"channel": "web"} if named else body


@pytest.mark.parametrize(
    "examples", [pytest.param(25, id="25-each"), pytest.param(1_000, marks=pytest.mark.slow, id="1000-each")]
)
@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_answer_is_as_described_and_none_is_a_fault_of_ours(
    described: Any, service: Any, method: str, path: str, mode: GenerationMode, examples: int
) -> None:
    seen = Counter[int]()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[path][method.upper()].as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        case.body = whole(case.body)
        if mode is GenerationMode.POSITIVE:
            case.body = of_this_home(path, case.body)
        answer = case.call(base_url=service.address)
        case.validate_response(answer, checks=CHECKS)
        seen[answer.status_code] += 1
        if answer.status_code >= 400:
            assert set(answer.json()) == {"error"}
            assert set(answer.json()["error"]) == {"code", "message", "field"}

    send()
    print(f"{method.upper()} {path}, {mode.value}: {dict(sorted(seen.items()))}")


def test_decisions_on_real_customers_and_their_explanations_are_as_described(described: Any, service: Any) -> None:
    decide, explain = described["/v1/decide"]["POST"], described["/v1/decisions/{decision_id}"]["GET"]
    for n in range(1, 41):
        body = {"request_id": f"real-{n}", "customer_id": f"sim-{n:06d}", "limit": 1 + n % 3, "explain": n % 2 == 0}
        answer = decide.Case(body=body, media_type="application/json").call_and_validate(base_url=service.address)
        parameters = {"decision_id": answer.json()["decision_id"]}
        told = explain.Case(path_parameters=parameters).call_and_validate(base_url=service.address)
        assert told.status_code == 200
