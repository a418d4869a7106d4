"""A program that knows nothing of matchopt: reads an OR-Library assignment, writes the column of every row."""

import sys

instance, solution, skip = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(instance) as file:
    size, *costs = file.read().split()
n = int(size)
pairs = sorted((float(cost), at // n, at % n) for at, cost in enumerate(costs))
column, taken = {}, set()
for _, i, j in pairs[skip:] + pairs[:skip]:
    if i not in column and j not in taken:
        column[i] = j
        taken.add(j)
with open(solution, "w") as file:
    print(*(column[i] for i in range(n)), file=file)
