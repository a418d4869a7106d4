"""Write readings.csv, a stand-in for what an instrument saves of a chip, and a net of 95-16-6 with arrays for it.

readings.csv: 450 word lines of 48 bit lines, each cell read twice, in microsiemens with decimal commas; some cells are
dead and read OL. net.npz: weights and biases of a network of 95 inputs, 16 hidden units and 6 outputs, trained
elsewhere; first.csv and second.csv: what was measured of an array for each of its layers, with labels of lines and
units; worn.csv: another array for the first, with 17 lines of 96 cells, of which three lines have dead cells.
"""

import itertools

import numpy as np

rng = np.random.default_rng(0)
values = rng.choice([-1.0, 1.0], (450, 48)) * rng.lognormal(3.0, 0.7, (450, 48))
dead = rng.random(values.shape) < 0.02
lines = ["word;bit;G (\u00b5S);read"]
for read in (1, 2):
    noisy = values + rng.normal(0.0, 0.4, values.shape)
    for (word, bit), value in np.ndenumerate(noisy):
        text = "OL" if dead[word, bit] else f"{value:.3f}".replace(".", ",")
        lines.append(f"{word};{bit};{text};{read}")
with open("readings.csv", "w", encoding="utf-8-sig", newline="\r\n") as file:
    file.write("\n".join(lines) + "\n")

sizes = (95, 16, 6)
net = {}
for n, (inputs, units) in enumerate(itertools.pairwise(sizes), start=1):
    net |= {f"fc{n}.weight": rng.normal(size=(units, inputs)) / np.sqrt(inputs), f"fc{n}.bias": rng.normal(size=units)}
np.savez("net.npz", **net)
for name, (rows, columns) in (("first", (20, 120)), ("second", (8, 24))):
    array = rng.choice([-1.0, 1.0], (rows, columns)) * rng.lognormal(0.0, 0.7, (rows, columns))
    with open(f"{name}.csv", "w") as file:
        file.write("line," + ",".join(f"C{k}" for k in range(columns)) + "\n" + ",uS" * columns + "\n")
        for row, cells in enumerate(array):
            file.write(f"R{row}," + ",".join(f"{cell:.4f}" for cell in cells) + "\n")
worn = rng.normal(size=(17, 96)).round(4).astype(str)
worn[[2, 5, 11], :2] = ""
np.savetxt("worn.csv", worn, fmt="%s", delimiter=";")
