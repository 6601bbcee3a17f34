"""A policy that learns to walk to the end of a corridor: REINFORCE with a baseline, actions drawn by NumPy."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(9)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(5, 8)
        self.action_head = nn.Linear(8, 2)
        self.value_head = nn.Linear(8, 1)
        self.saved_log_probs, self.values, self.entropies, self.rewards = [], [], [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(state):
    probs, value = policy(torch.eye(5)[state].unsqueeze(0))
    action = torch.tensor([int(rng.random() < probs[0, 1].item())])
    policy.saved_log_probs.append(torch.log(probs.gather(1, action.unsqueeze(1))).squeeze())
    policy.values.append(value.squeeze())
    policy.entropies.append(-(probs * probs.log()).sum())
    return action.item()


def finish_episode():
    R, returns = 0.0, []
    for r in policy.rewards[::-1]:
        R = r + 0.9 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    values = torch.stack(policy.values)
    advantage = returns - values.detach()
    policy_loss = -(torch.stack(policy.saved_log_probs) * advantage).sum()
    value_loss = F.smooth_l1_loss(values, returns, reduction="sum")
    loss = policy_loss + value_loss - 0.01 * torch.stack(policy.entropies).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for kept in (policy.saved_log_probs, policy.values, policy.entropies, policy.rewards):
        del kept[:]
    return loss.item(), value_loss.item()


policy = same_start(Policy())
optimizer = optim.Adam(policy.parameters(), lr=0.03)
losses, results = [], []
for episode in range(20):
    state, steps = 0, 0
    while state < 4 and steps < 20:
        state = max(state + (1 if select_action(state) else -1), 0)
        policy.rewards.append(1.0 if state == 4 else -0.1)
        steps += 1
    losses.append(float(steps))
    results += finish_episode()
results += list(policy.parameters())
