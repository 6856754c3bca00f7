"""Paging as the management API does it by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_PER_PAGE = 100


class Pagination(msgspec.Struct, frozen=True):
    """total_pages is 0 when nothing was found."""

    page: int
    per_page: int
    total: int
    total_pages: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of items and where it is."""

    items: list[T]
    pagination: Pagination


def clamp(page: int, per_page: int) -> tuple[int, int]:
    """Page and size within their bounds: 1 and up, 1 to 100."""
    return max(1, page), max(1, min(per_page, MAX_PER_PAGE))


def paginate(items: Sequence[T], page: int, per_page: int) -> Page[T]:
    """The asked page of everything that was found."""
    page, per_page = clamp(page, per_page)
    start = (page - 1) * per_page
    return page_of(list(items[start : start + per_page]), page, per_page, len(items))


def page_of(items: list[T], page: int, per_page: int, total: int) -> Page[T]:
    """A page whose items were already cut, of `total`."""
    return Page(items, Pagination(page, per_page, total, -(-total // per_page)))
