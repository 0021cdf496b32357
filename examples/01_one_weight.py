"""One weight, four learning rates.

Think of a network with a single weight w and the cost C(w) = (w - 3)^2, a bowl whose lowest point
is w = 3. Gradient descent looks at the slope where it stands and steps the other way:

    w  <-  w - learning rate x slope

That is all. How it ends depends on the learning rate: a small one creeps, a good one arrives, a
large one jumps over the minimum to and fro, one that is too large climbs out of the bowl.

    python 01_one_weight.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import DescentDisplay, theme


def cost(w):
    return (w - 3) ** 2


print("learning rate 0.1, twelve steps:")
print(fastgd.descend(cost, start=0, learning_rate=0.1, steps=12))

descents = [fastgd.descend(cost, 0, rate, steps=20) for rate in (0.01, 0.1, 0.9, 1.1)]
print("\nafter 20 steps:")
for descent in descents:
    print(f"rate {descent.learning_rate:<5} w = {descent.path[-1]:8.3f}  {descent.verdict}")

with theme("light"):
    display = DescentDisplay(descents=descents, title="C(w) = (w - 3)², from w = 0").plot()
    display.save(sys.argv[1] if len(sys.argv) > 1 else "one_weight.png")
