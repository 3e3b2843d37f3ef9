"""How many processor cores there are to compute with; nothing about what is computed."""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CONTAINER = Path("/sys/fs/cgroup/cpu.max")


def physical_cores() -> int:
    """Return how many physical cores this process may use, within its container's share.

    Two threads on one core share its arithmetic units, and gain nothing in matrix products.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    try:
        cores = {
            (_TOPOLOGY / f"cpu{number}/topology/thread_siblings_list").read_text()
            for number in allowed
        }
    except OSError:  # hidden from this process: count each as a core
        cores = {str(number) for number in allowed}
    return max(1, min(len(cores), _container_share(len(allowed))))


def _container_share(allowed: int) -> int:
    """Return the processors that a container's quota comes to, ``allowed`` without one."""
    try:
        quota, period = _CONTAINER.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else round(int(quota) / int(period))
