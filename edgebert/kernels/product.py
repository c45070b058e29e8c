"""Products of heads: a few rows of uint8 by panels of int8, into int32."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.scratch import PANELS
from edgebert.kernels.simd.tile import PANEL_BYTES, dot_tile

tile = dot_tile()


@kernel
def product(rows, steps, a, a_row, b, b_panel, panels, out, out_row):
    """Multiply a few rows of uint8 by a matrix of `panels` * 16 columns, `steps` * 4 deep, into int32."""
    panel = np.int64(0)
    while panel < panels:
        count = min(panels - panel, PANELS)
        weight = b + panel * b_panel
        tile(rows, count, steps, a, a_row, 4, weight, b_panel, PANEL_BYTES, out + panel * PANEL_BYTES, out_row)
        panel += count
