"""The web pages: `create_pages(store)`."""

from .app import create_pages

__all__ = ["create_pages"]
