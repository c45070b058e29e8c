"""From trained float weights to an .edgebert file."""
