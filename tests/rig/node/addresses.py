"""Addresses for pods: each pod one of its own, and none twice while it is in use."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from tests.rig.node.environment import PodSpecError


class Addresses:
    """The addresses of one node's pod network."""

    def __init__(self, network: IPv4Network) -> None:
        self._network = network
        self._used: set[IPv4Address] = set()
        self._next = self._around()

    def take(self) -> str:
        """A free address: the one that has been free for longest, since a late packet must not meet the next pod.

        Raises:
            PodSpecError: all are in use.
        """
        for _ in range(self._network.num_addresses):
            address = next(self._next)
            if address not in self._used:
                self._used.add(address)
                return str(address)
        raise PodSpecError(f"all {len(self._used)} addresses of {self._network} are in use")

    def give_back(self, address: str) -> None:
        """Let it be taken again."""
        self._used.discard(IPv4Address(address))

    def _around(self) -> Iterator[IPv4Address]:
        while True:
            yield from self._network.hosts()
