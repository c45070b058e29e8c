"""Personal data in texts: found by a model, by rules for what has a form, and wherever it stands again; replaced."""

from edgebert.redact.patterns import PATTERN_LABELS
from edgebert.redact.redactor import THRESHOLD, Found, Redactor, Settings, labels_of, redact

__all__ = ["PATTERN_LABELS", "THRESHOLD", "Found", "Redactor", "Settings", "labels_of", "redact"]
