"""From trained float weights to an .edgebert file."""

from edgebert.quantize.convert import convert

__all__ = ["convert"]
