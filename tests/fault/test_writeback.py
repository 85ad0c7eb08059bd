"""What tables have become is written a little at a time, not half a minute's worth at once."""

import ctypes
import os
from pathlib import Path

import pytest

from nostro.embedded import EmbeddedPostgres
from nostro.embedded.writeback import start_writing
from tests.fault.embedded_process import query, until

_CACHESTAT = 451
_library = ctypes.CDLL(None, use_errno=True)


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Cached(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("cached", "dirty", "under_way", "evicted", "recently_evicted")
    )


def pages_to_write(file: Path) -> int:
    """Those of `file` that are on the disk only if the kernel gets to write them. Skips without Linux 6.5."""
    cached = _Cached()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        failed = _library.syscall(
            ctypes.c_long(_CACHESTAT),
            descriptor,
            ctypes.byref(_Range(0, 0)),
            ctypes.byref(cached),
            0,
        )
    finally:
        os.close(descriptor)
    if failed:
        pytest.skip(f"this kernel does not tell: {os.strerror(ctypes.get_errno())}")
    return cached.dirty + cached.under_way


def test_a_table_that_grew_is_written_long_before_the_kernel_would_by_itself(data_dir, tmp_path):
    beside = tmp_path / "beside"
    with EmbeddedPostgres(data_dir) as server:
        query(server, "CREATE DATABASE ledger")
        beside.write_bytes(bytes(8_000_000))
        query(server, "CREATE TABLE grown AS SELECT repeat('x', 900) FROM generate_series(1, 8000)", "ledger")
        table = server.data_dir / "pg" / query(server, "SELECT pg_relation_filepath('grown')", "ledger")
        assert table.stat().st_size > 7_000_000
        until(lambda: pages_to_write(table) == 0, seconds=15)
        if pages_to_write(beside) == 0:
            pytest.skip("this file system keeps nothing to be written")


def test_a_table_that_goes_meanwhile_keeps_no_other_from_being_written(tmp_path):
    database = tmp_path / "base" / "16384"
    database.mkdir(parents=True)
    tables = [database / str(number) for number in range(0, 20, 2)]
    for table in tables:
        table.write_bytes(bytes(100_000))
        (database / f"{table.name}1").symlink_to("gone")
    start_writing(tmp_path)
    until(lambda: not any(map(pages_to_write, tables)), seconds=10)
