"""Look inside: what one handwritten digit does in a trained network.

The videos ask whether the hidden units find edges and loops. Here one can look. The picture follows
one image through the layers: the pixels, how strongly each hidden unit answers, which output wins.
(`fastgd show weights` draws what each hidden unit looks for. It is seldom an edge or a loop.)

    python 08_look_inside.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import ActivityDisplay, theme

digits = fastgd.data.split(fastgd.data.load("digits"), seed=0)
net = fastgd.Network([64, 16, 16, 10], input_scale=digits.input_scale, seed=0)
net.fit(digits.X, digits.y, epochs=30, batch_size=10, optimizer=fastgd.SGD(learning_rate=3.0))
print(f"{net.score(digits.X_test, digits.y_test):.1%} of unseen digits right")

image, true = digits.X_test[7], int(digits.y_test[7])
with theme("light"):
    display = ActivityDisplay.from_network(net, image, truth=true)
    display.save(sys.argv[1] if len(sys.argv) > 1 else "look_inside.png")

print(f"the image is a {true}, the network says {display.winner}; its outputs:")
for digit, output in enumerate(display.outputs):
    print(f"{digit}  {output:6.3f}  {'#' * round(40 * float(output))}")
