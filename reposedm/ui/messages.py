"""What goes wrong, said in the app: known errors as they are, bugs with an id for the log."""

from __future__ import annotations

import functools
import html
import inspect
import logging
import secrets
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import gradio as gr

from reposedm.errors import RePoseError

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def as_gradio_error(error: Exception) -> gr.Error:
    """What a visitor sees of ``error``: never markup of theirs (C-87), never a trace (C-88)."""
    if isinstance(error, RePoseError):
        return gr.Error(html.escape(str(error)), print_exception=False)
    ticket = secrets.token_hex(4)
    logger.exception("unexpected error %s", ticket)
    return gr.Error(
        f"Something went wrong on our side. Your work is kept; please try again. (log id {ticket})",
        print_exception=False,
    )


def friendly(function: F) -> F:
    """Let a callback (function or generator) fail only with messages for people."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def stream(*args: Any, **kwargs: Any) -> Generator[Any, None, Any]:
            try:
                return (yield from function(*args, **kwargs))
            except gr.Error:
                raise
            except Exception as error:
                raise as_gradio_error(error) from error

        return stream  # type: ignore[return-value]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise as_gradio_error(error) from error

    return call  # type: ignore[return-value]
