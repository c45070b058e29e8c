"""Throw damaged files and wrong arguments at edgebert: ``python -m tools.fuzz artifacts --count 2000``."""
