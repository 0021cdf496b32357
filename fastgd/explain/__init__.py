"""What a network does and why, as numbers: gradients taken apart, landscapes, curvature, diagnoses.

Nothing here draws: `fastgd.plot` shows these numbers, and ``fastgd show`` prints and draws them.
Costs and gradients come from the backends; what they do not return (every layer's z, a and delta)
comes from the reference they are tested against.
"""

from __future__ import annotations
