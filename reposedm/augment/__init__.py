"""From a folder of identities to more pictures of each: the engine behind tab and command line.

``naming`` understands file names, ``pictures`` reads a set, ``poses`` finds the people, ``plan``
decides everything at once, ``run`` makes the pictures, ``filter`` judges and ``report`` shows them.
"""
