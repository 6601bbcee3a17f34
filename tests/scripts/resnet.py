"""Residual blocks with batch normalisation, trained with a rate that goes up and down once; then fine-tuned."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from given import drawn_digits, same_start


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, affine=True, track_running_stats=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = self._make_layer(4, 4, 1)
        self.layer2 = self._make_layer(4, 8, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(self, in_planes, planes, stride):
        strides = [stride] + [1]
        layers = []
        for s in strides:
            layers.append(BasicBlock(in_planes, planes, s))
            in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


torch.set_default_dtype(torch.float64)
images, labels = (torch.from_numpy(a) for a in drawn_digits(32))
images = (images - images.mean()) / images.std()
model = same_start(ResNet())
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=2, epochs=6)
losses, results = [], []
for epoch in range(6):
    model.train()
    for inputs, targets in zip(images.split(16), labels.split(16)):
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        outputs = model(images)
        _, predicted = torch.max(outputs.data, 1)
        results += [outputs, 100 * (predicted == labels).sum().item() / labels.size(0)]
results += [torch.topk(outputs, 2).indices, model.bn1.running_mean, model.bn1.num_batches_tracked]

# Fine-tuning: everything held but a new head, in evaluation mode for the running statistics.
for param in model.parameters():
    param.requires_grad, param.grad = False, None
model.fc = same_start(nn.Linear(model.fc.in_features, 2), seed=9)
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.5)
before = model.conv1.weight.clone()
for epoch in range(6):
    optimizer.zero_grad()
    loss = criterion(model(images), (labels > 1).long())
    loss.backward()
    optimizer.step()
    results.append(loss.item())
assert torch.equal(before, model.conv1.weight) and model.conv1.weight.grad is None
