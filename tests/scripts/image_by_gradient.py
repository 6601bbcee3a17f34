"""The image itself is learnt: the content of one, the style of another; and an attack by the sign of the gradient."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

from given import drawn_digits, same_start

torch.set_default_dtype(torch.float64)
images, labels = (torch.from_numpy(a) for a in drawn_digits(16))
cnn = same_start(
    nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU())
)
for p in cnn.parameters():
    p.requires_grad_(False)


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


def features_of(image):
    found = []
    for layer in cnn:
        image = layer(image)
        if isinstance(layer, nn.ReLU):
            found.append(image)
    return found


content, style = images[:1], images[3:4]
style_losses = [StyleLoss(f) for f in features_of(style)]
goal = features_of(content)[-1].detach()
input_img = content.clone().requires_grad_(True)
optimizer = optim.LBFGS([input_img], max_iter=5)
losses, results, run = [], [], [0]
while run[0] < 12:

    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        found = features_of(input_img)
        style_score = sum(layer(f).norm() * 0 + layer.loss for layer, f in zip(style_losses, found))
        variation = (input_img[..., 1:, :] - input_img[..., :-1, :]).abs().mean()
        loss = 100 * style_score + F.mse_loss(found[-1], goal) + 0.01 * variation
        loss.backward()
        run[0] += 1
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
results.append(input_img)

# A classifier, and images changed a little against it.
classifier = same_start(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4)), seed=2)
optimizer = optim.Adam(classifier.parameters(), lr=0.01)
for step in range(15):
    optimizer.zero_grad()
    loss = F.cross_entropy(classifier(images), labels)
    loss.backward()
    optimizer.step()
    results.append(loss.item())
classifier.eval()
for epsilon in (0.0, 0.1, 0.3):
    data = images.clone()
    data.requires_grad = True
    loss = F.cross_entropy(classifier(data), labels)
    classifier.zero_grad()
    loss.backward()
    perturbed = torch.clamp(data + epsilon * data.grad.data.sign(), 0, 1)
    with torch.no_grad():
        attacked = F.cross_entropy(classifier(perturbed), labels)
    results += [attacked.item(), data.grad.abs().amax(dim=(1, 2, 3))]
