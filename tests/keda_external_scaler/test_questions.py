"""KEDA's unary calls through a real channel: conformance with what its operator expects of an external scaler."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keda_external_scaler.contract import externalscaler_pb2 as messages
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from tests.servers.keda import ACME, ACME_TRIGGER, BORN_S, Scene, connected, poll, scaled_object, serving


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.publish(ACME)
    return scene


@pytest.fixture
def channel(scene: Scene) -> Iterator[grpc.Channel]:
    with serving(scene) as server, connected(server.port) as channel:
        yield channel


def refusal(channel: grpc.Channel, reference: messages.ScaledObjectRef, metric: str = "pods") -> tuple[str, str]:
    """Code and text that GetMetrics refuses with; IsActive must refuse alike."""
    stub = ExternalScalerStub(channel)
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetMetrics(messages.GetMetricsRequest(scaledObjectRef=reference, metricName=metric))
    if metric == "pods":
        with pytest.raises(grpc.RpcError) as inactive:
            stub.IsActive(reference)
        assert (inactive.value.code(), inactive.value.details()) == (refused.value.code(), refused.value.details())
    return refused.value.code().name, refused.value.details()


def test_one_poll_of_keda_yields_the_planned_number(channel):
    polled = poll(channel, scaled_object())
    assert (polled.metric, polled.target, polled.value, polled.integer_value) == ("pods", 1.0, 11.0, 11)
    assert polled.replicas == ACME.answer
    assert polled.active


def test_the_metric_spec_is_constant_and_needs_neither_book_nor_sense(scene, channel):
    stub = ExternalScalerStub(channel)
    specs = [stub.GetMetricSpec(scaled_object())]
    scene.publish(replace(ACME, answer=99))
    specs.append(stub.GetMetricSpec(scaled_object()))
    scene.book = None
    specs.append(stub.GetMetricSpec(scaled_object()))
    specs.append(stub.GetMetricSpec(scaled_object("stranger", metadata={"nonsense": "x"})))
    specs.append(stub.GetMetricSpec(messages.ScaledObjectRef()))
    assert all(spec == specs[0] for spec in specs)
    (metric,) = specs[0].metricSpecs
    assert re.fullmatch("[a-z0-9-]+", metric.metricName)
    assert metric.targetSize == metric.targetSizeFloat >= 0.001


@pytest.mark.parametrize("metric", ["", "s0-pods", "PODS", "calls", "p" * 5000])
def test_a_metric_that_is_not_ours_is_an_invalid_argument(channel, metric):
    code, text = refusal(channel, scaled_object(), metric)
    assert code == "INVALID_ARGUMENT"
    assert "ask for 'pods'" in text


@pytest.mark.parametrize(
    ("answer", "calls_are_up", "active"), [(0, False, False), (0, True, True), (3, False, True), (3, True, True)]
)
def test_a_fleet_is_active_when_pods_are_planned_or_calls_are_up(scene, channel, answer, calls_are_up, active):
    scene.publish(replace(ACME, answer=answer, active=calls_are_up))
    polled = poll(channel, scaled_object())
    assert (polled.value, polled.active) == (answer, active)


def test_every_replica_answers_alike_at_every_time(scene):
    other = Scene(book=scene.book)
    with serving(scene) as one, serving(other) as two, connected(one.port) as first, connected(two.port) as second:
        for age_s in (0, 29, 31, 700, 1200, 90_000):
            scene.wall_s = other.wall_s = BORN_S + age_s
            assert poll(first, scaled_object()) == poll(second, scaled_object())


def test_the_number_rises_alone_when_the_control_plane_is_silent_and_returns_with_it(scene, channel):
    told = []
    for age_s in (0, 30, 31, 14 * 60, 15 * 60, 25 * 60, 48 * 3600):
        scene.wall_s = BORN_S + age_s
        told.append(poll(channel, scaled_object()).replicas)
    assert told == [11, 11, 13, 15, 18, 18, 18]
    scene.publish(ACME, written_at_s=scene.wall_s)
    assert poll(channel, scaled_object()).replicas == ACME.answer


def test_before_any_book_a_call_is_unavailable_and_says_where_to_look(scene, channel):
    scene.book = None
    code, text = refusal(channel, scaled_object())
    assert code == "UNAVAILABLE"
    assert "no answer book yet" in text


def test_a_fleet_in_no_plan_is_not_found_with_the_remedy(channel):
    code, text = refusal(channel, scaled_object("stranger"))
    assert code == "NOT_FOUND"
    assert "voice/stranger" in text
    assert "calltide policy show" in text


@pytest.mark.parametrize(("name", "namespace", "field"), [("", "voice", "name"), ("acme", "", "namespace")])
def test_a_scaled_object_without_a_name_is_an_invalid_argument(channel, name, namespace, field):
    code, text = refusal(channel, scaled_object(name, namespace))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith(f"scaledObjectRef.{field} is empty")


def test_a_name_that_kubernetes_could_not_have_is_an_invalid_argument(channel):
    code, text = refusal(channel, scaled_object("n" * 254))
    assert code == "INVALID_ARGUMENT"
    assert "254 characters" in text


def test_faulty_metadata_is_refused_with_the_field_although_the_fleet_is_known(channel):
    code, text = refusal(channel, scaled_object(metadata=ACME_TRIGGER | {"tennant": "acme"}))
    assert code == "INVALID_ARGUMENT"
    assert "did you mean tenant?" in text


def test_values_from_the_environment_arrive_under_their_own_key(channel):
    from_env = {"policyFromEnv": "standard", "tenantFromEnv": "acme"}
    assert poll(channel, scaled_object(metadata=from_env)).replicas == ACME.answer


def test_names_of_63_characters_and_tenants_of_any_script_are_served(scene, channel):
    name, tenant = "n" * 63, "Ελλάδα 電話 ☎"
    scene.publish(replace(ACME, name=name, namespace="s" * 63, tenants=(tenant,), policy="p" * 63))
    reference = scaled_object(name, "s" * 63, {"policy": "p" * 63, "tenant": tenant})
    assert poll(channel, reference).replicas == ACME.answer


def test_two_scaled_objects_on_one_workload_have_a_number_each(scene, channel):
    scene.publish(replace(ACME, name="acme-day", answer=7), replace(ACME, name="acme-night", answer=3))
    assert [poll(channel, scaled_object(name)).replicas for name in ("acme-day", "acme-night")] == [7, 3]


def test_a_trigger_just_edited_keeps_the_number_of_before(channel):
    edited = scaled_object(metadata={"policy": "generous", "tenants": "acme,globex"})
    assert poll(channel, edited).replicas == ACME.answer


@pytest.mark.parametrize(
    ("planned", "trigger"),
    [
        (ACME, {"policy": "standard", "tenant": "globex"}),
        (replace(ACME, pool="east"), {"policy": "standard", "pool": "west"}),
    ],
)
def test_a_scaled_object_made_anew_for_others_is_not_sized_by_the_old_plan(scene, channel, planned, trigger):
    scene.publish(planned)
    code, text = refusal(channel, scaled_object(metadata=trigger))
    assert code == "FAILED_PRECONDITION"
    assert "for other tenants than this trigger names" in text
    scene.publish(replace(ACME, tenants=("globex",), pool=trigger.get("pool"), answer=2))
    assert poll(channel, scaled_object(metadata=trigger)).replicas == 2


def test_a_trigger_that_moved_from_tenants_to_a_pool_keeps_its_number_meanwhile(channel):
    assert poll(channel, scaled_object(metadata={"policy": "standard", "pool": "east"})).replicas == ACME.answer


def test_a_message_that_is_none_is_an_invalid_argument(channel):
    for call in ("GetMetrics", "IsActive"):
        ask = channel.unary_unary(f"/externalscaler.ExternalScaler/{call}")
        with pytest.raises(grpc.RpcError) as refused:
            ask(b"\xff\xff\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "externalscaler.proto" in refused.value.details()


def test_a_message_above_the_bound_is_refused_and_the_server_goes_on(channel):
    with pytest.raises(grpc.RpcError) as refused:
        poll(channel, scaled_object(metadata=ACME_TRIGGER | {"tenant": "x" * 300_000}))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert poll(channel, scaled_object()).replicas == ACME.answer


def outcome(call: Callable[[], Any]) -> tuple[str, str, Any]:
    """Code, text and response of a call, whether it was refused or not."""
    try:
        return "OK", "", call()
    except grpc.RpcError as refused:
        return refused.code().name, refused.details(), None


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
own = st.dictionaries(st.sampled_from(["policy", "tenant", "tenants", "pool"]), st.just("standard") | text, max_size=3)


@settings(
    derandomize=True, max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.just("acme") | text,
    namespace=st.just("voice") | text,
    metric=st.just("pods") | text,
    metadata=own | st.dictionaries(text, text, max_size=5),
)
def test_whatever_is_asked_gets_a_number_or_a_reason(channel, name, namespace, metric, metadata):
    reference = scaled_object(name, namespace, metadata)
    request = messages.GetMetricsRequest(scaledObjectRef=reference, metricName=metric)
    code, text_told, response = outcome(lambda: ExternalScalerStub(channel).GetMetrics(request))
    assert code in {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}, text_told
    if code == "OK":
        (value,) = response.metricValues
        assert value.metricValueFloat == value.metricValue >= 0
    else:
        assert text_told


@settings(
    derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=200), call=st.sampled_from(["GetMetrics", "IsActive", "GetMetricSpec"]))
def test_arbitrary_bytes_get_an_answer_too(channel, raw, call):
    ask = channel.unary_unary(f"/externalscaler.ExternalScaler/{call}")
    code, told, _ = outcome(lambda: ask(raw))
    assert code in {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}, told
