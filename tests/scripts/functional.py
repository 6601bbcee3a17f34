"""Layers as functions: each on weights that are learnt, its gradient for every argument."""

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(32)


def drawn(*shape):
    return torch.from_numpy(rng.standard_normal(shape)).requires_grad_()


line, image, volume = drawn(2, 4, 9), drawn(2, 4, 6, 7), drawn(1, 2, 4, 5, 4)
a, b, c = drawn(6, 4), drawn(6, 4), drawn(6, 4)
sign = torch.from_numpy(np.sign(rng.standard_normal((6, 4))))
label = torch.from_numpy(rng.integers(0, 4, 6))
mean, var = torch.zeros(4), torch.ones(4)
theta = torch.tensor([[[0.8, 0.2, 0.1], [-0.2, 0.9, 0.0]]]).repeat(2, 1, 1).requires_grad_()

CASES = {
    "linear": lambda: F.linear(a, b, drawn(6)),
    "bilinear": lambda: F.bilinear(a, b, drawn(3, 4, 4), drawn(3)),
    "embedding": lambda: F.embedding(label, a, padding_idx=1),
    "one_hot": lambda: F.one_hot(label, num_classes=5).double() @ drawn(5, 2),
    "conv1d": lambda: F.conv1d(line, drawn(6, 2, 3), drawn(6), stride=2, padding=1, groups=2),
    "conv2d": lambda: F.conv2d(image, drawn(3, 4, 3, 2), padding=(1, 0), dilation=2),
    "conv3d": lambda: F.conv3d(volume, drawn(2, 2, 2, 2, 2), drawn(2), stride=(1, 2, 1)),
    "conv_transpose1d": lambda: F.conv_transpose1d(line, drawn(4, 3, 3), stride=2, output_padding=1),
    "conv_transpose2d": lambda: F.conv_transpose2d(image, drawn(4, 2, 3, 3), drawn(4), groups=2, padding=1),
    "conv_transpose3d": lambda: F.conv_transpose3d(volume, drawn(2, 1, 2, 2, 2)),
    "unfold": lambda: F.unfold(image, kernel_size=(2, 3), padding=1, stride=2),
    "fold": lambda: F.fold(F.unfold(image, 3), output_size=(6, 7), kernel_size=3),
    "pad": lambda: torch.cat([F.pad(line, (2, 1), mode=m).flatten() for m in ("reflect", "replicate", "circular")]),
    "max_pool1d": lambda: F.max_pool1d(line, 3, 2, 1),
    "max_pool3d": lambda: F.max_pool3d(volume, 2),
    "avg_pool1d": lambda: F.avg_pool1d(line, 2, ceil_mode=True),
    "avg_pool2d": lambda: F.avg_pool2d(image, kernel_size=(3, 2), stride=2, padding=1),
    "avg_pool3d": lambda: F.avg_pool3d(volume, (2, 1, 2)),
    "adaptive_avg_pool1d": lambda: F.adaptive_avg_pool1d(line, 4),
    "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(image, 1),
    "adaptive_avg_pool3d": lambda: F.adaptive_avg_pool3d(volume, 2),
    "adaptive_max_pool1d": lambda: F.adaptive_max_pool1d(line, 2),
    "adaptive_max_pool2d": lambda: F.adaptive_max_pool2d(image, (2, 3)),
    "interpolate": lambda: F.interpolate(image, scale_factor=2, mode="nearest"),
    "batch_norm": lambda: F.batch_norm(image, mean, var, drawn(4), drawn(4), training=True, momentum=0.3),
    "layer_norm": lambda: F.layer_norm(image, (6, 7), drawn(6, 7), eps=1e-4),
    "group_norm": lambda: F.group_norm(image, 2, drawn(4), drawn(4)),
    "instance_norm": lambda: F.instance_norm(line, use_input_stats=True),
    "rms_norm": lambda: F.rms_norm(line, (9,), drawn(9), eps=1e-6),
    "normalize": lambda: F.normalize(a, p=1, dim=0),
    "spatial transformer": lambda: F.grid_sample(
        image, F.affine_grid(theta, [2, 4, 5, 5], align_corners=False), align_corners=False
    ),
    "dropouts": lambda: F.dropout1d(line, 0.0) + F.dropout(line, 0.5, training=False),
    "dropout2d": lambda: F.dropout2d(image, p=0.0),
    "dropout3d": lambda: F.dropout3d(volume, 0.7, training=False),
    "attention": lambda: F.scaled_dot_product_attention(image, image * 0.5, image),
    "cosine_similarity": lambda: F.cosine_similarity(a, b, dim=0),
    "l1": lambda: F.l1_loss(a, b) + F.mse_loss(a, b, reduction="sum") + F.smooth_l1_loss(a, b, beta=0.5),
    "poisson": lambda: F.poisson_nll_loss(a, b.detach().abs(), full=True) + F.gaussian_nll_loss(a, b, c**2 + 0.1),
    "hinge": lambda: F.hinge_embedding_loss(a, sign) + F.soft_margin_loss(b, sign),
    "cosine": lambda: F.cosine_embedding_loss(a, b, sign[:, 0], margin=0.1) + F.margin_ranking_loss(a, b, sign),
    "triplet": lambda: F.triplet_margin_loss(a, b, c, margin=0.8) + F.pairwise_distance(a, b).mean(),
    "multi": lambda: F.multi_margin_loss(a, label) + F.multilabel_soft_margin_loss(b, (sign > 0).double()),
}

losses, results = [], []
leaves = [line, image, volume, a, b, c, theta]
for step in range(4):
    total = 0
    for case in CASES.values():
        out = case()
        results.append(out)
        total = total + out.pow(2).mean()
    for p in leaves:
        p.grad = None
    total.backward()
    rng = np.random.default_rng(32)  # the same weights again
    with torch.no_grad():
        for p in leaves:
            p -= 1e-3 * p.grad
    losses.append(total.item())
results += [mean, var, *leaves]
