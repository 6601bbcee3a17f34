"""Train a network on MNIST, 70,000 handwritten digits of 28x28 pixels.

--data is either an .npz file with the arrays x_train, y_train, x_test and y_test, or a folder with the four IDX files
in which MNIST is distributed (train-images-idx3-ubyte and so on), compressed by gzip or not. At the end there are two
pictures in --out: the course of the training, and some predictions. The last line printed is the accuracy on the test
digits.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from common import evaluate, fail, make_folder, options, save_pictures, train

import tinygrad_jac as torch
from tinygrad_jac import nn, optim
from tinygrad_jac.utils.data import DataLoader, TensorDataset

PARTS = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MOST = 1_000_000  # more digits than this are a damaged header, not data


class DataError(Exception):
    """What is wrong with the data, in one sentence."""


def load_mnist(path: Path) -> dict[str, np.ndarray]:
    """The four arrays of `PARTS`, checked.

    Raises
    ------
    DataError
        Something is missing, damaged, or not MNIST.
    """
    if path.is_dir():
        arrays = {part: read_idx(find_idx(path, name)) for part, name in zip(PARTS, IDX_FILES)}
    elif path.exists():
        arrays = read_npz(path)
    else:
        raise DataError(f"{path} does not exist")
    for part, array in arrays.items():
        shape = "(n, 28, 28)" if part[0] == "x" else "(n,)"
        if array.ndim != (3 if part[0] == "x" else 1) or array.shape[1:] not in ((28, 28), ()) or not len(array):
            raise DataError(f"{part} of {path} should have the shape {shape} with n > 0, it has {array.shape}")
        if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > (255 if part[0] == "x" else 9):
            what = "pixels from 0 to 255" if part[0] == "x" else "labels from 0 to 9"
            raise DataError(
                f"{part} of {path} should hold {what}, it holds {array.dtype} from {array.min()} to {array.max()}"
            )
    for images, labels in (PARTS[:2], PARTS[2:]):
        if len(arrays[images]) != len(arrays[labels]):
            raise DataError(f"{path} has {len(arrays[images])} {images} but {len(arrays[labels])} {labels}")
    return arrays


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; nothing in it is executed."""
    try:
        with open(path, "rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds one array, it should be an .npz file with {', '.join(PARTS)}")
            missing = [part for part in PARTS if part not in file]
            if missing:
                raise DataError(f"{path} has no {', '.join(missing)}: it holds {', '.join(file.files) or 'nothing'}")
            return {part: file[part] for part in PARTS}
    except DataError:
        raise
    except Exception as error:  # NumPy and zipfile raise almost anything when bytes are wrong
        raise DataError(
            f"{path} cannot be read as an .npz file, it is damaged or no such file: {error!r:.200}"
        ) from error


def find_idx(folder: Path, name: str) -> Path:
    """An IDX file by its name, as some mirrors spell it too (train-images.idx3-ubyte), compressed or not."""
    names = [start + end for start in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        for candidate in names:
            if (place / candidate).is_file():
                return place / candidate
    raise DataError(f"{folder} has neither {name} nor {name}.gz")


def read_idx(path: Path) -> np.ndarray:
    """One array in the IDX format: 0, 0, the type (8: bytes), the number of axes, their sizes, the bytes."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as file:
                magic = file.read(4)
                if magic[:3] != b"\0\0\x08" or magic[3:] not in (b"\x01", b"\x03"):
                    raise DataError(f"{path} is not an IDX file of bytes: it starts with {magic.hex(' ') or 'nothing'}")
                sizes = np.frombuffer(file.read(4 * magic[3]), dtype=">u4").tolist()
                if len(sizes) != magic[3] or sizes[0] > MOST or max(sizes[1:], default=0) > 1000:
                    raise DataError(f"{path} is damaged: its header says that its sizes are {sizes}")
                data = file.read(math.prod(sizes) + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path} cannot be read or is damaged: {error!r:.200}") from error
    if len(data) != math.prod(sizes):
        found = "more" if len(data) > math.prod(sizes) else f"only {len(data)}"
        raise DataError(f"{path} is damaged: its header announces {math.prod(sizes)} bytes, there are {found}")
    return np.frombuffer(data, dtype=np.uint8).reshape(sizes)


def dataset(images: np.ndarray, labels: np.ndarray) -> TensorDataset:
    """Pixels as float32 from 0 to 1, labels as int64."""
    pixels = images.astype(np.float32)[:, None] / np.float32(255)
    return TensorDataset(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 10)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def main() -> None:
    parser = options(__doc__, epochs="10 of the mlp, 3 of the cnn")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="an .npz file, or a folder of IDX files"
    )
    args = parser.parse_args()
    try:
        data = load_mnist(args.data)
    except DataError as error:
        fail(str(error))
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    train_set, test_set = dataset(data["x_train"], data["y_train"]), dataset(data["x_test"], data["y_test"])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=500)
    model = mlp() if args.model == "mlp" else cnn()
    optimizer = optim.SGD(model.parameters(), lr=args.lr or 0.05, momentum=0.9)

    print(model)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_set):,} digits to learn from")
    epochs = args.epochs or (10 if args.model == "mlp" else 3)
    history = train(model, optimizer, train_loader, test_loader, epochs)

    _, predicted, true = evaluate(model, test_loader)
    save_pictures(folder, f"mnist_{args.model}", history, data["x_test"], predicted, true)
    print(f"test accuracy {(predicted == true).mean():.4f}")


if __name__ == "__main__":
    main()
