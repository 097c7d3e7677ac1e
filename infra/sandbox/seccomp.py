"""The system call filter of every command: what Docker's default profile denies and an agent's program never needs.

A classic BPF program (seccomp(2), Documentation/userspace-api/seccomp_filter.rst): calls of another architecture
kill the process; namespaces, mounts, tracing, keys, kernel modules, BPF, clocks and the like fail with EPERM,
extended attributes cannot be set (EOPNOTSUPP);
`clone3` fails with ENOSYS, because its flags lie in memory that a filter cannot read, so that libc falls back to
`clone`. Numbers are from the kernel's `unistd` tables.
"""

from __future__ import annotations

import errno
import json
import struct
from dataclasses import dataclass

_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_X32_BIT = 0x40000000
# name, number on x86_64, number on aarch64
_DENIED = """
unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, ptrace 101 117,
process_vm_readv 310 270, process_vm_writev 311 271, add_key 248 217, request_key 249 218, keyctl 250 219,
bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, init_module 175 105, finit_module 313 273,
delete_module 176 106, kexec_load 246 104, kexec_file_load 320 294, reboot 169 142, swapon 167 224,
swapoff 168 225, settimeofday 164 170, clock_settime 227 112, clock_adjtime 305 266, adjtimex 159 171,
acct 163 89, quotactl 179 60, open_by_handle_at 304 265, name_to_handle_at 303 264, syslog 103 116,
sethostname 170 161, setdomainname 171 162, move_mount 429 429, open_tree 428 428, fsopen 430 430,
fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442, io_uring_setup 425 425,
io_uring_enter 426 426, io_uring_register 427 427, vhangup 153 58, nfsservctl 180 42, lookup_dcookie 212 18,
mbind 237 235, migrate_pages 256 238, move_pages 279 239, set_mempolicy 238 237, kcmp 312 272,
fanotify_init 300 262, io_setup 206 0, listmount 458 458, statmount 457 457, get_mempolicy 239 236,
set_mempolicy_home_node 450 450, pidfd_getfd 438 438
"""
# Marks of files, by which an overlay tells what a fork shows.
_UNSUPPORTED = "setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463"
_WARDEN_CALLS = frozenset({"unshare", "setns", "mount", "umount2", "sethostname"})


@dataclass(frozen=True)
class _Machine:
    column: int
    audit: int
    clone: int
    clone3: int
    socket: int
    prlimit: int


_MACHINES = {
    "x86_64": _Machine(1, 0xC000003E, 56, 435, 41, 302),
    "aarch64": _Machine(2, 0xC00000B7, 220, 435, 198, 261),
}
# AF_UNIX, AF_INET, AF_INET6 (the network namespace is empty); not packet, netlink, vsock, alg and the rest.
_SOCKET_FAMILIES = (1, 2, 10)


def program(machine: str) -> bytes:
    """The filter for `x86_64` or `aarch64`, as an array of `struct sock_filter`. Raises ValueError for others."""
    if machine not in _MACHINES:
        raise ValueError(f"no system call filter for {machine!r}: x86_64 and aarch64 are known")
    about = _MACHINES[machine]
    numbers = _numbers(_DENIED, about)
    deny, missing = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    code = [_op(_LOAD, _ARCH), _op(_JUMP_EQ, about.audit, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NR)]
    code += [_op(_JUMP_GE, _X32_BIT, 0, 1), _op(_RETURN, missing)]
    for number in numbers:
        code += [_op(_JUMP_EQ, number, 0, 1), _op(_RETURN, deny)]
    for number in _numbers(_UNSUPPORTED, about):
        code += [_op(_JUMP_EQ, number, 0, 1), _op(_RETURN, _ERRNO | errno.EOPNOTSUPP)]
    code += [_op(_JUMP_EQ, about.clone3, 0, 1), _op(_RETURN, missing)]
    # One's own limits only: without root, the keeper has the same user id.
    code += [_op(_JUMP_EQ, about.prlimit, 0, 4), _op(_LOAD, _ARG0), _op(_JUMP_EQ, 0, 1, 0)]
    code += [_op(_RETURN, deny), _op(_RETURN, _ALLOW)]
    code += [_op(_JUMP_EQ, about.clone, 0, 4), _op(_LOAD, _ARG0), _op(_JUMP_SET, _NEW_NAMESPACES, 0, 1)]
    code += [_op(_RETURN, deny), _op(_RETURN, _ALLOW)]
    code += [_op(_JUMP_EQ, about.socket, 0, len(_SOCKET_FAMILIES) + 2), _op(_LOAD, _ARG0)]
    for index, family in enumerate(_SOCKET_FAMILIES):
        code.append(_op(_JUMP_EQ, family, len(_SOCKET_FAMILIES) - index, 0))
    code += [_op(_RETURN, deny), _op(_RETURN, _ALLOW)]
    return b"".join(code)


def _numbers(table: str, machine: _Machine) -> list[int]:
    return [int(row.split()[machine.column]) for row in table.split(",")]


def container_profile() -> str:
    """The engine's profile (JSON) for an outer wall: the same calls are denied, but for those by which a warden makes
    namespaces and mounts. Commands inside have `program` on top."""
    denied = sorted({row.split()[0] for row in _DENIED.split(",")} - _WARDEN_CALLS)
    rule = {"names": denied, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM}
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
