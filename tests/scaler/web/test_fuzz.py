"""Whatever is asked: no fault of the service, one shape of error, and only what the OpenAPI document promises."""

from __future__ import annotations

import json
import math

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from scaler.web.app import create_app
from tests.scaler.web.conftest import asking
from tests.scaler.web.sample_state import SampleState

STATE = SampleState()
APP = create_app(STATE)
ASK = asking(STATE)
STEADY = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ENDPOINTS = ["", "/forecast", "/plan", "/explanation", "/history"]

schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", APP)
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@schema.parametrize()
@STEADY
def test_every_answer_is_one_that_the_openapi_document_promises(case):
    case.call_and_validate()


def _is_told_well(answer) -> bool:
    if answer.status_code < 400:
        return True
    problem = answer.json()
    return answer.status_code < 500 and problem.keys() == {"error", "field", "remedy"} and bool(problem["remedy"])


@given(
    endpoint=st.sampled_from(ENDPOINTS),
    asked=st.dictionaries(st.sampled_from(["from", "to", "quantile", "limit", "search", "x"]), st.text(max_size=30)),
)
@STEADY
def test_any_text_as_a_parameter_is_taken_or_refused_with_a_remedy(endpoint, asked):
    query = httpx.QueryParams(asked)
    assert _is_told_well(ASK(f"/api/v1/fleets/voice/acme{endpoint}?{query}"))
    assert _is_told_well(ASK(f"/api/v1/fleets?{query}"))


@given(start=st.floats(), end=st.floats(), quantile=st.floats())
@example(start=math.nan, end=1.0, quantile=0.5)
@example(start=0.0, end=math.inf, quantile=0.5)
@example(start=-1e300, end=1e300, quantile=0.5)
@example(start=0.0, end=1.0, quantile=math.nan)
@STEADY
def test_any_number_as_a_range_is_taken_or_refused_with_a_remedy(start, end, quantile):
    for endpoint in ("forecast", "history"):
        extra = f"&quantile={quantile}" if endpoint == "forecast" else ""
        answer = ASK(f"/api/v1/fleets/voice/acme/{endpoint}?from={start}&to={end}{extra}")
        assert _is_told_well(answer), answer.text


@given(raw=st.binary(max_size=60))
@STEADY
def test_any_bytes_as_a_path_or_a_query_are_answered(raw):
    text = "".join(f"%{byte:02x}" for byte in raw)
    for path in (
        f"/api/v1/fleets/{text}/{text}",
        f"/{text}",
        f"/api/v1/policies/{text}",
        f"/api/v1/fleets?{text}={text}",
    ):
        assert _is_told_well(ASK(path)), path


def test_the_openapi_document_describes_every_error_by_the_one_shape():
    document = ASK("/api/v1/openapi.json").json()
    references = {
        json.dumps(response["content"]["application/json"]["schema"])
        for path in document["paths"].values()
        for status, response in path["get"]["responses"].items()
        if status in ("404", "422")
    }
    assert references == {'{"$ref": "#/components/schemas/Problem"}'}
