"""`calltide.yaml`: every fault at once, with its line and the remedy."""

from __future__ import annotations

import pytest

from scaler.errors import ConfigurationError
from scaler.service.configuration import load_configuration

GOOD = """apiVersion: calltide.io/v1
kind: Configuration
policies: policies
state: var/state
sources:
  default: {type: prometheus, url: "http://127.0.0.1:9090", bearerTokenFile: secrets/token}
  calls: {type: file, paths: [calls.parquet, "s3://bucket/more.parquet"]}
"""


def write(folder, text):
    path = folder / "calltide.yaml"
    path.write_text(text)
    return path


def test_relative_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    configuration = load_configuration(write(tmp_path, GOOD))
    assert configuration.policies == tmp_path / "policies"
    assert configuration.archive_url == str(tmp_path / "var/state/archive")
    assert configuration.sources["default"].bearer_token_file == str(tmp_path / "secrets/token")
    assert configuration.sources["calls"].paths == (str(tmp_path / "calls.parquet"), "s3://bucket/more.parquet")


def test_every_fault_is_told_with_its_line_field_and_nearest_name(tmp_path):
    text = GOOD.replace("state:", "stat:").replace("url:", "uri:") + "web: {listen: nowhere}\n"
    with pytest.raises(ConfigurationError) as told:
        load_configuration(write(tmp_path, text))
    lines = str(told.value).splitlines()
    assert any("calltide.yaml:4: stat:" in line and "'state'" in line for line in lines)
    assert any("calltide.yaml:6: sources.default.uri:" in line and "'url'" in line for line in lines)
    assert any("calltide.yaml:8: web.listen:" in line and "127.0.0.1:8080" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "exactly one document"),
        (GOOD + "---\n" + GOOD, "exactly one document"),
        ("apiVersion: [", "This is not YAML"),
        (GOOD + "keda: {listen: '127.0.0.1:8080'}\n", "different ports"),
        (GOOD + "fleets: {adapter: kubernets}\n", "adapter"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        load_configuration(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml"):
        load_configuration(tmp_path / "nothing.yaml")


def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(ConfigurationError) as told:
        load_configuration(write(tmp_path, GOOD.replace("http://127", "http://user:hunter2@127")))
    assert "hunter2" not in str(told.value)
    assert "passwordFile" in str(told.value)


REPLICAS = (
    GOOD
    + """fleets: {adapter: kubernetes}
keda: {listen: "${POD_IP}:9090"}
web: {listen: "${POD_IP}:8080"}
replicas: {listen: "${POD_IP}:8081", name: "${POD_NAME}"}
"""
)


def test_addresses_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("POD_IP", "10.1.2.3")
    monkeypatch.setenv("POD_NAME", "calltide-7b9-x")
    configuration = load_configuration(write(tmp_path, REPLICAS))
    assert (configuration.keda.listen, configuration.web.listen) == ("10.1.2.3:9090", "10.1.2.3:8080")
    assert configuration.replicas.address == "http://10.1.2.3:8081"
    assert configuration.replicas.replica_name == "calltide-7b9-x"


def test_an_address_of_the_other_family_stands_in_brackets(tmp_path, monkeypatch):
    monkeypatch.setenv("POD_IP", "fd00::7")
    monkeypatch.setenv("POD_NAME", "x")
    configuration = load_configuration(write(tmp_path, REPLICAS.replace("${POD_IP}", "[${POD_IP}]")))
    assert configuration.replicas.address == "http://[fd00::7]:8081"


def test_a_variable_that_is_not_set_is_named_with_its_field(tmp_path, monkeypatch):
    monkeypatch.delenv("POD_IP", raising=False)
    monkeypatch.setenv("POD_NAME", "x")
    with pytest.raises(ConfigurationError) as told:
        load_configuration(write(tmp_path, REPLICAS))
    assert "keda.listen: " in str(told.value)
    assert "POD_IP is not set" in str(told.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("${POD_IP}:9090", "$POD_IP:9090"), "braces"),
        (("${POD_IP}:9090", "${POD_IP:-x}:9090"), "braces"),
        (("adapter: kubernetes", "adapter: simulated"), "set fleets.adapter to kubernetes"),
        (("${POD_IP}:8081", "0.0.0.0:8081"), "give replicas.advertise"),
        (("${POD_IP}:8081", "fd00::7:8081"), "like http://HOST:PORT"),
        (('name: "${POD_NAME}"', "advertise: http://calltide-0:8081/"), "like http://HOST:PORT"),
        (('name: "${POD_NAME}"', "advertise: https://calltide-0:8081"), "like http://HOST:PORT"),
        (('name: "${POD_NAME}"', 'leaseDuration: "10s"'), "at most 80%"),
        (('name: "${POD_NAME}"', 'retryPeriod: "5s"'), "a third"),
        (('name: "${POD_NAME}"', "tls: {certificateFile: a, keyFile: b, caFile: c}"), "serverName"),
    ],
)
def test_replicas_that_cannot_work_are_refused_in_words(tmp_path, monkeypatch, change, said):
    monkeypatch.setenv("POD_IP", "10.1.2.3")
    monkeypatch.setenv("POD_NAME", "x")
    with pytest.raises(ConfigurationError, match=said):
        load_configuration(write(tmp_path, REPLICAS.replace(*change)))


def test_nothing_but_what_differs_between_replicas_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME_OF_STATE", "/elsewhere")
    text = GOOD.replace("var/state", "${HOME_OF_STATE}")
    assert load_configuration(write(tmp_path, text)).state == tmp_path / "${HOME_OF_STATE}"
