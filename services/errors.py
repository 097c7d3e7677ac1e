"""Errors of the services: one tree, each with one clear line that names the value and the remedy.

ServiceError (base)
    BadRequest      what was asked for cannot be done as it was written
    JobCancelled    `palestra job cancel` stopped the job; what was finished is stored
"""

from __future__ import annotations


class ServiceError(Exception):
    """Base of this folder's errors."""


class BadRequest(ServiceError, ValueError):
    """What was asked for cannot be done as it was written; the message says what to write instead."""


class JobCancelled(ServiceError):
    """A job was cancelled while it ran; what was finished is stored."""
