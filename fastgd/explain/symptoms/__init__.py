"""What can be wrong with a network, its data or its training: one function for each symptom.

Each takes a `Case` and yields `Finding`s; `fastgd.explain.diagnose` asks them all. To add one,
write the function and list it there.
"""

from __future__ import annotations
