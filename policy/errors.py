"""Errors of the policy floor.

PolicyError
├── ConfigError      a model configuration that cannot be right
└── CheckpointError  a checkpoint that cannot be read or does not fit its configuration

Both leaves are ``ValueError``s too: the user's input is at fault, and the message is one line naming value and remedy.
"""


class PolicyError(Exception):
    """Base of everything the policy floor raises for its users."""


class ConfigError(PolicyError, ValueError):
    """A configuration value is missing, of the wrong kind, or contradicts another."""


class CheckpointError(PolicyError, ValueError):
    """A checkpoint is missing, damaged, non-finite, or of another shape than its configuration says."""
