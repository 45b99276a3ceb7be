"""The KEDA process as it runs beside the control plane, which may start later, stop, die or hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.http2_load import prepare_call, run_load
from keda_external_scaler.book_file import write_book
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from keda_external_scaler.settings import parse_arguments
from keda_external_scaler.stats import read_stats
from tests.servers.certificates import Authority
from tests.servers.keda import ACME, book_of, connected, poll, real_process, scaled_object
from tests.servers.processes import wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

CONTROL_PLANE = """
import sys, time
from pathlib import Path
from bench.http2_load import prepare_call, run_load
from keda_external_scaler.book_file import write_book
from tests.servers.keda import ACME, book_of
while True:
    write_book(Path(sys.argv[1]), book_of(ACME, written_at_s=time.time()))
    time.sleep(0.1)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.book"


@contextmanager
def control_plane(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes the book several times a second."""
    writer = subprocess.Popen([sys.executable, "-c", CONTROL_PLANE, str(path)])
    try:
        wait_for(path.exists, "the first book")
        yield writer
    finally:
        writer.kill()
        writer.wait(60)


def number(channel: grpc.Channel) -> Callable[[], int]:
    return lambda: poll(channel, scaled_object()).replicas


def test_without_a_book_the_spec_is_answered_and_the_number_as_soon_as_there_is_one(path):
    with real_process(path) as process, connected(process.port) as channel:
        stub = ExternalScalerStub(channel)
        assert stub.GetMetricSpec(scaled_object()).metricSpecs[0].targetSize == 1
        with pytest.raises(grpc.RpcError) as refused:
            stub.IsActive(scaled_object())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        write_book(path, book_of(ACME, written_at_s=time.time()))
        process.event("first book")
        assert number(channel)() == ACME.answer


def test_the_control_plane_killed_the_answers_go_on_alone_and_a_restart_of_the_process_answers_alike(path):
    with real_process(path, "--stale-after", "1") as process, connected(process.port) as channel:
        with control_plane(path) as writer:
            process.event("first book")
            assert number(channel)() == ACME.answer
            writer.kill()
            told = []
            wait_for(lambda: told.append(number(channel)()) or told[-1] == ACME.alone, "the answer alone")
            assert set(told) <= {ACME.answer, ACME.alone}
            assert told == sorted(told)
        process.event("answering alone: the book is old")
        with real_process(path, "--stale-after", "1") as restarted, connected(restarted.port) as other:
            restarted.event("first book")
            assert number(other)() == ACME.alone


def test_a_control_plane_that_hangs_changes_nothing_but_the_age(path):
    with control_plane(path) as writer, real_process(path, "--stale-after", "1") as process:
        with connected(process.port) as channel:
            process.event("first book")
            writer.send_signal(signal.SIGSTOP)
            wait_for(lambda: number(channel)() == ACME.alone, "the answer alone")
            process.event("answering alone: the book is old")
            writer.send_signal(signal.SIGCONT)
            wait_for(lambda: number(channel)() == ACME.answer, "the live answer")
        process.event("answering live again")


def test_a_spoilt_book_is_told_in_the_log_and_the_answers_go_on(path):
    write_book(path, book_of(ACME, written_at_s=time.time()))
    with real_process(path) as process, connected(process.port) as channel:
        process.event("first book")
        path.write_bytes(b"not a book")
        event = process.event("book rejected")
        assert str(path) in event["problem"]
        assert event["in_use"] is True
        assert number(channel)() == ACME.answer


def test_sigterm_turns_not_serving_ends_streams_with_ok_and_exits_with_0(path):
    write_book(path, book_of(ACME, written_at_s=time.time()))
    with real_process(path) as process, connected(process.port) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="externalscaler.ExternalScaler"))
        assert next(watch).status == SERVING
        assert health.Check(health_pb2.HealthCheckRequest()).status == SERVING
        stream = ExternalScalerStub(channel).StreamIsActive(scaled_object())
        assert next(stream).result
        process.process.terminate()
        assert next(watch).status == NOT_SERVING
        assert list(stream) == []
        assert stream.code() is grpc.StatusCode.OK
        watch.cancel()
        assert process.stop() == 0
        assert process.events[-1]["event"] == "stopped"


def test_calls_that_are_never_finished_do_not_keep_the_process_from_ending(path):
    never = threading.Event()

    def half_a_call() -> Iterator[bytes]:
        never.wait()
        yield b""

    with real_process(path, "--stop-grace", "0.2") as process, connected(process.port) as channel:
        ask = channel.stream_unary("/externalscaler.ExternalScaler/IsActive")
        stuck = [ask.future(half_a_call()) for _ in range(3)]
        ExternalScalerStub(channel).GetMetricSpec(scaled_object())
        assert process.stop() == 0
        never.set()
        assert all(call.code() is not grpc.StatusCode.OK for call in stuck)


def test_connections_grow_old_and_no_call_notices(path):
    write_book(path, book_of(ACME, written_at_s=time.time()))
    with real_process(path, "--max-connection-age", "0.5") as process, connected(process.port) as channel:
        process.event("first book")
        stream = ExternalScalerStub(channel).StreamMetricSpec(scaled_object())
        next(stream)
        ended = threading.Thread(target=lambda: list(stream))
        ended.start()
        told = []
        wait_for(lambda: told.append(number(channel)()) or not ended.is_alive(), "the stream's end")
        assert set(told) == {ACME.answer}
        assert stream.code() is grpc.StatusCode.OK


def test_all_calls_of_a_restarted_operator_at_once_are_answered(path):
    write_book(path, book_of(ACME, written_at_s=time.time()))
    call = prepare_call("/externalscaler.ExternalScaler/IsActive", scaled_object().SerializeToString())
    with real_process(path) as process:
        process.event("first book")
        result = run_load([("127.0.0.1", process.port)], [call], rate_per_s=1e7, seconds=6000 / 1e7)
    assert (result.latencies_s.size, result.refused, result.unanswered) == (6000, 0, 0)


def test_a_port_that_is_taken_ends_the_process_with_the_remedy(path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with real_process(path, "--listen", address) as process:
            problem = process.event("cannot start")["problem"]
            assert process.process.wait(60) == 1
    assert problem.startswith(f"--listen {address} cannot be bound")
    assert "choose another one" in problem


def test_two_processes_never_share_a_port(path):
    with real_process(path) as first, real_process(path, "--listen", f"127.0.0.1:{first.port}") as second:
        second.event("cannot start")
        assert second.process.wait(60) == 1


def test_a_certificate_that_cannot_be_read_ends_the_process_with_the_files_name(path, tmp_path):
    missing = tmp_path / "tls.crt"
    with real_process(path, "--tls-cert", str(missing), "--tls-key", str(missing)) as process:
        assert f"{missing}: the certificate cannot be read" in process.event("cannot start")["problem"]
        assert process.process.wait(60) == 1


def test_the_process_speaks_tls_when_it_is_told_to(path, tmp_path):
    authority = Authority("ours")
    leaf = authority.issue("127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(leaf.certificate)
    key.write_bytes(leaf.key)
    with real_process(path, "--tls-cert", str(certificate), "--tls-key", str(key)) as process:
        credentials = grpc.ssl_channel_credentials(authority.certificate)
        with connected(process.port, credentials) as channel:
            assert ExternalScalerStub(channel).GetMetricSpec(scaled_object()).metricSpecs
        assert process.event("listening")["tls"] is True


def test_counters_are_left_in_a_file_for_the_control_plane(path, tmp_path):
    stats_path = tmp_path / "keda-stats.json"
    write_book(path, book_of(ACME, replace(ACME, name="quiet"), written_at_s=time.time()))
    with real_process(path, "--stats", str(stats_path)) as process, connected(process.port) as channel:
        process.event("first book")
        stub = ExternalScalerStub(channel)
        stream = stub.StreamIsActive(scaled_object())
        next(stream)
        number(channel)()
        with pytest.raises(grpc.RpcError):
            stub.IsActive(scaled_object("stranger"))
        stream.cancel()
        process.stop()
    stats = read_stats(stats_path)
    assert (stats.answers_live, stats.answers_alone, stats.answers_refused) == (3, 0, 1)
    assert (stats.book_fleets, stats.books_taken, stats.books_rejected, stats.streams) == (2, 1, 0, 0)
    assert list(stats.last_call_s) == ["voice/acme"]
    assert sum(stats.handling_counts) == 4
    assert 0 <= stats.book_age_s < 60
    assert stats.pid == process.process.pid != os.getpid()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listen", "9090"], "is not HOST:PORT"),
        (["--listen", "localhost:99999"], "is not HOST:PORT"),
        (["--tls-cert", "x"], "--tls-cert and --tls-key belong together"),
        (["--client-ca", "x"], "--client-ca needs TLS"),
        (["--stale-after", "0"], "is not a number of seconds"),
        (["--stale-after", "nan"], "is not a number of seconds"),
        (["--stale-after", "soon"], "--stale-after"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--book", "x", "--listen", "127.0.0.1:0", *arguments])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
