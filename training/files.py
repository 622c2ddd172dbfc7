"""Files that are whole or not there at all: ``reposedm.files``."""

from reposedm.files import write_atomically

__all__ = ["write_atomically"]
