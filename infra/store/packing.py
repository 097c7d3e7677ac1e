"""Numbers and JSON as bytes: little-endian int32 and float32 for tokens and log-probabilities, NumPy's own compressed
format for arrays of several dimensions, deflate (RFC 1950) for JSON.
"""

import io
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_I32 = np.dtype("<i4")
_F32 = np.dtype("<f4")


def pack_i32(values: Iterable[int]) -> bytes:
    """Pack integers, 4 bytes each; raises ValueError when one does not fit into 32 bits."""
    wide = np.asarray(list(values), dtype=np.int64)
    narrow = wide.astype(_I32)
    if not np.array_equal(wide, narrow):
        raise ValueError(f"{int(wide[wide != narrow][0])} does not fit into a signed 32-bit integer")
    return narrow.tobytes()


def unpack_i32(data: bytes | None) -> list[int]:
    """The integers of `pack_i32`; None and b"" give []."""
    return [int(value) for value in np.frombuffer(data or b"", dtype=_I32)]


def pack_f32(values: Iterable[float]) -> bytes:
    """Pack floats, 4 bytes each, rounded to float32; NaN and the infinities survive."""
    with np.errstate(over="ignore"):
        return np.asarray(list(values), dtype=np.float64).astype(_F32).tobytes()


def unpack_f32(data: bytes | None) -> list[float]:
    """The floats of `pack_f32`; None and b"" give []."""
    return [float(value) for value in np.frombuffer(data or b"", dtype=_F32)]


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes | None:
    """Arrays by name, compressed, each with its shape and type; None where there are none."""
    if not arrays:
        return None
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    return packed.getvalue()


def pack_json(value: object) -> bytes:
    """JSON, compressed, exactly as it is: NUL and lone surrogates survive. TypeError or ValueError for what is none."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"))


def unpack_json(data: bytes) -> Any:
    """The value of `pack_json`; raises ValueError where the bytes are not what it wrote."""
    try:
        return json.loads(zlib.decompress(data))
    except (zlib.error, RecursionError) as error:
        raise ValueError(f"the packed JSON is damaged: {error}") from error


def unpack_arrays(data: bytes | None) -> dict[str, npt.NDArray[Any]]:
    """The arrays of `pack_arrays`; None gives {}."""
    if data is None:
        return {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
