"""Q-learning with a replay memory and a target network, softly brought up to date."""

import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
random.seed(0)
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, x):
        return self.net(x)


def step(state, action):
    """A ball on a slope: push left, not at all, or right; stay near the middle."""
    x, v = state.tolist()
    v = 0.9 * v + 0.2 * (action - 1) + 0.05 * x
    x = x + v
    done = abs(x) > 1.5
    return None if done else torch.tensor([x, v]), -abs(x) - done


policy_net, target_net = same_start(DQN()), DQN()
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.RAdam(policy_net.parameters(), lr=0.01)
criterion = nn.SmoothL1Loss()
memory = deque([], maxlen=200)


def optimize_model(batch_size=16, gamma=0.8, tau=0.05):
    if len(memory) < batch_size:
        return None
    batch = Transition(*zip(*random.sample(list(memory), batch_size)))
    non_final_mask = torch.tensor(tuple(s is not None for s in batch.next_state), dtype=torch.bool)
    non_final_next_states = torch.stack([s for s in batch.next_state if s is not None])
    state_batch = torch.stack(batch.state)
    action_batch = torch.tensor(batch.action).view(-1, 1)
    reward_batch = torch.tensor(batch.reward)
    values = policy_net(state_batch).gather(1, action_batch)
    next_values = torch.zeros(batch_size)
    with torch.no_grad():
        next_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    loss = criterion(values, (next_values * gamma + reward_batch).unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    for param in policy_net.parameters():
        param.grad.data.clamp_(-1, 1)
    optimizer.step()
    net, target = policy_net.state_dict(), target_net.state_dict()
    for key in net:
        target[key] = net[key] * tau + target[key] * (1 - tau)
    target_net.load_state_dict(target)
    return loss.item()


losses, results = [], []
for episode in range(8):
    state = torch.tensor([random.uniform(-1, 1), 0.0])
    for t in range(12):
        with torch.no_grad():
            greedy = policy_net(state).argmax().item()
        action = random.randrange(3) if random.random() < 0.3 else greedy
        next_state, reward = step(state, action)
        memory.append(Transition(state, action, next_state, reward))
        loss = optimize_model()
        if loss is not None:
            losses.append(loss)
        if next_state is None:
            break
        state = next_state
results += [*policy_net.parameters(), *target_net.parameters(), len(memory)]
