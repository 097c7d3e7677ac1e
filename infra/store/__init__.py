"""The store: tables, number packing, and `Store` to read and write them."""

from .errors import StoreConflict, StoreError, StoreFull, StoreUnavailable, StoreVersion
from .models import (
    Certificate,
    Evidence,
    Job,
    Metric,
    Policy,
    Rollout,
    Run,
    Task,
    Turn,
    Verdict,
    new_id,
)
from .packing import (
    pack_arrays,
    pack_f32,
    pack_i32,
    pack_json,
    unpack_arrays,
    unpack_f32,
    unpack_i32,
    unpack_json,
)
from .store import Store

__all__ = [
    "Certificate",
    "Evidence",
    "Job",
    "Metric",
    "Policy",
    "Rollout",
    "Run",
    "Store",
    "StoreConflict",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "StoreVersion",
    "Task",
    "Turn",
    "Verdict",
    "new_id",
    "pack_arrays",
    "pack_f32",
    "pack_i32",
    "pack_json",
    "unpack_arrays",
    "unpack_f32",
    "unpack_i32",
    "unpack_json",
]
