"""The push streams: the first message at once, then only what is new, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import grpc
import psutil
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from keda_external_scaler.book_file import write_book
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from keda_external_scaler.server import Server
from keda_external_scaler.streams import HEARTBEAT_S
from tests.servers.keda import (
    ACME,
    Scene,
    book_of,
    connected,
    fleet_reference,
    fleets,
    poll,
    real_process,
    scaled_object,
    serving,
)
from tests.servers.processes import wait_for

AWAKE = replace(ACME, answer=3, active=True)
ASLEEP = replace(ACME, answer=0, active=False, replicas=0)
WOKEN = replace(AWAKE, replicas=0)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.publish(AWAKE)
    return scene


@pytest.fixture
def server(scene: Scene) -> Iterator[Server]:
    with serving(scene) as server:
        yield server


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with connected(server.port) as channel:
        yield channel


class Listener:
    """Reads a stream to its end in the background."""

    def __init__(self, call: grpc.Call) -> None:
        self.call = call
        self.heard: list[bool] = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        with suppress(grpc.RpcError):
            for message in self.call:
                self.heard.append(message.result)

    def until(self, *heard: bool) -> None:
        wait_for(lambda: self.heard == list(heard), f"{list(heard)} on the stream; heard {self.heard}")


def listen(channel: grpc.Channel) -> Listener:
    return Listener(ExternalScalerStub(channel).StreamIsActive(scaled_object()))


@pytest.mark.parametrize(("entry", "active"), [(AWAKE, True), (ASLEEP, False)])
def test_the_first_message_comes_at_once_and_equals_is_active(scene, channel, entry, active):
    scene.publish(entry)
    stub = ExternalScalerStub(channel)
    assert next(stub.StreamIsActive(scaled_object())).result is stub.IsActive(scaled_object()).result is active


def test_only_edges_are_told_however_many_books_come(scene, server, channel):
    listener = listen(channel)
    listener.until(True)
    for answer in (4, 5, 6):
        scene.publish(replace(AWAKE, answer=answer))
        server.streams.refresh()
    scene.publish(ASLEEP)
    listener.until(True, False)
    server.streams.refresh()
    scene.publish(AWAKE)
    listener.until(True, False, True)


def test_a_fleet_that_leaves_the_book_says_nothing_and_one_that_returns_goes_on(scene, server, channel):
    listener = listen(channel)
    listener.until(True)
    scene.publish()
    server.streams.refresh()
    scene.publish(ASLEEP)
    listener.until(True, False)


def test_a_wake_up_is_repeated_slowly_until_the_workload_stands(scene, server, channel):
    scene.publish(WOKEN)
    listener = listen(channel)
    listener.until(True)
    scene.stream_s = HEARTBEAT_S - 1
    server.streams.refresh()
    scene.stream_s = HEARTBEAT_S
    listener.until(True, True)
    server.streams.refresh()
    scene.publish(AWAKE)
    scene.stream_s = 3 * HEARTBEAT_S
    server.streams.refresh()
    scene.publish(ASLEEP)
    listener.until(True, True, False)
    scene.stream_s = 4.5 * HEARTBEAT_S
    server.streams.refresh()
    scene.publish(AWAKE)
    listener.until(True, True, False, True)


def test_the_activity_alone_is_pushed_too(scene, channel):
    scene.publish(replace(ASLEEP, alone=0, path=(0, 2)))
    listener = listen(channel)
    listener.until(False)
    scene.wall_s += 300
    listener.until(False, True)


def test_the_first_metric_spec_equals_get_metric_spec(channel):
    stub = ExternalScalerStub(channel)
    assert next(stub.StreamMetricSpec(scaled_object())) == stub.GetMetricSpec(scaled_object())


def test_a_stream_for_a_fleet_in_no_plan_is_refused_like_its_number(channel):
    with pytest.raises(grpc.RpcError) as refused:
        next(ExternalScalerStub(channel).StreamIsActive(scaled_object("stranger")))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "voice/stranger" in refused.value.details()


def test_a_cancelled_stream_and_a_closed_connection_give_everything_back(server):
    with connected(server.port) as channel:
        stub = ExternalScalerStub(channel)
        calls = [open_stream(scaled_object()) for open_stream in (stub.StreamIsActive, stub.StreamMetricSpec) * 3]
        for call in calls:
            next(call)
        assert len(server.streams) == 6
        calls[0].cancel()
        wait_for(lambda: len(server.streams) == 5, "the cancelled stream to go")
    wait_for(lambda: len(server.streams) == 0, "the streams of the closed connection to go")


def test_more_streams_than_threads_leave_threads_for_the_numbers(server, channel):
    stub = ExternalScalerStub(channel)
    calls = [stub.StreamIsActive(scaled_object()) for _ in range(100)]
    calls += [stub.StreamMetricSpec(scaled_object()) for _ in range(100)]
    for call in calls:
        next(call)
    assert poll(channel, scaled_object()).replicas == AWAKE.answer
    assert len(server.streams) == 200


def test_reflection_streams_left_open_keep_no_thread_from_the_numbers(channel):
    never = threading.Event()

    def ask() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        never.wait()

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    calls = [stub.ServerReflectionInfo(ask())]
    services = {service.name for service in next(calls[0]).list_services_response.service}
    calls += [stub.ServerReflectionInfo(ask()) for _ in range(39)]
    try:
        assert poll(channel, scaled_object()).replicas == AWAKE.answer
        assert {"externalscaler.ExternalScaler", "grpc.health.v1.Health"} <= services
    finally:
        never.set()
        for call in calls:
            call.cancel()


def test_streams_end_with_ok_when_the_server_stops(scene):
    with serving(scene) as server, connected(server.port) as channel:
        stub = ExternalScalerStub(channel)
        calls = [stub.StreamIsActive(scaled_object()), stub.StreamMetricSpec(scaled_object())]
        for call in calls:
            next(call)
        server.stop(5.0)
        assert [list(call) for call in calls] == [[], []]
        assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 2


def test_streams_end_with_ok_of_old_age_not_all_at_once(scene, server, channel):
    stub = ExternalScalerStub(channel)
    calls = [stub.StreamMetricSpec(scaled_object()) for _ in range(20)]
    for call in calls:
        next(call)
    scene.stream_s = 149.0
    server.streams.refresh()
    assert len(server.streams) == 20
    scene.stream_s = 225.0
    server.streams.refresh()
    assert 5 <= len(server.streams) <= 15
    scene.stream_s = 300.0
    server.streams.refresh()
    assert [list(call) for call in calls] == [[]] * 20
    assert {call.code() for call in calls} == {grpc.StatusCode.OK}


def test_two_thousand_streams_on_one_connection_cost_no_thread_each(tmp_path):
    path = tmp_path / "answers.book"
    now_s = time.time()
    write_book(path, book_of(*fleets(2000), written_at_s=now_s))
    with real_process(path) as process, connected(process.port) as channel:
        stub = ExternalScalerStub(channel)
        calls = [stub.StreamIsActive(fleet_reference(n)) for n in range(2000)]
        assert all(next(call).result for call in calls)
        assert psutil.Process(process.process.pid).num_threads() < 100
        write_book(path, book_of(*fleets(2000, answer=0, active=False), written_at_s=now_s))
        assert not any(next(call).result for call in calls)
        process.process.terminate()
        assert [list(call) for call in calls] == [[]] * 2000
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
