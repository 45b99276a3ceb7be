"""A policy directory is a folder or a mounted ConfigMap; what cannot be read is a problem with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scaler.policy.compiling import compile_reading
from scaler.policy.directory import MAXIMUM_BYTES, read_directory
from tests.scaler.policy.writing import policy, write


def mount(directory: Path, generation: str, files: dict[str, str]) -> None:
    """What the kubelet does: a new hidden folder, then the link swapped in one step, then visible links."""
    write(directory / f"..{generation}", files)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(f"..{generation}")
    fresh.replace(directory / "..data")
    for name in files:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")


def test_yaml_and_yml_are_read_and_nothing_else(tmp_path: Path):
    write(
        tmp_path,
        {
            "b.yml": policy("b"),
            "a.yaml": policy("a"),
            ".a.yaml.swp": "x",
            ".hidden.yaml": "x",
            "README.md": "x",
            "c.yaml~": "x",
        },
    )
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "sub.yaml" / "d.yaml").write_text("x")
    assert [Path(text.file).name for text in read_directory(tmp_path).texts] == ["a.yaml", "b.yml"]


def test_a_configmap_is_read_through_its_links_and_once(tmp_path: Path):
    mount(tmp_path, "one", {"a.yaml": policy("a")})
    first = read_directory(tmp_path)
    assert compile_reading(first).names == ("a",)
    mount(tmp_path, "two", {"a.yaml": policy("a2")})
    second = read_directory(tmp_path)
    assert compile_reading(second).names == ("a2",)
    assert first.fingerprint != second.fingerprint


def test_a_swap_during_the_reading_never_mixes_two_generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mount(tmp_path, "one", {"a.yaml": policy("a1"), "b.yaml": policy("b1")})
    generations = iter(range(2, 100))
    swaps_left = [3]
    open_file = Path.open

    def swapping_open(path: Path, *arguments: str, **options: object):
        stream = open_file(path, *arguments, **options)
        if path == tmp_path / "a.yaml" and swaps_left[0]:
            swaps_left[0] -= 1
            number = next(generations)
            mount(tmp_path, f"g{number}", {"a.yaml": policy(f"a{number}"), "b.yaml": policy(f"b{number}")})
        return stream

    monkeypatch.setattr(Path, "open", swapping_open)
    assert compile_reading(read_directory(tmp_path)).names == ("a4", "b4")


def test_a_directory_that_never_stands_still_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, {"a.yaml": policy("a")})
    targets = iter(range(100))
    monkeypatch.setattr("scaler.policy.directory._swap_target", lambda _: Path(str(next(targets))))
    assert "changes while it is read" in str(read_directory(tmp_path).problems[0])


def test_a_missing_and_an_empty_directory_say_what_to_do(tmp_path: Path):
    (missing,) = read_directory(tmp_path / "no").problems
    (empty,) = read_directory(tmp_path).problems
    assert str(missing) == (
        f"{tmp_path}/no: It cannot be read (No such file or directory). "
        "Create it with at least one policy, or name another directory."
    )
    assert str(empty) == f"{tmp_path}: There is no *.yaml or *.yml file here. Put at least one policy into it."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"# " + b"x" * MAXIMUM_BYTES, "a.yaml:1: The file is larger than 1 MiB. Split it into several."),
        (b"a: 1\nb: \xff\n", "a.yaml:2: This is not UTF-8. Save the file in UTF-8."),
        ("a: 1\n".encode("utf-16"), "a.yaml:1: This is not UTF-8. Save the file in UTF-8."),
        (b"a: 1\nb: \x00\n", "a.yaml:2: There is a control character (U+0000), which YAML does not allow. Remove it."),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, expected: str):
    (tmp_path / "a.yaml").write_bytes(content)
    (problem,) = read_directory(tmp_path).problems
    assert str(problem) == f"{tmp_path}/{expected}"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(policy("a").encode("utf-8-sig"))
    assert compile_reading(read_directory(tmp_path)).names == ("a",)


def test_pipes_and_dangling_links_are_told_and_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    assert [problem.file for problem in read_directory(tmp_path).problems] == [
        f"{tmp_path}/gone.yaml",
        f"{tmp_path}/pipe.yaml",
    ]


def test_a_file_name_with_a_line_break_stays_on_one_line(tmp_path: Path):
    (tmp_path / "a\nb.yaml").write_text("x: [")
    with pytest.raises(Exception, match=r"a.*b\.yaml") as error:
        compile_reading(read_directory(tmp_path))
    assert "\n" not in str(error.value)


def test_files_of_comments_alone_are_no_policies(tmp_path: Path):
    write(tmp_path, {"a.yaml": "# later\n"})
    with pytest.raises(Exception, match="No file holds a document"):
        compile_reading(read_directory(tmp_path))
