"""One update taken apart: why does this weight change by just so much?

By the chain rule the slope of a weight is a product: how the cost changes with the activation,
times how the activation changes with z, times the value that feeds into the weight. First the
smallest network there is: one weight 2, input 3, so it says 6 where it should say 10. Its slope is
2 x (6 - 10) x 3 = -24, and with learning rate 0.01 the new weight is 2 - 0.01 x (-24) = 2.24.
Then the same for one weight among the 2,260 of a network that reads handwritten digits.

    python 02_one_update.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import UpdateDisplay, theme

tiny = fastgd.Network([1, 1], output="identity", loss="sse", init="zeros")
tiny.weights[0][0, 0] = 2.0
told = tiny.explain_update([3.0], [10.0], layer=0, i=0, j=0, learning_rate=0.01)
print(told)
print(f"slope {told.slope:.0f}, new weight {told.new_weight:.2f}\n")

digits = fastgd.data.load("digits")
net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0)
net.fit(digits.X, digits.y, epochs=2, batch_size=10, optimizer=fastgd.SGD(learning_rate=3.0))

with theme("light"):
    display = UpdateDisplay.from_network(  # from pixel 18 to hidden unit 7, for the first image
        net, digits.X[0], digits.y[0], layer=0, i=18, j=7, learning_rate=3.0, image_shape=(8, 8)
    )
    display.save(sys.argv[1] if len(sys.argv) > 1 else "one_update.png")
print(display.told)
