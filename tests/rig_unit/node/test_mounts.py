"""A container's paths stay inside its root."""

from __future__ import annotations

import pytest

from tests.rig.node.mounts import Bind, Root, inside


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    (root / "lib").symlink_to("usr/lib")
    return root


def test_an_absolute_link_means_a_place_inside_the_root(root):
    assert inside(root, "/var/run/secrets/x") == root / "run" / "secrets" / "x"


def test_a_relative_link_is_followed_from_where_it_lies(root):
    assert inside(root, "/lib/modules") == root / "usr" / "lib" / "modules"


def test_nothing_leads_out_of_the_root(root):
    (root / "up").symlink_to("../../..")
    assert inside(root, "/up/../etc/hosts") == root / "etc" / "hosts"


def test_links_that_go_round_are_an_error(root):
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="the links go round"):
        inside(root, "/a")


def test_a_volume_inside_another_is_mounted_after_it_and_has_its_place_there(tmp_path):
    root = Root(tmp_path / "container", tmp_path / "tree")
    root.make()
    (tmp_path / "outer").mkdir()
    (tmp_path / "inner").mkdir()
    text = root.table(
        (Bind(tmp_path / "inner", "/srv/outer/inner", read_only=True), Bind(tmp_path / "outer", "/srv/outer"))
    )
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows[-2:]] == [str(tmp_path / "outer"), str(tmp_path / "inner")]
    assert [row[3] for row in rows[-2:]] == ["bind", "bind,ro"]
    assert (tmp_path / "outer" / "inner").is_dir()


def test_a_path_with_a_space_is_one_field_of_the_table(tmp_path):
    root = Root(tmp_path / "container", tmp_path / "tree")
    root.make()
    (tmp_path / "a b").mkdir()
    last = root.table((Bind(tmp_path / "a b", "/a b"),)).splitlines()[-1]
    assert len(last.split(" ")) == 6
