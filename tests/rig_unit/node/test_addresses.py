"""Pods get addresses of their own."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.rig.node.addresses import Addresses
from tests.rig.node.environment import PodSpecError

NETWORK = IPv4Network("127.16.16.0/29")
USABLE = 6


def test_no_address_is_given_twice_while_it_is_in_use():
    addresses = Addresses(NETWORK)
    taken = [addresses.take() for _ in range(USABLE)]
    assert len(set(taken)) == USABLE
    with pytest.raises(PodSpecError, match=r"all 6 addresses of 127\.16\.16\.0/29 are in use"):
        addresses.take()


def test_an_address_that_came_back_is_given_after_all_others():
    addresses = Addresses(NETWORK)
    first = addresses.take()
    addresses.give_back(first)
    following = [addresses.take() for _ in range(USABLE)]
    assert following[-1] == first
