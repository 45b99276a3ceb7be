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
