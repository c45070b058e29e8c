"""What a shape says of BERT, which the tests of most kernels have."""

__all__ = ["PLAIN"]

PLAIN = {
    "reaches": ((0, False),),
    "positions": True,
    "token_types": True,
    "rotary": False,
    "head_norms": False,
    "gated": False,
    "pre_norm": False,
}
"""`Shape`'s names -> values: learned positions and token types, nothing turned, gated or normalised before."""
