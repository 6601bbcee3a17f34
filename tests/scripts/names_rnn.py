"""Which list a name is from, letter by letter: a recurrent network of Linear layers, one name at a time."""

import string

import torch
import torch.nn as nn
from torch.autograd import Variable

from given import NAMES, same_start

torch.set_default_dtype(torch.float64)
letters = string.ascii_lowercase
lines = {"given": NAMES[:8], "backwards": [name[::-1] for name in NAMES[:8]]}
categories = list(lines)


def line_to_tensor(line):
    tensor = torch.zeros(len(line), 1, len(letters))
    for i, letter in enumerate(line):
        tensor[i][0][letters.index(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        return self.softmax(self.i2o(combined)), hidden

    def init_hidden(self):
        return Variable(torch.zeros(1, self.hidden_size))


rnn = same_start(RNN(len(letters), 12, len(categories)))
criterion = nn.NLLLoss()
learning_rate = 0.05


def train(category_tensor, line_tensor):
    hidden = rnn.init_hidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()


def category_from_output(output):
    top_n, top_i = output.data.topk(1)
    category_i = top_i[0][0]
    assert top_n.size() == (1, 1)
    return categories[category_i], int(category_i)


losses, results = [], []
for epoch in range(5):
    total = 0.0
    for pair in zip(*lines.values()):
        for k, line in enumerate(pair):
            output, loss = train(Variable(torch.LongTensor([k])), Variable(line_to_tensor(line)))
            total += loss
            results.append(category_from_output(output)[1])
    losses.append(total)

confusion = torch.zeros(len(categories), len(categories))
for k, category in enumerate(categories):
    for line in lines[category]:
        hidden = rnn.init_hidden()
        with torch.no_grad():
            for letter in line_to_tensor(line):
                output, hidden = rnn(letter, hidden)
        topv, topi = torch.topk(output, k=1, dim=1)
        confusion[k][topi.item()] += 1
for i in range(len(categories)):
    confusion[i] = confusion[i] / confusion[i].sum()
results += [confusion.numpy(), *rnn.parameters()]
