"""Errors of the environments.

EnvError (base)
    PluginError       an installed environment cannot be used; names it and what to fix
    ProposeFailed     `propose` found no task for this seed; the synthesiser counts it and goes on
    ToolError         a tool refuses its input; the agent sees the message as the tool's result
"""

from __future__ import annotations


class EnvError(Exception):
    """Base of this folder's errors."""


class PluginError(EnvError):
    """An installed environment cannot be used; the message names it and the remedy."""


class ProposeFailed(EnvError):
    """`propose` found no sound task for this seed and level."""


class ToolError(EnvError):
    """A tool refuses what it was given; the agent sees the message as the tool's result."""
