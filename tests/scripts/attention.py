"""Attention in its options: masks, weights, keys of another width, biases; encoder layers of both orders."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(26)
x, memory = torch.from_numpy(rng.standard_normal((3, 5, 8))), torch.from_numpy(rng.standard_normal((3, 4, 6)))
y = x.cumsum(dim=1) / torch.arange(1, 6).view(1, -1, 1)
causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])


class SelfAttention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x):
        out, self.weights = self.attention(x, x, x, key_padding_mask=padding, attn_mask=causal, need_weights=True)
        return x + out


class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(embed_dim=8, num_heads=4, kdim=6, vdim=6, dropout=0.0, bias=False)

    def forward(self, x):
        keys = memory.transpose(0, 1)
        out, self.weights = self.attention(x.transpose(0, 1), keys, keys, average_attn_weights=False)
        return x + out.transpose(0, 1)


class Encoder(nn.Module):
    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x, mask=causal, is_causal=True)


losses, results = [], []
total = torch.zeros(8)
MODELS = [SelfAttention(), SelfAttention(bias=False)]
MODELS += [CrossAttention(), Encoder(), Encoder(norm_first=True, activation=F.gelu, bias=False, layer_norm_eps=1e-4)]
for model in MODELS:
    same_start(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(8):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total[step] += loss.item()
        results.append(loss.item())
    results += [getattr(model, "weights", loss), *model.parameters()]
losses += total.tolist()
q = x.view(3, 5, 2, 4).transpose(1, 2).clone().requires_grad_()
floats = torch.zeros(5, 5).masked_fill(causal, -1e9)
for options in ({"is_causal": True}, {"attn_mask": ~causal}, {"attn_mask": floats, "dropout_p": 0.0}, {"scale": 0.3}):
    out = F.scaled_dot_product_attention(q, q, q, **options)
    results += [out, *torch.autograd.grad(out.pow(2).sum(), q)]
