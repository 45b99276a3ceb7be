"""Forecasts are spread over a Dask cluster while it works, and made here while it does not."""

import numpy as np
import pytest
from distributed import LocalCluster

from forecasting.fan_out import FanOutError, Threads, chosen_fan_out
from scaler.errors import ConfigurationError
from scaler.service.cluster import PAUSE_S, Cluster
from scaler.service.configuration import load_configuration

CONFIGURATION = """apiVersion: calltide.io/v1
kind: Configuration
policies: policies
state: state
daskScheduler: {address}
"""


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_work_is_done_by_the_cluster_and_after_its_end_here():
    clock = Clock()

    def squares():
        return type(chosen_fan_out()).__name__, list(chosen_fan_out().map(np.square, [1, 2, 3]))

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as local:
        cluster = Cluster(local.scheduler_address, clock)
        assert cluster.compute(squares) == ("DaskFanOut", [1, 4, 9])
        local.close()
        assert cluster.compute(squares) == ("Threads", [1, 4, 9])


def test_a_cluster_that_failed_is_left_alone_for_a_while(monkeypatch):
    clock, attempts = Clock(), []

    def fails(address):
        attempts.append(address)
        raise FanOutError("nobody answers")

    monkeypatch.setattr("scaler.service.cluster.DaskFanOut.connected", fails)
    cluster = Cluster("tcp://dask:8786", clock)
    for waited_s, attempted in ((0, 1), (PAUSE_S - 1, 1), (2, 2)):
        clock.now_s += waited_s
        assert cluster.compute(lambda: isinstance(chosen_fan_out(), Threads))
        assert len(attempts) == attempted


def test_what_the_work_itself_raises_is_no_fault_of_the_cluster(monkeypatch):
    monkeypatch.setattr("scaler.service.cluster.DaskFanOut.connected", lambda address: Threads(1))
    tried = []

    def work():
        tried.append(1)
        raise ValueError("a wrong calendar")

    with pytest.raises(ValueError, match="a wrong calendar"):
        Cluster("tcp://dask:8786", Clock()).compute(work)
    assert tried == [1]


@pytest.mark.parametrize("address", ["tcp://dask-scheduler:8786", "tls://10.0.0.5:8786", "tcp://[fd00::7]:8786"])
def test_the_scheduler_is_named_in_the_configuration(tmp_path, address):
    (tmp_path / "calltide.yaml").write_text(CONFIGURATION.format(address=f"'{address}'"))
    assert load_configuration(tmp_path / "calltide.yaml").dask_scheduler == address


@pytest.mark.parametrize("address", ["dask-scheduler:8786", "http://dask:8786", "tcp://dask", "tcp://a:1/path"])
def test_an_address_that_is_none_is_refused_with_an_example(tmp_path, address):
    (tmp_path / "calltide.yaml").write_text(CONFIGURATION.format(address=address))
    with pytest.raises(ConfigurationError, match=r"calltide\.yaml:5: .*write it like 'tcp://dask-scheduler:8786'"):
        load_configuration(tmp_path / "calltide.yaml")
