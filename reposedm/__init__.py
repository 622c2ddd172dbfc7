"""RePoseDM: repose the person in a photograph.

Importing this package (or any module of it) loads no model, opens no file and needs no network;
heavy libraries are imported when they are first used.
"""

__version__ = "0.1.0"
