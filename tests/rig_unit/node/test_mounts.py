"""A container's paths stay inside its root."""

from __future__ import annotations

import pytest

from tests.rig.node.mounts import inside


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
