"""``<linux/poll.h>``: telling a process whether it would have to wait."""

from __future__ import annotations

from typing import Any

from kmock.fs.file import poll_table
from kmock.linux._header import header_getattr

POLLIN = EPOLLIN = 0x0001
POLLPRI = EPOLLPRI = 0x0002
POLLOUT = EPOLLOUT = 0x0004
POLLERR = EPOLLERR = 0x0008
POLLHUP = EPOLLHUP = 0x0010
POLLNVAL = EPOLLNVAL = 0x0020
POLLRDNORM = EPOLLRDNORM = 0x0040
POLLRDBAND = EPOLLRDBAND = 0x0080
POLLWRNORM = EPOLLWRNORM = 0x0100
POLLWRBAND = EPOLLWRBAND = 0x0200


def poll_wait(filp: Any, wait_address: Any, p: poll_table) -> None:
    """Name a wait queue that is woken when the answer may change; it does not wait itself."""
    p.queues.append(wait_address)


__getattr__ = header_getattr(__name__)
__all__ = [
    "EPOLLERR",
    "EPOLLHUP",
    "EPOLLIN",
    "EPOLLNVAL",
    "EPOLLOUT",
    "EPOLLPRI",
    "EPOLLRDBAND",
    "EPOLLRDNORM",
    "EPOLLWRBAND",
    "EPOLLWRNORM",
    "POLLERR",
    "POLLHUP",
    "POLLIN",
    "POLLNVAL",
    "POLLOUT",
    "POLLPRI",
    "POLLRDBAND",
    "POLLRDNORM",
    "POLLWRBAND",
    "POLLWRNORM",
    "poll_table",
    "poll_wait",
]
