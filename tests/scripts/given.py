"""What the scripts of this folder start from, drawn by NumPy: the same whatever library runs them."""

import numpy as np


def same_start(model, seed=0):
    """Weights of a model: matrices and kernels uniform by their fan-in, biases small; others stay as built."""
    rng = np.random.default_rng(seed)
    for name, p in model.named_parameters():
        array = p.detach().numpy()  # the memory itself
        if array.ndim > 1:
            array[...] = rng.uniform(-1, 1, array.shape) / np.sqrt(array[0].size)
        elif "bias" in name:
            array[...] = rng.uniform(-0.1, 0.1, array.shape)
    return model


def drawn_digits(count, seed=0, size=8):
    """Pictures (count, 1, size, size) in [0, 1] of four shapes, moved about and noisy, and which shape each is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = rng.uniform(0, 0.2, (count, 1, size, size))
    for image, label in zip(images[:, 0], labels):
        i, j = rng.integers(1, size - 4, 2)
        box = image[i : i + 4, j : j + 4]
        if label == 0:  # nought
            box[[0, -1], :] = 1.0
            box[:, [0, -1]] = 1.0
        elif label == 1:  # one
            box[:, 2] = 1.0
        elif label == 2:  # a rising stroke
            box[range(4), range(3, -1, -1)] = 1.0
        else:  # a cross
            box[1, :] = 1.0
            box[:, 1] = 1.0
    return images, labels


NAMES = [
    "emma",
    "olivia",
    "ava",
    "isabella",
    "sophia",
    "mia",
    "charlotte",
    "amelia",
    "evelyn",
    "abigail",
    "harper",
    "emily",
    "ella",
    "avery",
    "mila",
    "aria",
]
TEXT = "the wheel turns and the road is long and the wind is cold and the night turns into day again "
