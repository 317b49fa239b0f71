"""Freed memory is kept for the next pass.

glibc's malloc gives every block of some size back to the system when it is freed, and the system hands out zeroed pages
anew. A network allocates and frees tens of megabytes at each layer, so on a CPU it can spend half its time there.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h
AHEAD = 256 * 2**20  # bytes to ask of the system beyond what is needed


def keep_freed_memory() -> bool:
    """Whether malloc could be told so: by glibc it can, elsewhere nothing changes."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        (mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, -1), mallopt(M_TOP_PAD, AHEAD))
    )
