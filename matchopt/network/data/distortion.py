"""The hot loops of augmentation: images in rows, sampled at other places.

All take images of shape (channels, height, width), flattened in that order, one per row, and fill `out`.
"""

import numpy as np

from matchopt.kernels.compiling import reordered


@reordered
def warp(images, channels, height, width, matrix, shift, grid, out):
    """Sample image i at matrix[i] (p - c) + c + shift[i] + e(p), bilinearly, pixels outside being 0.

    p = (y, x) runs over the pixels, c is the centre, and e interpolates the displacements `grid[i]` (2, g, g), whose
    corners lie on those of the image, bilinearly.
    """
    g = grid.shape[2]
    middle_y, middle_x = np.float32(0.5 * (height - 1)), np.float32(0.5 * (width - 1))
    cell_x, part_x = _cells(width, g)
    cell_y, part_y = _cells(height, g)
    across = np.empty((2, g), np.float32)
    for i in range(images.shape[0]):
        image, result = images[i], out[i]
        a, b, c, d = matrix[i, 0, 0], matrix[i, 0, 1], matrix[i, 1, 0], matrix[i, 1, 1]
        for y in range(height):
            for axis in range(2):
                for k in range(g):
                    low, high = grid[i, axis, cell_y[y], k], grid[i, axis, cell_y[y] + 1, k]
                    across[axis, k] = low + part_y[y] * (high - low)
            off_y = np.float32(y) - middle_y
            start_y = a * off_y + middle_y + shift[i, 0]
            start_x = c * off_y + middle_x + shift[i, 1]
            for x in range(width):
                k, part, off_x = cell_x[x], part_x[x], np.float32(x) - middle_x
                at_y = start_y + b * off_x + across[0, k] + part * (across[0, k + 1] - across[0, k])
                at_x = start_x + d * off_x + across[1, k] + part * (across[1, k + 1] - across[1, k])
                _sample(image, channels, height, width, at_y, at_x, result, y * width + x)


@reordered
def _cells(length, g):
    """For each of `length` pixels, the grid cell it lies in and how far along, 0 .. 1."""
    cell, part = np.empty(length, np.int64), np.empty(length, np.float32)
    for n in range(length):
        place = n * (g - 1) / max(length - 1, 1)
        cell[n] = min(int(place), g - 2)
        part[n] = place - cell[n]
    return cell, part


@reordered
def _sample(image, channels, height, width, at_y, at_x, result, place):
    """Write the bilinear interpolation at (at_y, at_x) of every channel to `place` of that channel."""
    floor_y, floor_x = np.floor(at_y), np.floor(at_x)
    y, x = int(floor_y), int(floor_x)
    if y < -1 or x < -1 or y >= height or x >= width:
        for channel in range(channels):
            result[channel * height * width + place] = 0
        return
    down, right, nothing = at_y - floor_y, at_x - floor_x, np.float32(0)
    above, below, before, behind = y >= 0, y < height - 1, x >= 0, x < width - 1
    for channel in range(channels):
        at = channel * height * width + y * width + x
        first = image[at] if above and before else nothing
        second = image[at + 1] if above and behind else nothing
        third = image[at + width] if below and before else nothing
        fourth = image[at + width + 1] if below and behind else nothing
        upper = first + right * (second - first)  # this form stays between its two ends
        lower = third + right * (fourth - third)
        result[channel * height * width + place] = upper + down * (lower - upper)


@reordered
def crop(images, divisor, shape, corner, mirrored, brightness, contrast, standardise, size, out):
    """Cut a square of `size` pixels with its upper left at corner[i], outside being 0, and change its light.

    Values are pixels over `divisor`, plus brightness[i]; then contrast[i] multiplies each channel's distance from its
    mean; where `standardise`, the crop ends with mean 0 and standard deviation 1 (at least 1 / sqrt(values), so that
    an even image is not divided by zero).
    """
    channels, height, width = shape
    area = size * size
    for i in range(images.shape[0]):
        image, result = images[i], out[i]
        top, left = corner[i]
        for channel in range(channels):
            first = channel * area
            total = np.float32(0)
            for y in range(size):
                row = channel * height * width + (top + y) * width
                inside = 0 <= top + y < height
                for x in range(size):
                    at = left + (size - 1 - x if mirrored[i] else x)
                    value = brightness[i]
                    if inside and 0 <= at < width:
                        value += np.float32(image[row + at]) / divisor
                    result[first + y * size + x] = value
                    total += value
            if contrast[i] != 1:
                mean = total / np.float32(area)
                for n in range(first, first + area):
                    result[n] = (result[n] - mean) * contrast[i] + mean
        if standardise:
            _standardise(result)


@reordered
def _standardise(values):
    total = np.float32(0)
    for n in range(values.size):
        total += values[n]
    mean = total / np.float32(values.size)
    total = np.float32(0)
    for n in range(values.size):
        values[n] -= mean
        total += values[n] * values[n]
    deviation = max(np.sqrt(total / np.float32(values.size)), np.float32(1) / np.sqrt(np.float32(values.size)))
    for n in range(values.size):
        values[n] /= deviation
