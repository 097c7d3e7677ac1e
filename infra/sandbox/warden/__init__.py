"""Leases by the warden: the mechanism that the `docker` and `bwrap` backends share. See docs/design/sandboxes.md."""
