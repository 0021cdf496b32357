"""Why weights start at random: zero, one value for all, and random.

If all hidden units begin with the same weights, they compute the same thing, get the same gradient
and take the same step: they stay copies of each other for ever, and thirty units are worth one.
Random weights make each unit different from the first, so that each can learn something of its own.

    python 07_starts.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import StartsDisplay, theme

digits = fastgd.data.load("digits")
network = {"sizes": [64, 30, 10], "input_scale": digits.input_scale}

with theme("light"):
    display = StartsDisplay.from_network(
        network, digits.X, digits.y, epochs=30, batch_size=10,
        optimizer=fastgd.SGD(learning_rate=3.0), constant=0.1, seed=0,
    )  # fmt: skip
    display.save(sys.argv[1] if len(sys.argv) > 1 else "starts.png")
print(display.starts)

for start in display.starts.starts:
    first, second = start.network.weights[0][20, :2]  # from pixel 20 to the first two units
    print(f"{start.name:<9} two units' weights for one pixel: {first:8.4f} {second:8.4f}")
