"""The end of a ``with`` block closes it: for whatever holds descriptors or memory of the kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

Itself = TypeVar("Itself", bound="Closing")


class Closing(ABC):
    """A context manager that enters as itself and leaves by ``close``."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds; may be called again."""

    def __enter__(self: Itself) -> Itself:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
