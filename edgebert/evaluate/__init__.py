"""How far an int8 model is from the trained one: the fp32 path, the comparison, and the receipt."""

from edgebert.evaluate.compare import Comparison, compare, evaluate

__all__ = ["Comparison", "compare", "evaluate"]
